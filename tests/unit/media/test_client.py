import asyncio

import pytest

from sidestream.base.secret import Secret
from sidestream.media import client as module
from sidestream.media.client import EngineClient
from sidestream.media.engine import (
    Address,
    Dtmf,
    EndpointStatistics,
    EngineLost,
    EngineStatistics,
    ForkStatistics,
    Format,
    Latch,
    LocalPorts,
    MediaEngineError,
    Quality,
    RecorderStatistics,
    RecordingGap,
    SessionStatistics,
    Side,
    SrtpKey,
    Tone,
)
from sidestream.media.requests import LOST

PCMU = Format(0, "PCMU", 8000)
OWN_KEY = SrtpKey("AEAD_AES_128_GCM", Secret("b3du"))
THEIR_KEY = SrtpKey("AEAD_AES_128_GCM", Secret("dGhlaXI="), "01")
PORTS = {"host": "127.0.0.1", "rtp": 40000, "rtcp": 40001}
FORK = {
    "packets_sent": 5, "octets_sent": 800, "send_errors": 0, "first_packet_ns": None, "packets_filtered": 2,
    "reported_lost": None, "reported_jitter_ms": None,
}  # fmt: skip
RECORDER = {
    "path": "/r.wav", "packets": 3, "lost": 1, "duplicates": 0, "late": 0, "samples": 640,
    "first_sample_ns": 12, "gaps": [{"at_ms": 40, "length_ms": 20.5}], "dropped_samples": 7,
}  # fmt: skip
ENDPOINT = {
    "packets_received": 1, "octets_received": 160, "packets_sent": 2, "octets_sent": 320, "lost": 0,
    "jitter_ms": 0.5, "strays": 3, "invalid": 4,
}  # fmt: skip
QUALITY = {
    "duplicates": 1, "reordered": 2, "gaps": 3, "longest_gap": 4, "bursts": 5, "burst_density": 0.5, "burst_ms": 60.5,
    "gap_density": 0.01, "gap_ms": 900.0, "ssrc_changes": 6, "restarts": 7, "wraps": 8, "skew_ppm": -3.5, "mos": None,
}  # fmt: skip
SESSION = {"endpoints": {"a": ENDPOINT}, "forks": {"SR1/inbound": FORK}, "recorders": {"r": RECORDER}}
ENGINE = {
    "sessions": 1, "packets_relayed": 100, "packets_forked": 50, "latency_p50_us": 26, "latency_p99_us": 90.5,
    "resident_bytes": 9000000, "cpu_ns": 5,
}  # fmt: skip

FORK_STATISTICS = ForkStatistics(5, 800, 0, None)
RECORDER_STATISTICS = RecorderStatistics("/r.wav", 3, 1, 0, 0, 640, 12, (RecordingGap(40, 20.5),), 7)
SESSION_STATISTICS = SessionStatistics(
    {"a": EndpointStatistics(1, 160, 2, 320, 0, 0.5, 3)},
    {"SR1/inbound": FORK_STATISTICS},
    {"r": RECORDER_STATISTICS},
)

