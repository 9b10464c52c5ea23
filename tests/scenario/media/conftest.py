"""A bridged call through the real engine, and a recorder beside it; and a network of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from sidestream.base.ids import Ids
from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, Format, LocalPorts, MediaEvent
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import engine_process
from sidestream.testing.g711 import Samples
from sidestream.testing.phone import tracks
from sidestream.testing.phone.audio_thread import AudioThread
from sidestream.testing.phone.stream import RtpStream
from sidestream.testing.phone.talker import Talk
from sidestream.testing.speech import AGENT, CALLER

from .in_namespaces import Call, Engine
from .network import Network, Unsupported

PCMU = Format(0, "PCMU", 8000)
EVENTS = Format(101, "TELEPHONE-EVENT", 8000)
FORMATS = (PCMU, EVENTS)
WAIT_SECONDS = 10.0


@dataclass
class Parties:
    """A caller and an agent with speech, and what a test asks about streams."""

    thread: AudioThread
    caller: RtpStream
    agent: RtpStream

    TALK: ClassVar[Talk] = Talk("PCMU", 0, 101)

    def listener(self) -> RtpStream:
        """A stream that only receives, such as an SRS's."""
        stream = RtpStream("127.0.0.1", Ids(), speech=None, loop_speech=True, cname="srs")
        self.thread.add(stream)
        return stream

    def hush(self) -> None:
        for party in (self.caller, self.agent):
            party.direct(None)

    @staticmethod
    async def until(reached: Callable[[], object], what: str) -> None:
        # What is waited for happens in other threads and processes: look once a packet.
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not reached():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"never {what}") from None

    @staticmethod
    def heard(stream: RtpStream) -> Samples:
        return tracks.heard(list(stream.received), {0: "PCMU"})

    @staticmethod
    def said(stream: RtpStream) -> Samples:
        return tracks.spoken(list(stream.sent), {0: "PCMU"})

    @staticmethod
    def digits(stream: RtpStream) -> str:
        return tracks.digits(list(stream.received), 101)


@dataclass
class Bridge(Parties):
    """Session CA1: `caller` at endpoint a, `agent` at endpoint b, routed to each other; events as they came."""

    engine: EngineClient
    a: LocalPorts
    b: LocalPorts
    events: list[MediaEvent] = field(default_factory=list)

    def talk(self) -> None:
        """Let both parties speak to their endpoints."""
        for party, ports in ((self.caller, self.a), (self.agent, self.b)):
            party.direct(self.TALK, (ports.host, ports.rtp), (ports.host, ports.rtcp))

    async def both_heard(self, packets: int) -> None:
        await self.until(
            lambda: min(len(self.caller.received), len(self.agent.received)) >= packets, f"{packets} packets"
        )

    async def event(self, kind: type[MediaEvent]) -> MediaEvent:
        await self.until(lambda: any(isinstance(one, kind) for one in self.events), kind.__name__)
        return next(one for one in self.events if isinstance(one, kind))


@pytest.fixture(scope="module")
def engine_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    options = EngineOptions(exit_when_orphaned=False)
    with engine_process(tmp_path_factory.mktemp("engine"), options) as running:
        yield running.socket


@pytest.fixture
async def engine(engine_socket: Path) -> AsyncIterator[EngineClient]:
    client = EngineClient(engine_socket)
    await client.connect()
    yield client
    for session in await client.list_sessions():
        await client.close_session(session)
    await client.close()


@pytest.fixture
def parties() -> Iterator[Parties]:
    thread = AudioThread("parties")
    thread.start()
    made = [RtpStream("127.0.0.1", Ids(), speech=speech, loop_speech=True, cname="p") for speech in (CALLER, AGENT)]
    for stream in made:
        thread.add(stream)
    yield Parties(thread, *made)
    thread.close()


@pytest.fixture
async def bridge(engine: EngineClient, parties: Parties) -> Bridge:
    await engine.open_session("CA1")
    a, b = [await engine.open_endpoint("CA1", name) for name in "ab"]
    made = Bridge(parties.thread, parties.caller, parties.agent, engine, a, b)
    engine.subscribe("CA1", made.events.append)
    for name, party in (("a", parties.caller), ("b", parties.agent)):
        await engine.configure_endpoint("CA1", name, remote=Address(party.host, party.port), formats=FORMATS)
    await engine.set_route("CA1", "a", "b")
    await engine.set_route("CA1", "b", "a")
    return made


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    network = Network()
    try:
        network.open()
    except Unsupported as error:
        pytest.skip(f"no network namespaces here: {error}")
    yield network
    network.close()


@pytest.fixture(scope="module")
def namespace_engine(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(network.engine, tmp_path_factory.mktemp("media") / "m.sock", "auto")
    state = engine.call("hello", protocol=1)["kernel_path"]
    if not state["on"]:
        engine.close()
        pytest.skip(state["reason"])
    yield engine
    engine.close()


@pytest.fixture
def make_call(namespace_engine: Engine, network: Network) -> Iterator[Callable[[str, str, str], Call]]:
    """Makes the call of a test: on which interfaces the phones are, and the recorder."""
    calls: list[Call] = []

    def make(a: str, b: str, srs: str) -> Call:
        calls.append(Call(namespace_engine, network, "call", a, b, srs))
        return calls[-1]

    yield make
    namespace_engine.call("close_session", session="call")
    for call in calls:
        call.close()
    assert namespace_engine.legs == 0
