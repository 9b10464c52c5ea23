"""The recordings over HTTP: a list, a page that plays one, and the files themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sidestream.srs.archive import Archive, Folder
from sidestream.srs.manifest import Manifest, encode
from sidestream.srs.waveform import HEIGHT, path_of

Admission = Callable[[str], bool]  # whether the value of an Authorization header field may see the recordings
Page = Callable[[Request], Awaitable[Response]]

PAGE_SIZE = 50  # recordings
PAGE_LIMIT = 100_000  # pages
SHOWN_METADATA = 64 * 1024  # octets of a document shown on the page; the file itself is a link away

# Nothing but our own files; nothing may frame the pages or be sent from them.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; media-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
_HERE = Path(__file__).parent
_STATIC = {"style.css": "text/css", "player.js": "text/javascript"}


def create_srs_web(archive: Archive, *, admits: Admission | None = None) -> list[BaseRoute]:
    """Routes under /recordings. Without `admits` whoever reaches the port may listen: bind it to loopback then."""
    web = _Web(archive)
    pages: dict[str, Page] = {
        "/recordings": web.list_page,
        "/recordings.json": web.list_json,
        "/recordings/static/{name}": web.static,
        "/recordings/{id}": web.recording_page,
        "/recordings/{id}/manifest.json": web.manifest,
        "/recordings/{id}/recording.wav": web.audio,
        "/recordings/{id}/metadata/{number:int}": web.metadata,
    }
    return [Route(path, _guarded(page, admits), methods=["GET"]) for path, page in pages.items()]


class _Web:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
        self._templates.filters["clock"] = _clock
        self._templates.filters["span"] = _span

    async def list_page(self, request: Request) -> Response:
        number = _page_number(request)
        shown, more = await self._page(number)
        return self._html("recordings.html", recordings=shown, number=number, more=more)

    async def list_json(self, request: Request) -> Response:
        number = _page_number(request)
        shown, more = await self._page(number)
        return _json(msgspec.json.encode({"recordings": shown, "page": number, "more": more}))

    async def recording_page(self, request: Request) -> Response:
        folder, manifest = await self._found(request)
        if folder is None or manifest is None:
            return self._missing()
        peaks = await asyncio.to_thread(folder.read_waveform)
        documents = await asyncio.to_thread(_documents, folder, manifest)
        return self._html(
            "recording.html",
            recording=manifest,
            waveforms=[path_of(channel) for channel in peaks],
            width=max((len(channel) for channel in peaks), default=1),
            height=HEIGHT,
            documents=documents,
        )

    async def manifest(self, request: Request) -> Response:
        _, manifest = await self._found(request)
        return self._missing() if manifest is None else _json(encode(manifest))

    async def audio(self, request: Request) -> Response:
        folder, _ = await self._found(request)
        if folder is None or not folder.audio_path.is_file():
            return self._missing()
        return FileResponse(folder.audio_path, media_type="audio/wav", headers={"X-Content-Type-Options": "nosniff"})

    async def metadata(self, request: Request) -> Response:
        folder, manifest = await self._found(request)
        number = request.path_params["number"]
        if folder is None or manifest is None or not 1 <= number <= len(manifest.metadata):
            return self._missing()
        # As text: a peer wrote it, and a browser must not render it as a page of ours.
        path = folder.path / manifest.metadata[number - 1]
        return FileResponse(path, media_type="text/plain; charset=utf-8", headers=_PAGE_HEADERS)

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        media_type = _STATIC.get(name)
        if media_type is None:
            return self._missing()
        return FileResponse(_HERE / "static" / name, media_type=media_type, headers={"Cache-Control": "max-age=300"})

    async def _page(self, number: int) -> tuple[list[Manifest], bool]:
        found = await asyncio.to_thread(self._archive.manifests, offset=number * PAGE_SIZE, limit=PAGE_SIZE + 1)
        return found[:PAGE_SIZE], len(found) > PAGE_SIZE

    async def _found(self, request: Request) -> tuple[Folder | None, Manifest | None]:
        folder = self._archive.find(request.path_params["id"])
        return folder, None if folder is None else await asyncio.to_thread(folder.read_manifest)

    def _html(self, template: str, status: int = 200, **values: object) -> Response:
        text = self._templates.get_template(template).render(values)
        return HTMLResponse(text, status_code=status, headers=_PAGE_HEADERS)

    def _missing(self) -> Response:
        return self._html("missing.html", HTTPStatus.NOT_FOUND)


def recordings_home() -> BaseRoute:
    """`/` leads to the list; for a server that shows nothing else."""

    async def home(_request: Request) -> Response:
        return RedirectResponse("/recordings")

    return Route("/", home, methods=["GET"])


def _guarded(page: Page, admits: Admission | None) -> Page:
    async def guarded(request: Request) -> Response:
        if admits is not None and not admits(request.headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="Sidestream recordings", charset="UTF-8"'}
            return Response("Sign in with an account SID and its token", 401, challenge, "text/plain")
        return await page(request)

    return guarded


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "0")
    return min(int(text), PAGE_LIMIT) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _documents(folder: Folder, manifest: Manifest) -> list[str]:
    """The text of each metadata document, its end cut off where it is long."""
    texts = []
    for name in manifest.metadata:
        try:
            with (folder.path / name).open("rb") as file:
                texts.append(file.read(SHOWN_METADATA).decode("utf-8", "replace"))
        except OSError:
            texts.append("")
    return texts


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _clock(moment: str | None) -> str:
    """A time of a manifest as a person reads it."""
    return "" if moment is None else datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(milliseconds: int | None) -> str:
    """A length as m:ss.t, or h:mm:ss for an hour and more."""
    if milliseconds is None:
        return ""
    seconds, rest = divmod(milliseconds, 1000)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 60}:{seconds % 60:02}.{rest // 100}"