# call, the request's fields beside id, the engine's answer, what the call returns
COMMANDS = [
    (lambda c: c.open_session("s"), {"op": "open_session", "session": "s"}, {}, None),
    (lambda c: c.close_session("s"), {"op": "close_session", "session": "s"}, SESSION, SESSION_STATISTICS),
    (
        lambda c: c.open_endpoint("s", "a"),
        {"op": "open_endpoint", "session": "s", "endpoint": "a", "interface": None},
        PORTS,
        LocalPorts("127.0.0.1", 40000, 40001),
    ),
    (
        lambda c: c.configure_endpoint(
            "s", "a", remote=Address("h", 1), formats=(PCMU,), latch=Latch.FIRST, send=False, rtcp_mux=True
        ),
        {
            "op": "configure_endpoint", "session": "s", "endpoint": "a", "remote": {"host": "h", "port": 1},
            "remote_rtcp": None, "latch": "first", "send": False, "receive": True, "rtcp_mux": True,
            "formats": [{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000, "channels": 1}],
        },
        {},
        None,
    ),
    (
        lambda c: c.configure_endpoint("s", "a", remote=None, send_formats=(PCMU,)),
        {
            "op": "configure_endpoint", "session": "s", "endpoint": "a", "remote": None, "remote_rtcp": None,
            "latch": "each", "rtcp_mux": False, "send": True, "receive": True, "formats": [],
            "send_formats": [{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000, "channels": 1}],
        },
        {},
        None,
    ),
    (
        lambda c: c.configure_endpoint("s", "a", remote=None, send_key=OWN_KEY, receive_key=THEIR_KEY),
        {
            "op": "configure_endpoint", "session": "s", "endpoint": "a", "remote": None, "remote_rtcp": None,
            "latch": "each", "send": True, "receive": True, "rtcp_mux": False, "formats": [],
            "send_key": {"suite": "AEAD_AES_128_GCM", "key": "b3du", "mki": ""},
            "receive_key": {"suite": "AEAD_AES_128_GCM", "key": "dGhlaXI=", "mki": "01"},
        },
        {},
        None,
    ),
    (
        lambda c: c.close_endpoint("s", "a"),
        {"op": "close_endpoint", "session": "s", "endpoint": "a"},
        {**ENDPOINT, "quality": QUALITY},
        EndpointStatistics(1, 160, 2, 320, 0, 0.5, 3, quality=Quality(**QUALITY)),
    ),
    (
        lambda c: c.set_route("s", "a", None),
        {"op": "set_route", "session": "s", "source": "a", "sink": None},
        {},
        None,
    ),
    (
        lambda c: c.open_fork("s", "f", endpoint="a", side=Side.OUTBOUND, cname="x@y"),
        {
            "op": "open_fork", "session": "s", "fork": "f", "endpoint": "a", "side": "outbound", "cname": "x@y",
            "interface": None, "fork_batch_ms": 0, "fork_ports": "shared", "dtmf": "forward",
        },
        PORTS,
        LocalPorts("127.0.0.1", 40000, 40001),
    ),
    (
        lambda c: c.open_fork(
            "s", "f", endpoint="a", side=Side.INBOUND, cname="x", batch_ms=80, own_ports=True, drop_dtmf=True
        ),
        {
            "op": "open_fork", "session": "s", "fork": "f", "endpoint": "a", "side": "inbound", "cname": "x",
            "interface": None, "fork_batch_ms": 80, "fork_ports": "own", "dtmf": "drop",
        },
        PORTS,
        LocalPorts("127.0.0.1", 40000, 40001),
    ),
    (
        lambda c: c.configure_fork("s", "f", remote=None, remote_rtcp=Address("h", 9), active=False),
        {
            "op": "configure_fork", "session": "s", "fork": "f", "remote": None,
            "remote_rtcp": {"host": "h", "port": 9}, "active": False, "formats": [],
        },
        {},
        None,
    ),
    (
        lambda c: c.configure_fork("s", "f", remote=None, active=True, send_key=OWN_KEY, receive_key=THEIR_KEY),
        {
            "op": "configure_fork", "session": "s", "fork": "f", "remote": None, "remote_rtcp": None, "active": True,
            "formats": [], "send_key": {"suite": "AEAD_AES_128_GCM", "key": "b3du", "mki": ""},
            "receive_key": {"suite": "AEAD_AES_128_GCM", "key": "dGhlaXI=", "mki": "01"},
        },
        {},
        None,
    ),
    (lambda c: c.close_fork("s", "f"), {"op": "close_fork", "session": "s", "fork": "f"}, FORK, FORK_STATISTICS),
    (
        lambda c: c.play("s", "p", endpoint="a", path="/w", loops=0),
        {"op": "play", "session": "s", "player": "p", "endpoint": "a", "path": "/w", "loops": 0, "start_ms": 0},
        {},
        None,
    ),
    (
        lambda c: c.play_tones("s", "p", endpoint="a", tones=(Tone((440, 480), 2000), Tone((), 4000)), level_dbm0=-9.0),
        {
            "op": "play", "session": "s", "player": "p", "endpoint": "a", "loops": 1, "level_dbm0": -9.0,
            "tones": [{"frequencies_hz": [440, 480], "ms": 2000}, {"frequencies_hz": [], "ms": 4000}],
        },
        {},
        None,
    ),
    (
        lambda c: c.seek_player("s", "p", 1500),
        {"op": "seek_player", "session": "s", "player": "p", "position_ms": 1500},
        {},
        None,
    ),
    (
        lambda c: c.send_digits("s", "p", endpoint="a", digits="ww1#", tone_ms=80),
        {
            "op": "send_digits", "session": "s", "player": "p", "endpoint": "a", "digits": "ww1#", "tone_ms": 80,
            "gap_ms": 100,
        },
        {},
        None,
    ),
    (lambda c: c.stop_player("s", "p"), {"op": "stop_player", "session": "s", "player": "p"}, {}, None),
    (
        lambda c: c.open_recorder("s", "r", endpoint="a", path="/r.wav"),
        {"op": "open_recorder", "session": "s", "recorder": "r", "endpoint": "a", "path": "/r.wav"},
        {},
        None,
    ),
    (
        lambda c: c.close_recorder("s", "r"),
        {"op": "close_recorder", "session": "s", "recorder": "r"},
        RECORDER,
        RECORDER_STATISTICS,
    ),
    (
        lambda c: c.session_statistics("s"),
        {"op": "session_statistics", "session": "s"},
        SESSION,
        SESSION_STATISTICS,
    ),
    (
        lambda c: c.engine_statistics(),
        {"op": "engine_statistics"},
        ENGINE,
        EngineStatistics(1, 100, 50, 26.0, 90.5, 9000000),
    ),
    (lambda c: c.list_sessions(), {"op": "list_sessions"}, {"sessions": ["s"]}, ["s"]),
]  # fmt: skip


