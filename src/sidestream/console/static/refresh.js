// Keeps a page of things in progress up to date: its main part is fetched again and exchanged when it has changed.
const INTERVAL_MS = 3000;

async function refresh() {
  const main = document.querySelector("main[data-refresh]");
  if (main === null) return;
  if (document.visibilityState === "visible" && !main.contains(document.activeElement) && getSelection().isCollapsed) {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("main");
      if (response.ok && fresh !== null && fresh.outerHTML !== main.outerHTML) main.replaceWith(fresh);
    } catch {
      // The server is away; the next round tries again.
    }
  }
  setTimeout(refresh, INTERVAL_MS);
}

setTimeout(refresh, INTERVAL_MS);
