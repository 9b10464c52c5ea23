"""What every media engine must do alike: the one in memory, and the real process behind its client."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.base.secret import Secret
from sidestream.media.client import EngineClient
from sidestream.media.engine import (
    Address,
    Format,
    LocalPorts,
    MediaEngine,
    MediaEngineError,
    MediaEvent,
    PlayerEnded,
    Side,
    SrtpKey,
)
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import engine_process
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.speech import CALLER

PCMU = Format(0, "PCMU", 8000)
NOWHERE = Address("127.0.0.1", 9)

built = pytest.mark.skipif(find_spec("sidestream._native") is None, reason="the native module is not built")


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where an engine's process listens."""
    options = EngineOptions(exit_when_orphaned=False)
    with engine_process(tmp_path_factory.mktemp("engine"), options) as running:
        yield running.socket


@pytest.fixture(params=["fake", pytest.param("native", marks=built)])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[MediaEngine]:
    if request.param == "fake":
        yield FakeEngine()
        return
    client = EngineClient(request.getfixturevalue("socket"))
    await client.connect()
    yield client
    for session in await client.list_sessions():
        await client.close_session(session)
    await client.close()


class Listener:
    """A session's subscriber."""

    def __init__(self, engine: MediaEngine, session: str) -> None:
        self.events: list[MediaEvent] = []
        self._told = asyncio.Event()
        engine.subscribe(session, self._tell)

    def _tell(self, event: MediaEvent) -> None:
        self.events.append(event)
        self._told.set()

    async def until(self, *events: MediaEvent) -> None:
        async with asyncio.timeout(10):
            while not all(event in self.events for event in events):
                self._told.clear()
                await self._told.wait()


async def _refused(awaitable) -> str:
    with pytest.raises(MediaEngineError) as refused:
        await awaitable
    return refused.value.code