@pytest.fixture
async def client(engine):
    made = EngineClient(engine.path)
    await made.connect()
    yield made
    await made.close()


@pytest.mark.parametrize(("call", "request_", "reply", "result"), COMMANDS, ids=lambda value: str(value)[:40])
async def test_each_command_says_and_returns_what_the_protocol_has(
    engine, client, call, request_, reply, result
) -> None:
    engine.replies[request_["op"]] = reply
    assert await call(client) == result
    sent = engine.requests[-1]
    sent.pop("id")
    assert sent == request_


async def test_a_refusal_carries_the_engines_code(engine, client) -> None:
    engine.replies["open_endpoint"] = lambda request: {
        "id": request["id"],
        "error": {"code": "no-ports", "message": "all are in use"},
    }
    with pytest.raises(MediaEngineError) as refused:
        await client.open_endpoint("s", "a")
    assert (refused.value.code, refused.value.message) == ("no-ports", "all are in use")


async def test_events_reach_the_sink_of_their_session_only(engine, client) -> None:
    heard, told = [], asyncio.Event()
    client.subscribe("s1", lambda event: (heard.append(event), told.set()))
    other = []
    client.subscribe("s2", other.append)
    engine.tell(
        {"event": "dtmf", "session": "nobody", "endpoint": "a", "digit": "0", "duration_ms": 80},
        {"event": "dtmf", "session": "s1", "endpoint": "a", "digit": "1", "duration_ms": 80},
        dropped=7,
    )
    await told.wait()
    assert heard == [Dtmf("s1", "a", "1", 80)]
    assert other == []


async def test_a_failing_sink_does_not_keep_events_from_others(engine, client) -> None:
    told = asyncio.Event()
    client.subscribe("s1", lambda event: 1 / 0)
    client.subscribe("s2", lambda event: told.set())
    engine.tell(
        {"event": "unreachable", "session": "s1", "name": "a"}, {"event": "unreachable", "session": "s2", "name": "a"}
    )
    await told.wait()


async def test_closing_a_session_ends_its_subscription(engine, client) -> None:
    engine.replies["close_session"] = {"endpoints": {}, "forks": {}, "recorders": {}}
    heard, told = [], asyncio.Event()
    client.subscribe("s1", heard.append)
    client.subscribe("s2", lambda event: told.set())
    await client.close_session("s1")
    engine.tell(
        {"event": "unreachable", "session": "s1", "name": "a"}, {"event": "unreachable", "session": "s2", "name": "a"}
    )
    await told.wait()
    assert heard == []


