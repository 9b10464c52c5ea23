"""An application on loopback: answers with TwiML, takes callbacks, and remembers every request."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

T = TypeVar("T")

HOST = "127.0.0.1"
_GRACE_S = 0.1  # for answers that are on their way when the application is closed


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the application saw it. `parameters` are those of the query, then those of the form, in order.

    `signature_valid` is judged by an implementation of its own, not by the sender's. `at` is in monotonic seconds.
    """

    method: str
    path: str
    url: str
    parameters: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    signature_valid: bool
    at: float

    def parameter(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next((value for key, value in self.parameters if key == name), None)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """How one request is answered. `hold` keeps the answer back until it is set; `hang_up` closes without an answer.

    `drop_after` declares the whole body but sends only that many bytes of it.
    """

    body: str | bytes = ""
    status: int = 200
    content_type: str | None = "text/xml"
    headers: tuple[tuple[str, str], ...] = ()
    hold: asyncio.Event | None = field(default=None, compare=False)
    hang_up: bool = False
    drop_after: int | None = None


class WebhookApp:
    """Serves on loopback from `start` to `close`; also an async context manager.

    `auth_token` is the one that signatures are checked with. Paths without an answer get 204.
    """

    def __init__(self, auth_token: str) -> None:
        self.received: list[Received] = []
        self._auth_token = auth_token
        self._replies: dict[str, list[Reply]] = {}
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen; after a `close` on the same port again."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening: from now on connections are refused. What was received stays readable."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def base_url(self) -> str:
        """Without a final slash."""
        return f"http://{HOST}:{self._port}"

    def url(self, path: str) -> str:
        """The absolute URL of a path; the path may carry a query and a fragment of connection overrides."""
        return self.base_url + path

    def answer(self, path: str, *replies: Reply | str) -> None:
        """Answer requests to `path` with these, one after the other, the last again and again. Text is TwiML."""
        self._replies[path] = [Reply(reply) if isinstance(reply, str) else reply for reply in replies]

    def to(self, path: str) -> list[Received]:
        """What came to `path` so far."""
        return [received for received in self.received if received.path == path]

    async def wait_for(self, predicate: Callable[[Received], bool], timeout: float = 5.0) -> Received:
        """The first request, also of the past, that meets `predicate`. Raises TimeoutError."""

        def found() -> Received | None:
            return next(filter(predicate, self.received), None)

        return await self._wait(found, timeout)

    async def wait_for_count(self, path: str, count: int, timeout: float = 5.0) -> list[Received]:
        """The requests to `path` as soon as there are `count`. Raises TimeoutError."""

        def enough() -> list[Received] | None:
            return self.to(path) if len(self.to(path)) >= count else None

        return await self._wait(enough, timeout)

    async def _wait(self, found: Callable[[], T | None], timeout: float) -> T:
        async with asyncio.timeout(timeout), self._arrived:
            while (result := found()) is None:
                await self._arrived.wait()
            return result

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await self._record(request)
        replies = self._replies.get(request.path)
        if not replies:
            return web.Response(status=204)
        reply = replies[0] if len(replies) == 1 else replies.pop(0)
        if reply.hold is not None:
            await reply.hold.wait()
        if reply.hang_up:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        headers = list(reply.headers)
        if reply.content_type is not None:
            headers.append(("Content-Type", reply.content_type))
        if reply.drop_after is not None:
            return await _send_part(request, reply, body)
        return web.Response(status=reply.status, body=body, headers=CIMultiDict(headers))

    async def _record(self, request: web.Request) -> None:
        form = tuple(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        # What the client wrote, character by character: that is what it signed.
        url = f"http://{request.headers.get('Host', '')}{request.raw_path}"
        received = Received(
            method=request.method,
            path=request.path,
            url=url,
            parameters=(*parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True), *form),
            headers=tuple(request.headers.items()),
            signature_valid=self._is_valid(url, form, request.headers.get("X-Twilio-Signature", "")),
            at=time.monotonic(),
        )
        async with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()

    def _is_valid(self, url: str, form: tuple[tuple[str, str], ...], signature: str) -> bool:
        """What an application does: the URL, then every distinct pair of name and value in order, HMAC-SHA1, base64."""
        material = url
        for name, value in sorted(set(form)):
            material += name
            material += value
        expected = hmac.digest(self._auth_token.encode("utf-8"), material.encode("utf-8"), hashlib.sha1)
        return hmac.compare_digest(base64.b64encode(expected), signature.encode("utf-8"))


async def _send_part(request: web.Request, reply: Reply, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: reply.drop_after])
    assert request.transport is not None
    request.transport.close()
    return response