async def test_sessions_are_opened_once_and_listed(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    await engine.open_session("CA2")
    await engine.open_session("CA1")
    assert sorted(await engine.list_sessions()) == ["CA1", "CA2"]
    assert (await engine.engine_statistics()).sessions == 2
    await engine.close_session("CA1")
    assert await engine.list_sessions() == ["CA2"]


async def test_endpoints_and_forks_get_port_pairs_of_their_own(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    pairs = [
        await engine.open_endpoint("CA1", "a"),
        await engine.open_endpoint("CA1", "b"),
        await engine.open_fork("CA1", "SR1/inbound", endpoint="a", side=Side.INBOUND, cname="x@y"),
        await engine.open_fork("CA1", "SR1/outbound", endpoint="a", side=Side.OUTBOUND, cname="x@y"),
    ]
    assert {pair.host for pair in pairs} == {"127.0.0.1"}
    assert all(pair.rtp % 2 == 0 and pair.rtcp == pair.rtp + 1 for pair in pairs)
    assert len({pair.rtp for pair in pairs}) == 4


async def test_forks_share_their_ports_with_other_calls_only_and_only_if_they_may(engine: MediaEngine) -> None:
    opened: dict[tuple[str, bool], list[LocalPorts]] = {}
    for session in ("CA1", "CA2"):
        await engine.open_session(session)
        await engine.open_endpoint(session, "a")
        for own_ports in (False, True):
            opened[session, own_ports] = [
                await engine.open_fork(
                    session, f"{side}{own_ports}", endpoint="a", side=side, cname="x", own_ports=own_ports
                )
                for side in Side
            ]
    assert opened["CA1", False] == opened["CA2", False]
    every = [ports for pairs in opened.values() for ports in pairs]
    assert len(set(every)) == len(every) - 2


async def test_packets_of_a_fork_may_be_asked_to_leave_together(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    await engine.open_endpoint("CA1", "a")
    first = await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x", batch_ms=160)
    assert await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x", batch_ms=160) == first
    assert await _refused(engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x")) == "conflict"


async def test_opening_again_gives_the_same_answer(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    ports = await engine.open_endpoint("CA1", "a")
    assert await engine.open_endpoint("CA1", "a") == ports
    fork = await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x")
    assert await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x") == fork
    assert await _refused(engine.open_fork("CA1", "f", endpoint="a", side=Side.OUTBOUND, cname="x")) == "conflict"


async def test_what_is_not_there_is_named(engine: MediaEngine, tmp_path: Path) -> None:
    path = str(tmp_path / "r.wav")
    assert await _refused(engine.open_endpoint("CA1", "a")) == "no-session"
    assert await _refused(engine.session_statistics("CA1")) == "no-session"
    await engine.open_session("CA1")
    assert await _refused(engine.open_endpoint("CA1", "a", interface="moon")) == "no-interface"
    assert await _refused(engine.configure_endpoint("CA1", "a", remote=NOWHERE)) == "no-endpoint"
    assert await _refused(engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x")) == "no-endpoint"
    assert await _refused(engine.play("CA1", "p", endpoint="a", path=str(CALLER))) == "no-endpoint"
    assert await _refused(engine.open_recorder("CA1", "r", endpoint="a", path=path)) == "no-endpoint"
    await engine.open_endpoint("CA1", "a")
    assert await _refused(engine.set_route("CA1", "a", "b")) == "no-endpoint"
    assert await _refused(engine.set_route("CA1", "b", "a")) == "no-endpoint"
    assert await _refused(engine.configure_fork("CA1", "f", remote=NOWHERE, active=True)) == "no-fork"


@pytest.mark.parametrize("session", ["CA1", "gone"])
async def test_closing_what_is_not_open_raises_nothing(engine: MediaEngine, session: str) -> None:
    await engine.open_session("CA1")
    await engine.close_endpoint(session, "x")
    await engine.stop_player(session, "x")
    assert (await engine.close_fork(session, "x")).packets_sent == 0
    recorder = await engine.close_recorder(session, "x")
    assert (recorder.path, recorder.samples, recorder.first_sample_ns) == ("", 0, None)
    statistics = await engine.close_session("gone")
    assert (statistics.endpoints, statistics.forks, statistics.recorders) == ({}, {}, {})


async def test_closing_a_session_tells_of_all_that_was_in_it(engine: MediaEngine, tmp_path: Path) -> None:
    await engine.open_session("CA1")
    await engine.open_endpoint("CA1", "a")
    await engine.open_fork("CA1", "SR1/inbound", endpoint="a", side=Side.INBOUND, cname="x")
    await engine.configure_endpoint("CA1", "a", remote=None, formats=(PCMU,))
    await engine.configure_fork("CA1", "SR1/inbound", remote=NOWHERE, active=True, formats=(PCMU,))
    await engine.open_recorder("CA1", "r", endpoint="a", path=str(tmp_path / "r.wav"))
    before = await engine.session_statistics("CA1")
    after = await engine.close_session("CA1")
    for statistics in (before, after):
        assert statistics.endpoints["a"].packets_received == 0
        assert statistics.forks["SR1/inbound"].first_packet_ns is None
        assert statistics.recorders["r"].path == str(tmp_path / "r.wav")


async def test_closing_an_endpoint_closes_what_hangs_on_it(engine: MediaEngine, tmp_path: Path) -> None:
    await engine.open_session("CA1")
    listener = Listener(engine, "CA1")
    for endpoint in ("a", "b"):
        await engine.open_endpoint("CA1", endpoint)
        await engine.configure_endpoint("CA1", endpoint, remote=NOWHERE, formats=(PCMU,))
    await engine.set_route("CA1", "a", "b")
    await engine.set_route("CA1", "b", "a")
    await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x")
    await engine.open_recorder("CA1", "r", endpoint="a", path=str(tmp_path / "r.wav"))
    await engine.play("CA1", "p", endpoint="a", path=str(CALLER), loops=0)
    await engine.close_endpoint("CA1", "a")
    await listener.until(PlayerEnded("CA1", "p", completed=False))
    statistics = await engine.session_statistics("CA1")
    assert (list(statistics.endpoints), statistics.forks, statistics.recorders) == (["b"], {}, {})
    await engine.set_route("CA1", "b", None)


async def test_a_player_ends_when_it_is_stopped_or_replaced(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    listener = Listener(engine, "CA1")
    await engine.open_endpoint("CA1", "a")
    await engine.configure_endpoint("CA1", "a", remote=NOWHERE, formats=(PCMU,))
    await engine.play("CA1", "one", endpoint="a", path=str(CALLER))
    await engine.play("CA1", "two", endpoint="a", path=str(CALLER))
    await engine.stop_player("CA1", "two")
    await engine.stop_player("CA1", "two")
    await listener.until(PlayerEnded("CA1", "one", completed=False), PlayerEnded("CA1", "two", completed=False))
    assert len([event for event in listener.events if isinstance(event, PlayerEnded)]) == 2


async def test_names_are_free_again_after_closing(engine: MediaEngine) -> None:
    await engine.open_session("CA1")
    first = await engine.open_endpoint("CA1", "a")
    await engine.close_endpoint("CA1", "a")
    # The ports of the first rest for a while, so that late packets do not meet strangers.
    assert await engine.open_endpoint("CA1", "a") != first
    await engine.close_session("CA1")
    await engine.open_session("CA1")
    assert (await engine.session_statistics("CA1")).endpoints == {}


async def test_keys_come_in_pairs_and_to_forks_with_ports_of_their_own(engine: MediaEngine) -> None:
    def key(octets: int) -> SrtpKey:
        return SrtpKey("AES_CM_128_HMAC_SHA1_80", Secret(base64.b64encode(bytes([octets] * 30)).decode()))

    await engine.open_session("CA1")
    await engine.open_endpoint("CA1", "a")
    await engine.configure_endpoint("CA1", "a", remote=NOWHERE, send_key=key(1), receive_key=key(2))
    await engine.configure_endpoint("CA1", "a", remote=NOWHERE, send_key=key(1), receive_key=key(2))
    assert await _refused(engine.configure_endpoint("CA1", "a", remote=NOWHERE, send_key=key(1))) == "bad-field"
    await engine.open_fork("CA1", "own", endpoint="a", side=Side.INBOUND, cname="x@y", own_ports=True)
    await engine.configure_fork("CA1", "own", remote=NOWHERE, active=True, send_key=key(3), receive_key=key(4))
    await engine.open_fork("CA1", "shared", endpoint="a", side=Side.INBOUND, cname="x@y")
    shared = engine.configure_fork("CA1", "shared", remote=NOWHERE, active=True, send_key=key(5), receive_key=key(6))
    assert await _refused(shared) == "bad-field"
    statistics = await engine.session_statistics("CA1")
    assert statistics.endpoints["a"].unauthenticated == statistics.endpoints["a"].replayed == 0
    assert statistics.forks["own"].unprotected == 0
