"""A way to a stream socket that a test can break."""

import asyncio
from contextlib import suppress
from pathlib import Path

CHUNK = 65536  # octets of one read


class BreakableLine:
    """Passes octets between whoever connects to it and a Unix socket, or a TCP port of this host.

    `port` is where it listens by TCP; with a `path` it is a Unix socket there.
    """

    def __init__(self, target: Path | int, path: Path | None = None) -> None:
        self._target = target
        self._path = path
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._is_broken = False
        self.port = 0

    async def start(self) -> None:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """End all connections; new ones end as soon as they are made, until it is mended."""
        self._is_broken = True
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self._is_broken = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_broken:
            writer.transport.abort()
            return
        if isinstance(self._target, Path):
            far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        else:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, far_writer}
        self._ends |= ends
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while octets := await reader.read(CHUNK):
            writer.write(octets)
            await writer.drain()
    writer.close()
