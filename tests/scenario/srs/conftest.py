import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.sip.transport import Transport
from sidestream.srs.archive import Folder
from sidestream.srs.config import SrsConfig
from sidestream.srs.manifest import Manifest, State
from sidestream.srs.server import SrsServer
from sidestream.testing.fake_engine import FakeEngine
from sidestream.wire.driver import Listener

from .peer import Peer

LISTENERS = (
    Listener("srs-udp", Transport.UDP, "127.0.0.1", 0),
    Listener("srs-tcp", Transport.TCP, "127.0.0.1", 0),
)


class Recorder:
    """A running server and what a test wants of it."""

    def __init__(self, server: SrsServer) -> None:
        self.server = server
        self._peers: list[Peer] = []

    async def peer(self, transport: str) -> Peer:
        self._peers.append(await Peer.connect(transport, self.server.driver.addresses[f"srs-{transport.lower()}"]))
        return self._peers[-1]

    def folder(self, peer: Peer) -> Folder:
        recording_id = self.server.archive.recording_of(peer.call_id)
        assert recording_id is not None
        folder = self.server.archive.find(recording_id)
        assert folder is not None
        return folder

    async def manifest(self, peer: Peer, state: State | None = None) -> Manifest:
        """The manifest of the peer's recording, as soon as it is in `state`."""
        folder = self.folder(peer)
        async with asyncio.timeout(10):
            while True:
                found = await asyncio.to_thread(folder.read_manifest)
                if found is not None and state in (None, found.state):
                    return found
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.server.close()
        for peer in self._peers:
            peer.close()


@pytest.fixture
def config(tmp_path: Path) -> SrsConfig:
    return SrsConfig(tmp_path / "recordings", LISTENERS, free_floor=0)


@pytest.fixture
async def start(config: SrsConfig) -> AsyncIterator[Callable[..., Awaitable[Recorder]]]:
    recorders: list[Recorder] = []

    async def begin(engine: object, settings: SrsConfig = config) -> Recorder:
        server = SrsServer(settings, engine, SystemClock(), Ids(random.Random(9)))  # type: ignore[arg-type]
        await server.start()
        recorders.append(Recorder(server))
        return recorders[-1]

    yield begin
    for recorder in recorders:
        await recorder.close()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def recorder(start: Callable[..., Awaitable[Recorder]], engine: FakeEngine) -> Recorder:
    return await start(engine)
