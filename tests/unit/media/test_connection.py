import asyncio
from pathlib import Path
from types import NoneType

import msgspec
import pytest

from sidestream.media import connection as module
from sidestream.media.connection import COMMAND_TIMEOUT, EngineConnection, greet
from sidestream.media.engine import MediaEngineError
from sidestream.media.protocol import Events, Hello, Resume
from sidestream.media.requests import LOST, TIMEOUT, Requests


class Listener:
    """Keeps what a connection tells."""

    def __init__(self) -> None:
        self.batches: list[Events] = []
        self.reasons: list[str] = []
        self.lost = asyncio.Event()

    def events(self, batch: Events) -> None:
        self.batches.append(batch)

    def loss(self, _connection: EngineConnection, reason: str) -> None:
        self.reasons.append(reason)
        self.lost.set()


@pytest.fixture
async def listener():
    return Listener()


@pytest.fixture
async def connection(engine, listener):
    made, _ = await greet(engine.path, listener.events, listener.loss)
    yield made
    made.close()


async def test_greeting_asks_for_events_and_returns_the_hello(engine, listener) -> None:
    connection, hello = await greet(engine.path, listener.events, listener.loss)
    assert hello == Hello(1, "9.9.9", 42, 0, [])
    assert engine.requests == [{"id": 1, "op": "hello", "protocol": 1, "events": True}]
    assert connection.open
    connection.close()
    await listener.lost.wait()
    assert not connection.open


async def test_a_greeting_goes_on_where_a_connection_before_had_got_to(engine, listener) -> None:
    def greeted(request):
        engine.tell({"event": "unreachable", "session": "s", "name": "a"}, last_event=9)
        return {"id": request["id"], "ok": {**engine.hello, "instance": "one", "last_event": 12}}

    engine.replies["hello"] = greeted
    for resume, expected in ((Resume("one", 8), 9), (Resume("another", 8), 12), (None, 12)):
        connection, _ = await greet(engine.path, listener.events, listener.loss, resume=resume)
        assert engine.requests[-1].get("resume") == (resume and {"instance": resume.instance, "last_event": 8})
        assert connection.last_event == expected
        engine.tell({"event": "unreachable", "session": "s", "name": "b"}, last_event=13)
        await connection.exchange("next", dict, COMMAND_TIMEOUT, {})
        assert connection.last_event == 13
        connection.close()
        engine.cut()


async def test_what_lasts_goes_again_on_the_next_connection(engine, listener) -> None:
    requests = Requests()
    first, _ = await greet(engine.path, listener.events, listener.loss, requests=requests)
    for operation in ("kept", "dropped"):
        engine.replies[operation] = lambda request: None
    kept = first.exchange("kept", dict, COMMAND_TIMEOUT, {"n": 1}, lasting=True)
    dropped = first.exchange("dropped", dict, COMMAND_TIMEOUT, {})
    await engine.until("dropped")
    engine.cut()
    with pytest.raises(MediaEngineError, match=LOST):
        await dropped
    engine.replies["kept"] = {"n": 2}
    second, _ = await greet(engine.path, listener.events, listener.loss, requests=requests)
    assert not kept.done()
    second.repeat()
    assert await kept == {"n": 2}
    same = [request for request in engine.requests if request["op"] == "kept"]
    assert same[0] == same[1]
    second.close()


async def test_nobody_listening_is_a_lost_engine(tmp_path: Path, listener) -> None:
    with pytest.raises(MediaEngineError) as refused:
        await greet(tmp_path / "nothing.sock", listener.events, listener.loss)
    assert refused.value.code == LOST


async def test_a_refused_greeting_closes_the_connection(engine, listener) -> None:
    engine.replies["hello"] = lambda request: {
        "id": request["id"],
        "error": {"code": "bad-version", "message": "this is 2.0"},
    }
    with pytest.raises(MediaEngineError, match=r"bad-version: this is 2\.0"):
        await greet(engine.path, listener.events, listener.loss)
    await listener.lost.wait()


async def test_overlapping_requests_get_their_own_answers_in_any_order(engine, connection) -> None:
    held = []
    engine.replies["first"] = held.append
    first = asyncio.ensure_future(connection.exchange("first", dict, COMMAND_TIMEOUT, {}))
    await engine.until("first")
    assert await connection.exchange("second", dict, COMMAND_TIMEOUT, {"n": 2}) == {}
    engine.say(f'{{"id":{held[0]["id"]},"ok":{{"n":1}}}}')
    assert await first == {"n": 1}