async def test_loss_ends_every_session_and_new_commands_work_after_a_restart(engine, client, monkeypatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.0)
    engine.replies["open_endpoint"] = lambda request: None
    pending = asyncio.ensure_future(client.open_endpoint("s1", "a"))
    await engine.until("open_endpoint")
    heard, told = [], asyncio.Event()
    client.subscribe("s1", lambda event: (heard.append(event), told.set()))

    await engine.stop()
    with pytest.raises(MediaEngineError) as refused:
        await pending
    assert refused.value.code == LOST
    await told.wait()
    assert [(type(event), event.session) for event in heard] == [(EngineLost, "s1")]
    assert not client.connected
    with pytest.raises(MediaEngineError, match=LOST):
        await client.open_session("s2")

    engine.requests.clear()
    engine.replies["list_sessions"] = {"sessions": []}
    await engine.start()
    await client.connect()
    await client.open_session("s2")
    assert engine.operations() == ["hello", "list_sessions", "open_session"]
    assert len(heard) == 1


async def test_sessions_given_up_are_closed_when_the_engine_lived_on(engine, client, monkeypatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.0)
    told = asyncio.Event()
    client.subscribe("mine", lambda event: told.set())
    engine.replies["list_sessions"] = {"sessions": ["mine", "of another"]}
    engine.replies["close_session"] = {"endpoints": {}, "forks": {}, "recorders": {}}
    await engine.stop()
    await told.wait()
    await engine.start()
    await client.connect()
    assert [one["session"] for one in engine.requests if one["op"] == "close_session"] == ["mine"]


@pytest.fixture
def lasting(engine, monkeypatch) -> list[str]:
    """An engine that outlives its connections; the sessions that it has."""
    monkeypatch.setattr(module, "FIRST_RETRY", 0.0)
    sessions = ["s1"]
    engine.replies["hello"] = {**engine.hello, "instance": "one"}
    engine.replies["list_sessions"] = {"sessions": sessions}
    engine.replies["open_endpoint"] = PORTS
    return sessions


async def test_a_connection_that_breaks_ends_nothing(engine, lasting, client) -> None:
    heard, told = [], asyncio.Event()
    client.subscribe("s1", lambda event: (heard.append(event), told.set()))
    await client.open_session("s1")
    engine.tell({"event": "unreachable", "session": "s1", "name": "a"}, last_event=5)
    await told.wait()
    engine.replies["open_endpoint"] = lambda request: None
    under_way = asyncio.ensure_future(client.open_endpoint("s1", "a"))
    await engine.until("open_endpoint")
    engine.cut()
    while client.connected:
        await asyncio.sleep(0)
    engine.replies["open_endpoint"] = PORTS
    engine.requests.clear()
    waiting = client.set_route("s1", "a", None)
    assert await under_way == LocalPorts("127.0.0.1", 40000, 40001)
    assert await waiting is None
    assert engine.operations() == ["hello", "list_sessions", "open_endpoint", "set_route"]
    assert engine.requests[0]["resume"] == {"instance": "one", "last_event": 5}
    told.clear()
    engine.tell({"event": "dtmf", "session": "s1", "endpoint": "a", "digit": "1", "duration_ms": 80}, last_event=6)
    await told.wait()
    assert [type(event).__name__ for event in heard] == ["Unreachable", "Dtmf"]


async def test_sessions_that_the_engine_has_no_more_are_lost(engine, lasting, client) -> None:
    heard = {name: [] for name in ("s1", "gone", "opening", "not yet")}
    for name, events in heard.items():
        client.subscribe(name, events.append)
    for name in ("s1", "gone"):
        await client.open_session(name)
    engine.replies["open_session"] = lambda request: None
    opening = client.open_session("opening")
    await engine.until("open_session")
    engine.replies["open_session"] = {}
    engine.cut()
    await opening
    assert {name: [type(event) for event in events] for name, events in heard.items()} == {
        "s1": [], "gone": [EngineLost], "opening": [], "not yet": [],
    }  # fmt: skip


async def test_digits_are_not_sent_twice(engine, lasting, client) -> None:
    engine.replies["send_digits"] = lambda request: None
    under_way = asyncio.ensure_future(client.send_digits("s1", "p", endpoint="a", digits="1"))
    await engine.until("send_digits")
    engine.cut()
    with pytest.raises(MediaEngineError, match=LOST):
        await under_way
    engine.replies["send_digits"] = {}
    await client.send_digits("s1", "p", endpoint="a", digits="2")
    assert [one["digits"] for one in engine.requests if one["op"] == "send_digits"] == ["1", "2"]


