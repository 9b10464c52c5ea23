import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import MessageError
from sidestream.sip.framing import MAX_HEAD_SIZE, KeepAlive, StreamFramer
from sidestream.sip.message import MAX_MESSAGE_SIZE

HEAD = b"INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n"
FIRST = HEAD + b"Content-Length: 5\r\n\r\nab\r\n\r"
SECOND = HEAD + b"l : 0\r\n\r\n"
FOLDED = HEAD + b"CONTENT-length:\r\n \r\n\t 0003 \r\nX-A: y\r\n\r\n\r\n\r"
PING = b"\r\n\r\n"


def frames(*chunks):
    framer = StreamFramer()
    return [frame for chunk in chunks for frame in framer.feed(chunk)]


STREAMS = [
    ("one message", FIRST, [FIRST]),
    ("two messages", FIRST + SECOND, [FIRST, SECOND]),
    ("a folded length", FOLDED + SECOND, [FOLDED, SECOND]),
    ("a ping", PING, [KeepAlive.PING]),
    (
        "pings between messages",
        PING + FIRST + PING + PING + SECOND,
        [KeepAlive.PING, FIRST, KeepAlive.PING, KeepAlive.PING, SECOND],
    ),
    ("a lone line break", b"\r\n" + FIRST + b"\r\n" + SECOND, [FIRST, SECOND]),
    ("a ping and a half", PING + b"\r\n" + FIRST, [KeepAlive.PING, FIRST]),
    ("equal lengths", HEAD + b"l: 1\r\nContent-Length: 1\r\n\r\nx", [HEAD + b"l: 1\r\nContent-Length: 1\r\n\r\nx"]),
    ("a length inside a value", HEAD + b"X-A: \r\n l: 7\r\nl: 0\r\n\r\n", [HEAD + b"X-A: \r\n l: 7\r\nl: 0\r\n\r\n"]),
]


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_a_stream_is_cut_whole_and_byte_by_byte(data, expected):
    assert frames(data) == expected
    assert frames(*[bytes([byte]) for byte in data]) == expected


@given(st.lists(st.integers(1, 200), max_size=20))
def test_a_stream_is_cut_alike_at_any_split(sizes):
    data = PING + FIRST + SECOND + b"\r\n" + FOLDED + PING
    chunks, position = [], 0
    for size in sizes:
        chunks.append(data[position : position + size])
        position += size
    assert frames(*chunks, data[position:]) == [KeepAlive.PING, FIRST, SECOND, FOLDED, KeepAlive.PING]


def test_nothing_is_given_before_it_is_complete():
    framer = StreamFramer()
    assert list(framer.feed(FIRST[:-1])) == []
    assert framer.pending == len(FIRST) - 1
    assert list(framer.feed(FIRST[-1:])) == [FIRST]
    assert framer.pending == 0
    assert list(framer.feed(b"")) == []
    assert list(framer.feed(b"\r\n\r")) == []
    assert framer.pending == 0  # it may stay for ever


BAD = [
    ("no length", HEAD + b"\r\n", "400 Missing Content-Length", True),
    ("no fields", b"GET / HTTP/1.1\r\n\r\n", "400 Missing Content-Length", False),
    ("a negative length", HEAD + b"l: -1\r\n\r\n", "400 Malformed Content-Length", True),
    ("a length in words", HEAD + b"l: five\r\n\r\n", "400 Malformed Content-Length", True),
    ("an empty length", HEAD + b"l:\r\n\r\n", "400 Malformed Content-Length", True),
    ("different lengths", HEAD + b"l: 1\r\nContent-Length: 2\r\n\r\n", "400 Conflicting Content-Length", True),
    ("too long a body", HEAD + b"l: %d\r\n\r\n" % MAX_MESSAGE_SIZE, "513 Message Too Large", True),
    ("far too long a body", HEAD + b"l: 1%s\r\n\r\n" % (b"0" * 99), "400 Malformed Content-Length", True),
    ("too long a head", HEAD + b"X-A: " + b"y" * MAX_HEAD_SIZE, "513 Message Too Large", False),
    ("too long a whole head", HEAD + b"X-A: " + b"y" * MAX_HEAD_SIZE + PING, "513 Message Too Large", False),
    ("junk behind a carriage return", b"\rjunk\r\n\r\n", "400 Missing Content-Length", False),
    ("a bad response", b"SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 A\r\n\r\n", "400 Missing Content-Length", False),
]


@pytest.mark.parametrize(("data", "problem", "answered"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_lost_end_is_an_error_after_what_came_before(data, problem, answered):
    framer = StreamFramer()
    assert list(framer.feed(PING + FIRST)) == [KeepAlive.PING, FIRST]
    with pytest.raises(MessageError) as caught:
        list(framer.feed(data))
    assert str(caught.value) == problem
    assert (caught.value.answer is not None) == answered


def test_frames_before_a_lost_end_in_the_same_bytes_are_given_first():
    stream = StreamFramer().feed(FIRST + HEAD + b"\r\n")
    assert next(stream) == FIRST
    with pytest.raises(MessageError, match="Missing Content-Length"):
        next(stream)


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_are_framed_or_raise_a_message_error(chunks):
    try:
        got = frames(*chunks)
    except MessageError:
        return
    assert all(isinstance(frame, bytes | KeepAlive) for frame in got)


def test_a_pong_is_a_single_crlf_that_was_waited_for():
    framer = StreamFramer()
    framer.expect_pong()
    assert list(framer.feed(b"\r")) == []
    assert list(framer.feed(b"\n" + FIRST)) == [KeepAlive.PONG, FIRST]
    assert list(framer.feed(b"\r\n" + FIRST)) == [FIRST]
    assert list(framer.feed(b"\r\n\r\n")) == [KeepAlive.PING]
