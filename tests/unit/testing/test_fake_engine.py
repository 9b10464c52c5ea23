import asyncio

import pytest

from sidestream.base.secret import Secret
from sidestream.media.engine import (
    Address,
    Dtmf,
    EngineLost,
    ForkStatistics,
    Format,
    MediaEngine,
    MediaEngineError,
    PlayerEnded,
    RecorderStatistics,
    Side,
    SrtpKey,
    Tone,
)
from sidestream.testing.fake_engine import ALWAYS, FakeEngine, names

PCMU = Format(0, "PCMU", 8000)


@pytest.fixture
async def engine() -> FakeEngine:
    made = FakeEngine()
    await made.open_session("s")
    await made.open_endpoint("s", "a")
    return made


def test_it_is_a_media_engine() -> None:
    engine: MediaEngine = FakeEngine()
    assert engine


async def test_what_it_was_told_stands_as_plain_data(engine) -> None:
    ports = await engine.open_endpoint("s", "b")
    await engine.configure_endpoint("s", "a", remote=Address("h", 1), formats=(PCMU,), send=False)
    await engine.set_route("s", "a", "b")
    fork_ports = await engine.open_fork("s", "SR1/inbound", endpoint="a", side=Side.INBOUND, cname="c")
    await engine.configure_fork("s", "SR1/inbound", remote=Address("srs", 9), active=True, formats=(PCMU,))
    await engine.configure_fork("s", "SR1/inbound", remote=Address("srs", 9), active=False, formats=(PCMU,))
    await engine.play("s", "p", endpoint="a", path="/say.wav", loops=0)
    await engine.open_recorder("s", "r", endpoint="b", path="/r.wav")
    session = engine.sessions["s"]
    a, fork = session.endpoints["a"], session.forks["SR1/inbound"]
    assert (a.remote, a.formats, a.send, a.receive, a.configured) == (Address("h", 1), (PCMU,), False, True, 1)
    assert ports.rtcp == ports.rtp + 1
    assert len({a.ports.rtp, ports.rtp, fork_ports.rtp}) == 3
    assert session.routes == {"a": "b"}
    assert (fork.endpoint, fork.side, fork.remote, fork.active) == ("a", Side.INBOUND, Address("srs", 9), False)
    assert fork.history == [True, False]
    assert session.players["p"].loops == 0
    assert session.recorders["r"].path == "/r.wav"
    assert list(names(engine.commands, "s"))[:3] == ["open_session", "open_endpoint", "open_endpoint"]
    assert (await engine.session_statistics("s")).recorders["r"].path == "/r.wav"
    assert (await engine.engine_statistics()).sessions == 1
    assert await engine.list_sessions() == ["s"]


async def test_events_go_to_the_subscriber_until_the_session_is_closed(engine) -> None:
    heard = []
    engine.subscribe("s", heard.append)
    engine.emit(Dtmf("s", "a", "5", 100))
    engine.emit(Dtmf("other", "a", "5", 100))
    await engine.play("s", "p", endpoint="a", path="/w")
    await engine.close_session("s")
    engine.emit(Dtmf("s", "a", "6", 100))
    assert heard == [Dtmf("s", "a", "5", 100), PlayerEnded("s", "p", False)]
    assert "s" not in engine.sessions
    assert "a" in engine.closed["s"].endpoints


async def test_players_end_once(engine) -> None:
    heard = []
    engine.subscribe("s", heard.append)
    await engine.play("s", "one", endpoint="a", path="/w")
    await engine.play("s", "two", endpoint="a", path="/w")
    engine.finish_player("s", "two")
    await engine.stop_player("s", "two")
    await engine.play("s", "three", endpoint="a", path="/w")
    await engine.stop_player("s", "three")
    assert heard == [PlayerEnded("s", "one", False), PlayerEnded("s", "two", True), PlayerEnded("s", "three", False)]


async def test_a_command_fails_as_often_as_it_is_told(engine) -> None:
    engine.fail("open_fork", "no-ports", times=2)
    for _ in range(2):
        with pytest.raises(MediaEngineError, match="no-ports"):
            await engine.open_fork("s", "f", endpoint="a", side=Side.INBOUND, cname="c")
    await engine.open_fork("s", "f", endpoint="a", side=Side.INBOUND, cname="c")
    engine.fail("list_sessions", times=ALWAYS)
    for _ in range(3):
        with pytest.raises(MediaEngineError, match="internal"):
            await engine.list_sessions()