async def test_patience_has_an_end(engine, lasting, client, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    engine.replies["close_session"] = {"endpoints": {}, "forks": {}, "recorders": {}}
    await client.open_session("s1")
    told = asyncio.Event()
    client.subscribe("s1", lambda event: told.set())
    greeting = engine.replies["hello"]
    engine.replies["hello"] = lambda request: None
    engine.cut()
    while client.connected:
        await asyncio.sleep(0)
    waiting = client.open_endpoint("s1", "a")
    await told.wait()
    with pytest.raises(MediaEngineError, match=LOST):
        await waiting
    with pytest.raises(MediaEngineError, match=LOST):
        client.set_route("s1", "a", None)
    engine.replies["hello"] = greeting
    engine.cut()
    await client.connect()
    assert [one["session"] for one in engine.requests if one["op"] == "close_session"] == ["s1"]


async def test_an_engine_that_speaks_otherwise_is_lost_at_once(engine, lasting, client) -> None:
    await client.open_session("s1")
    told = asyncio.Event()
    client.subscribe("s1", lambda event: told.set())
    engine.replies["close_session"] = {"endpoints": {}, "forks": {}, "recorders": {}}
    engine.say("nonsense")
    await told.wait()
    await client.connect()
    assert "resume" not in [one for one in engine.requests if one["op"] == "hello"][1]
    assert [one["session"] for one in engine.requests if one["op"] == "close_session"] == ["s1"]


async def test_a_close_that_was_not_heard_is_made_up_for(engine, lasting, client, monkeypatch) -> None:
    monkeypatch.setattr(module, "CLOSING_TIMEOUT", 0.0)
    await client.open_session("s1")
    engine.replies["close_session"] = lambda request: None
    with pytest.raises(MediaEngineError, match="engine-timeout"):
        await client.close_session("s1")
    engine.replies["close_session"] = {"endpoints": {}, "forks": {}, "recorders": {}}
    monkeypatch.setattr(module, "CLOSING_TIMEOUT", 3.0)
    engine.requests.clear()
    engine.cut()
    while client.connected:
        await asyncio.sleep(0)
    await client.connect()
    assert engine.operations() == ["hello", "list_sessions", "close_session"]


async def test_closing_while_an_engine_is_looked_for_ends_what_waits(engine, lasting, client) -> None:
    heard = []
    client.subscribe("s1", heard.append)
    engine.replies["hello"] = lambda request: None
    engine.cut()
    while client.connected:
        await asyncio.sleep(0)
    waiting = client.open_endpoint("s1", "a")
    await client.close()
    with pytest.raises(MediaEngineError, match=LOST):
        await waiting
    assert heard == []


async def test_closing_tells_nobody_and_stays_closed(engine, client) -> None:
    heard = []
    client.subscribe("s", heard.append)
    await client.close()
    await client.close()
    with pytest.raises(MediaEngineError, match=LOST):
        await client.list_sessions()
    assert heard == []


async def test_closing_ends_the_search_for_a_lost_engine(engine, client) -> None:
    told = asyncio.Event()
    client.subscribe("s", lambda event: told.set())
    await engine.stop()
    await told.wait()
    await client.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_connecting_twice_greets_once(engine, client) -> None:
    assert await client.connect() == client.hello
    assert engine.operations() == ["hello"]


async def test_connecting_waits_for_an_engine_that_is_starting(engine, monkeypatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY", 0.0)
    await engine.stop()
    client = EngineClient(engine.path)
    connecting = asyncio.create_task(client.connect())
    await asyncio.sleep(0)
    await engine.start()
    assert (await connecting).engine == "9.9.9"
    await client.close()


async def test_connecting_gives_up_with_the_reason(tmp_path) -> None:
    client = EngineClient(tmp_path / "nothing.sock")
    with pytest.raises(MediaEngineError, match=r"engine-lost: no media engine at .*No such file"):
        await client.connect(timeout=0.01)


async def test_another_protocol_version_is_not_tried_again(engine) -> None:
    engine.replies["hello"] = lambda request: {
        "id": request["id"],
        "error": {"code": "bad-version", "message": "this engine speaks 2"},
    }
    client = EngineClient(engine.path)
    with pytest.raises(MediaEngineError, match="bad-version"):
        await client.connect()
    assert engine.operations() == ["hello"]
