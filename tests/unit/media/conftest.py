"""A server that speaks the media protocol from a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

HELLO = {"protocol": 1, "engine": "9.9.9", "pid": 42, "sessions": 0, "interfaces": []}

Reply = Callable[[dict[str, Any]], dict[str, Any] | None]


class ScriptedEngine:
    """Answers each operation by `replies`: an `ok` object, or a function of the request that gives the whole answer.

    A function that returns None leaves the request unanswered. What is not in `replies` is answered `{}`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hello = HELLO
        self.replies: dict[str, dict[str, Any] | Reply] = {"hello": self.hello}
        self.requests: list[dict[str, Any]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.arrived = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        """Stop listening and drop every connection, as a dying process does."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.path.unlink(missing_ok=True)
        self.cut()

    def cut(self) -> None:
        """Drop every connection, as a network does; others may come."""
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def say(self, text: str) -> None:
        """Send one line to every client."""
        for writer in self.writers:
            writer.write(text.encode() + b"\n")

    def tell(self, *events: dict[str, Any], dropped: int = 0, last_event: int = 0) -> None:
        self.say(json.dumps({"events": list(events), "dropped": dropped, "last_event": last_event}))

    async def until(self, operation: str) -> dict[str, Any]:
        """The first request of this operation, waiting for it."""
        while True:
            for request in self.requests:
                if request["op"] == operation:
                    return request
            self.arrived.clear()
            await self.arrived.wait()

    def operations(self) -> list[str]:
        return [request["op"] for request in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while line := await _line(reader):
            request = json.loads(line)
            self.requests.append(request)
            reply = self.replies.get(request["op"], {})
            answer = {"id": request["id"], "ok": reply} if isinstance(reply, dict) else reply(request)
            self.arrived.set()
            if answer is not None:
                writer.write(json.dumps(answer).encode() + b"\n")


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    scripted = ScriptedEngine(tmp_path / "media.sock")
    await scripted.start()
    yield scripted
    await scripted.stop()
