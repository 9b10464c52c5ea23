"""Chromium without a screen: a page as a person's browser builds it, and what it complained of."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LOAD_SECONDS = 40.0  # a first start on a loaded machine
PAGE_MILLISECONDS = 4000  # of the page's own time, which runs faster: enough for it to refresh itself once
_CONSOLE = re.compile(r'CONSOLE[^"]*"(?P<message>.*)", source: (?P<source>\S*)')


@dataclass(frozen=True, slots=True)
class Page:
    """A loaded page. `dom` is its tree after its scripts have run, `console` what was written to its console."""

    dom: str
    console: tuple[str, ...]


def load(url: str, profile: Path) -> Page:
    """Load a page in a new browser that keeps its things in `profile`."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("Chromium is missing: Debian package chromium")
    command = [
        *(binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={profile}", "--enable-logging=stderr", "--log-level=0"),
        *(f"--virtual-time-budget={PAGE_MILLISECONDS}", "--dump-dom", url),
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOAD_SECONDS, check=False, cwd=profile
    )
    errors = done.stderr.decode(errors="replace")
    assert done.returncode == 0, errors[-3000:]
    return Page(done.stdout.decode(), tuple(match["message"] for match in _CONSOLE.finditer(errors)))
