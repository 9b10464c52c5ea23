import json

import pytest

from sidestream.base.secret import Secret
from sidestream.media.engine import (
    Address,
    Dtmf,
    FirstPacket,
    ForkStarted,
    Format,
    Latched,
    PlayerEnded,
    Side,
    SilenceTimeout,
    SrtpKey,
    SsrcChanged,
    Unauthenticated,
    Unreachable,
)
from sidestream.media.protocol import Answer, Events, ProtocolError, Refusal, parse_line, request_line

# The examples of docs/topics/media-protocol.md §7, each with what it means.
EVENTS = [
    ('{"event":"first_packet","session":"CA01","endpoint":"a","at_ns":1764000000000000000}',
     FirstPacket("CA01", "a", 1764000000000000000)),
    ('{"event":"latched","session":"CA01","endpoint":"a","remote":{"host":"127.0.0.1","port":30000}}',
     Latched("CA01", "a", Address("127.0.0.1", 30000))),
    ('{"event":"silence_timeout","session":"CA01","endpoint":"a","silent_ms":30000}',
     SilenceTimeout("CA01", "a", 30000)),
    ('{"event":"dtmf","session":"CA01","endpoint":"a","digit":"5","duration_ms":100}', Dtmf("CA01", "a", "5", 100)),
    ('{"event":"ssrc_changed","session":"CA01","endpoint":"a","old":17,"new":4022250974}',
     SsrcChanged("CA01", "a", 17, 4022250974)),
    ('{"event":"unauthenticated","session":"CA01","endpoint":"a"}', Unauthenticated("CA01", "a")),
    ('{"event":"unreachable","session":"CA01","name":"SR01/inbound"}', Unreachable("CA01", "SR01/inbound")),
    ('{"event":"fork_started","session":"CA01","fork":"SR01","at_ns":7}', ForkStarted("CA01", "SR01", 7)),
    ('{"event":"player_ended","session":"CA01","player":"say-1","completed":true}', PlayerEnded("CA01", "say-1", True)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "event"), EVENTS)
def test_each_event_is_read(text: str, event: object) -> None:
    assert parse_line(f'{{"events":[{text}],"dropped":3}}'.encode()) == Events([event], 3)  # type: ignore[list-item]


def test_unknown_events_and_fields_are_left_out() -> None:
    line = b'{"events":[{"event":"weather"},{"event":"dtmf","session":"s","endpoint":"a","digit":"1",'
    line += b'"duration_ms":80,"volume":10}],"dropped":0,"of":"the future"}'
    assert parse_line(line) == Events([Dtmf("s", "a", "1", 80)], 0)  # type: ignore[list-item]


def test_answers_are_read() -> None:
    ok = parse_line(b'{"id":7,"ok":{"host":"h"}}')
    assert isinstance(ok, Answer)
    assert (ok.id, bytes(ok.ok or b""), ok.error) == (7, b'{"host":"h"}', None)
    assert parse_line(b'{"id":8,"error":{"code":"no-session","message":"no session CA01"}}') == Answer(
        8, None, Refusal("no-session", "no session CA01")
    )
    assert parse_line(b'{"id":null,"error":{"code":"bad-json","message":"?"}}') == Answer(
        None, None, Refusal("bad-json", "?")
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"id":1}',
        b'{"id":"seven","ok":{}}',
        b'{"events":[{"event":"dtmf"}],"dropped":0}',
        b'{"events":[{}],"dropped":0}',
        b'{"events":7}',
    ],
)
def test_what_the_protocol_does_not_allow_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_line(line)


def test_requests_are_one_line_of_json() -> None:
    fields = {
        "session": "CA\n01",
        "remote": Address("127.0.0.1", 4000),
        "formats": (Format(0, "PCMU", 8000),),
        "side": Side.INBOUND,
        "remote_rtcp": None,
    }
    line = request_line(3, "configure_fork", fields)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "id": 3,
        "op": "configure_fork",
        "session": "CA\n01",
        "remote": {"host": "127.0.0.1", "port": 4000},
        "formats": [{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000, "channels": 1}],
        "side": "inbound",
        "remote_rtcp": None,
    }


def test_keys_are_told_to_the_engine_and_shown_to_nobody_else() -> None:
    key = SrtpKey("AES_CM_128_HMAC_SHA1_80", Secret("c2VjcmV0"), "01")
    told = json.loads(request_line(3, "configure_fork", {"send_key": key}))["send_key"]
    assert told == {"suite": "AES_CM_128_HMAC_SHA1_80", "key": "c2VjcmV0", "mki": "01"}
    assert "c2VjcmV0" not in f"{key!r} {key}"


def test_what_has_no_json_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="object"):
        request_line(3, "play", {"path": object()})