async def test_a_missing_answer_times_out_and_a_late_one_is_dropped(engine, connection) -> None:
    held = []
    engine.replies["slow"] = held.append
    with pytest.raises(MediaEngineError) as refused:
        await connection.exchange("slow", dict, 0.0, {})
    assert refused.value.code == TIMEOUT
    await engine.until("slow")
    engine.say(f'{{"id":{held[0]["id"]},"ok":{{}}}}')
    assert await connection.exchange("next", dict, COMMAND_TIMEOUT, {}) == {}


async def test_each_request_has_its_own_time_whichever_was_first(engine, connection) -> None:
    for operation in ("long", "short", "middle"):
        engine.replies[operation] = lambda request: None
    long = connection.exchange("long", dict, COMMAND_TIMEOUT, {})
    short = connection.exchange("short", dict, 0.0, {})
    middle = connection.exchange("middle", dict, 0.002, {})
    for late in (short, middle):
        with pytest.raises(MediaEngineError, match=TIMEOUT):
            await late
    assert not long.done()
    long.cancel()


async def test_requests_leave_before_they_are_awaited(engine, connection) -> None:
    first = connection.exchange("first", dict, COMMAND_TIMEOUT, {})
    second = connection.exchange("second", NoneType, COMMAND_TIMEOUT, {})
    assert await second is None
    assert first.done()
    assert [request["op"] for request in engine.requests[1:]] == ["first", "second"]


async def test_a_cancelled_caller_gives_up_the_answer_only(engine, connection) -> None:
    engine.replies["slow"] = lambda request: None
    waiting = asyncio.ensure_future(connection.exchange("slow", dict, COMMAND_TIMEOUT, {}))
    await engine.until("slow")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await connection.exchange("next", dict, COMMAND_TIMEOUT, {}) == {}


async def test_loss_fails_what_waits_before_it_is_told(engine, connection, listener) -> None:
    engine.replies["slow"] = lambda request: None
    waiting = asyncio.ensure_future(connection.exchange("slow", dict, COMMAND_TIMEOUT, {}))
    await engine.until("slow")
    await engine.stop()
    with pytest.raises(MediaEngineError) as refused:
        await waiting
    assert refused.value.code == LOST
    assert len(listener.reasons) == 1
    with pytest.raises(MediaEngineError, match=LOST):
        await connection.exchange("next", dict, COMMAND_TIMEOUT, {})


async def test_lines_may_come_in_pieces_and_in_bunches(listener) -> None:
    connection = EngineConnection(Requests(), listener.events, listener.loss)
    line = b'{"events":[{"event":"unreachable","session":"s","name":"a"}],"dropped":1}\n'
    for octet in line:
        connection.data_received(bytes([octet]))
    connection.data_received(line + line + line[:10])
    connection.data_received(line[10:])
    assert [batch.dropped for batch in listener.batches] == [1, 1, 1, 1]


@pytest.mark.parametrize("line", ["nonsense", '{"id":1}', '{"events":[{}]}'])
async def test_a_line_that_makes_no_sense_ends_the_connection(engine, connection, listener, line: str) -> None:
    engine.say(line)
    engine.tell({"event": "unreachable", "session": "s", "name": "never read"})
    await listener.lost.wait()
    assert listener.reasons[0].startswith("protocol error")
    assert connection.misunderstood
    assert listener.batches == []


async def test_an_answer_of_the_wrong_shape_ends_the_connection(engine, connection, listener) -> None:
    engine.replies["ask"] = {"sessions": "many"}
    with pytest.raises(MediaEngineError, match="answer to ask"):
        await connection.exchange("ask", dict[str, int], COMMAND_TIMEOUT, {})
    await listener.lost.wait()


async def test_an_endless_line_ends_the_connection(engine, connection, listener, monkeypatch) -> None:
    monkeypatch.setattr(module, "RECEIVE_LIMIT", 100)
    connection.data_received(b"x" * 100)
    assert connection.open
    connection.data_received(b"x")
    await listener.lost.wait()
    assert "more than 100 octets" in listener.reasons[0]


async def test_an_error_that_names_no_request_is_no_loss(engine, connection) -> None:
    engine.say('{"id":null,"error":{"code":"bad-json","message":"?"}}')
    assert await connection.exchange("next", msgspec.Raw, COMMAND_TIMEOUT, {}) == msgspec.Raw(b"{}")