async def test_a_held_command_waits_for_the_test(engine) -> None:
    gate = engine.hold("open_endpoint")
    opening = asyncio.create_task(engine.open_endpoint("s", "late"))
    await engine.list_sessions()
    assert "late" not in engine.sessions["s"].endpoints
    gate.set()
    await opening
    assert "late" in engine.sessions["s"].endpoints


async def test_losing_it_tells_every_subscriber_once(engine) -> None:
    heard = []
    engine.subscribe("s", heard.append)
    engine.lose("killed")
    engine.lose("killed")
    assert heard == [EngineLost("s", "killed")]
    assert await engine.list_sessions() == []
    assert "s" in engine.closed


async def test_closing_an_endpoint_takes_what_hangs_on_it(engine) -> None:
    heard = []
    engine.subscribe("s", heard.append)
    await engine.open_endpoint("s", "b")
    await engine.set_route("s", "a", "b")
    await engine.set_route("s", "b", "a")
    await engine.open_fork("s", "f", endpoint="a", side=Side.INBOUND, cname="c")
    await engine.open_recorder("s", "r", endpoint="a", path="/r.wav")
    await engine.play("s", "p", endpoint="a", path="/w")
    await engine.close_endpoint("s", "a")
    session = engine.sessions["s"]
    assert (session.routes, session.forks, session.recorders, session.players) == ({}, {}, {}, {})
    assert heard == [PlayerEnded("s", "p", False)]


async def test_closing_what_is_not_open_raises_nothing(engine) -> None:
    for session in ("s", "gone"):
        await engine.close_endpoint(session, "x")
        assert await engine.close_fork(session, "x") == ForkStatistics(0, 0, 0, None)
        assert await engine.close_recorder(session, "x") == RecorderStatistics("", 0, 0, 0, 0, 0, None)
        await engine.stop_player(session, "x")
    assert (await engine.close_session("gone")).endpoints == {}


async def test_cutting_a_route(engine) -> None:
    await engine.set_route("s", "a", "a")
    await engine.set_route("s", "a", None)
    await engine.set_route("s", "a", None)
    assert engine.sessions["s"].routes == {}


async def test_keys_are_remembered_come_in_pairs_and_stand_in_no_list_of_commands(engine) -> None:
    ours, theirs = (SrtpKey("AEAD_AES_128_GCM", Secret(key)) for key in ("b3du", "dGhlaXI="))
    await engine.open_fork("s", "f", endpoint="a", side=Side.INBOUND, cname="c", own_ports=True)
    await engine.open_fork("s", "shared", endpoint="a", side=Side.INBOUND, cname="c")
    with pytest.raises(MediaEngineError, match="bad-field"):
        await engine.configure_fork("s", "shared", remote=None, active=True, send_key=theirs, receive_key=ours)
    await engine.configure_endpoint("s", "a", remote=None, send_key=ours, receive_key=theirs)
    await engine.configure_fork("s", "f", remote=None, active=True, send_key=theirs, receive_key=ours)
    endpoint, fork = engine.sessions["s"].endpoints["a"], engine.sessions["s"].forks["f"]
    assert (endpoint.send_key, endpoint.receive_key) == (ours, theirs)
    assert (fork.send_key, fork.receive_key) == (theirs, ours)
    with pytest.raises(MediaEngineError, match="bad-field"):
        await engine.configure_endpoint("s", "a", remote=None, send_key=ours)
    await engine.configure_endpoint("s", "a", remote=None)
    assert endpoint.send_key is None
    assert "b3du" not in repr(engine.commands)


async def test_tones_and_digits_are_players_too(engine) -> None:
    await engine.open_session("s")
    await engine.open_endpoint("s", "a")
    await engine.play_tones("s", "t", endpoint="a", tones=(Tone((440,), 100),), level_dbm0=-10.0, loops=0)
    assert engine.sessions["s"].players["t"].tones == (Tone((440,), 100),)
    await engine.seek_player("s", "t", 50)
    assert engine.sessions["s"].players["t"].position_ms == 50
    await engine.send_digits("s", "d", endpoint="a", digits="12")
    assert {name: one.digits for name, one in engine.sessions["s"].players.items()} == {"d": "12"}
    with pytest.raises(MediaEngineError, match="conflict"):
        await engine.send_digits("s", "d", endpoint="a", digits="3")
    with pytest.raises(MediaEngineError, match="no-player"):
        await engine.seek_player("s", "t", 0)
    with pytest.raises(MediaEngineError, match="no-endpoint"):
        await engine.send_digits("s", "e", endpoint="x", digits="3")
