import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import LocalError, MessageError
from sidestream.sip.framing import StreamFramer
from sidestream.sip.headers import MAX_FIELD_LENGTH, Headers
from sidestream.sip.message import MAX_MESSAGE_SIZE, Request, Response, parse_message
from sidestream.sip.uri import Uri

CORE = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
    ("From", "<sip:a@example.com>;tag=1"),
    ("To", "<sip:b@example.com>"),
    ("Call-ID", "c1"),
]
CORE_BYTES = (
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@example.com>;tag=1\r\n"
    b"To: <sip:b@example.com>\r\n"
    b"Call-ID: c1\r\n"
)


def headers(*more):
    return Headers([*CORE, *more])


# name, wire bytes, object: read, written, read byte by byte and with bytes behind.
TABLE = [
    (
        "request",
        b"OPTIONS sip:b@example.com SIP/2.0\r\n" + CORE_BYTES + b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        Request("OPTIONS", Uri.parse("sip:b@example.com"), headers(("CSeq", "1 OPTIONS"), ("Content-Length", "0"))),
    ),
    (
        "request with a body that looks like a head",
        b"INVITE tel:+1;phone-context=x SIP/2.0\r\n"
        + CORE_BYTES
        + b"CSeq: 1 INVITE\r\nContent-Type: text/plain\r\nContent-Length: 17\r\n\r\nX: y\r\n\r\n\r\nl: 5\r\n\n",
        Request(
            "INVITE",
            Uri.parse("tel:+1;phone-context=x"),
            headers(("CSeq", "1 INVITE"), ("Content-Type", "text/plain"), ("Content-Length", "17")),
            b"X: y\r\n\r\n\r\nl: 5\r\n\n",
        ),
    ),
    (
        "response",
        b"SIP/2.0 180 Ringing\r\n" + CORE_BYTES + b"CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        Response(180, "Ringing", headers(("CSeq", "1 INVITE"), ("Content-Length", "0"))),
    ),
    (
        "response without reason",
        b"SIP/2.0 100 \r\n" + CORE_BYTES + b"CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        Response(100, "", headers(("CSeq", "1 INVITE"), ("Content-Length", "0"))),
    ),
    (
        "octets that are no UTF-8",
        b"SIP/2.0 200 \xff\xfe OK\r\n"
        + CORE_BYTES
        + b"CSeq: 1 INVITE\r\nSubject: \xe9t\xe9\r\nContent-Length: 4\r\n\r\n\x00\xff\r\n",
        Response(
            200,
            "\udcff\udcfe OK",
            headers(("CSeq", "1 INVITE"), ("Subject", "\udce9t\udce9"), ("Content-Length", "4")),
            b"\x00\xff\r\n",
        ),
    ),
]
NAMES = [name for name, _, _ in TABLE]


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in TABLE], ids=NAMES)
def test_the_table_is_read(data, message):
    assert parse_message(data) == message
    assert parse_message(b"\r\n\r\n" + data) == message


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in TABLE], ids=NAMES)
def test_the_table_is_written(data, message):
    assert message.to_bytes() == data


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in TABLE], ids=NAMES)
def test_bytes_behind_a_datagrams_message_are_cut(data, message):
    # RFC 3261 §18.3
    assert parse_message(data + b"INVITE sip:x SIP/2.0\r\n") == message


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in TABLE], ids=NAMES)
def test_the_table_survives_a_stream_byte_by_byte(data, message):
    framer = StreamFramer()
    frames = [frame for byte in data + data[:9] for frame in framer.feed(bytes([byte]))]
    assert [parse_message(frame) for frame in frames] == [message]
    assert framer.pending == 9


def test_content_length_is_written_from_the_body():
    request = parse_message(TABLE[0][1])
    request.body = b"abc"
    assert request.to_bytes().endswith(b"\r\nContent-Length: 3\r\n\r\nabc")
    assert request.to_bytes().count(b"Content-Length") == 1


def test_a_datagram_without_content_length_is_all_body():
    data = TABLE[0][1].replace(b"Content-Length: 0\r\n", b"")
    assert parse_message(data + b"abc").body == b"abc"
    assert parse_message(data[:-2]).body == b""
    assert parse_message(data[:-4]).body == b""


@pytest.mark.parametrize("line", [b"SIP/2.0 200", b"sip/2.0 200 OK", b"SIP/2.0 200  two  blanks "])
def test_loose_status_lines(line):
    assert parse_message(TABLE[2][1].replace(b"SIP/2.0 180 Ringing", line)).status == 200


def mutated(old, new):
    assert old in TABLE[0][1]
    return TABLE[0][1].replace(old, new)


START = b"OPTIONS sip:b@example.com SIP/2.0"
BAD_REQUESTS = [
    (mutated(START, b"OPTIONS sip:b@example.com"), "400 Malformed request line"),
    (mutated(START, b"OPTIONS  sip:b@example.com SIP/2.0"), "400 Malformed request line"),
    (mutated(START, b"OPTIONS sip:b@example.com SIP/2.0 "), "400 Malformed request line"),
    (mutated(START, b"OPTIONS sip:b@example.com; lr SIP/2.0"), "400 Malformed request line"),
    (mutated(START, b"OPT<IONS sip:b@example.com SIP/2.0"), "400 Malformed request line"),
    (mutated(START, b"OPTIONS sip:b@example.com HTTP/1.1"), "400 Malformed request line"),
    (mutated(START, b"OPTIONS <sip:b@example.com> SIP/2.0"), "400 Malformed URI"),
    (mutated(START, b"OPTIONS sip:b@example.com?a=b SIP/2.0"), "400 Malformed Request-URI"),
    (mutated(START, b"OPTIONS sip:b@example.com SIP/3.0"), "505 Version Not Supported"),
    (mutated(START, b"OPTIONS sip:b@example.com  SIP/12.0"), "505 Version Not Supported"),
    (mutated(START, b"OPTIONS sip:" + b"x" * MAX_FIELD_LENGTH + b" SIP/2.0"), "414 Request-URI Too Long"),
    (mutated(b"1 OPTIONS", b"1 INVITE"), "400 CSeq Method Mismatch"),
    (mutated(b"1 OPTIONS", b"1 options"), "400 CSeq Method Mismatch"),
    (mutated(b"1 OPTIONS", b"one OPTIONS"), "400 Malformed CSeq"),
    (mutated(b"SIP/2.0/UDP 192.0.2.1", b"UDP"), "400 Malformed Via"),
    (mutated(b"Content-Length: 0", b"Content-Length: 1"), "400 Body Shorter Than Content-Length"),
    (mutated(b"Content-Length: 0", b"Content-Length: -1"), "400 Malformed Content-Length"),
    (mutated(b"Content-Length: 0", b"Content-Length: 99999"), "400 Malformed Content-Length"),
    (mutated(b"Content-Length: 0", b"l: 0\r\nContent-Length: 1"), "400 Conflicting Content-Length"),
    (mutated(b"Call-ID: c1", b"Call-ID: c1\r\nno colon"), "400 Malformed header field"),
    (mutated(b"Call-ID: c1", b"Call-ID: c1\nX: y"), "400 Malformed header field"),
    (mutated(b"Call-ID: c1\r\n", b""), "400 Missing Call-ID"),
    (mutated(b"From: <sip:a@example.com>;tag=1\r\n", b""), "400 Missing From"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), BAD_REQUESTS)
def test_a_bad_request_carries_its_answer(data, problem):
    with pytest.raises(MessageError) as caught:
        parse_message(data)
    assert str(caught.value) == problem
    answer = caught.value.answer
    assert f"{answer.status} {answer.reason}" == problem
    assert answer.headers.get_all("Via")
    assert answer.headers.get("CSeq")
    assert ";tag=" in answer.headers.get("To")
    assert answer.to_bytes().startswith(b"SIP/2.0 " + problem.encode())
    with pytest.raises(MessageError) as again:
        parse_message(data)
    assert again.value.answer == answer


@pytest.mark.parametrize(
    ("to", "answered"),
    [
        ("<sip:b@h>;tag=7", "<sip:b@h>;tag=7"),
        ('"open <sip:b@h>;Tag = 7', '"open <sip:b@h>;Tag = 7'),
    ],
)
def test_an_answer_keeps_a_tag(to, answered):
    with pytest.raises(MessageError) as caught:
        parse_message(mutated(b"<sip:b@example.com>\r\n", to.encode() + b"\r\nbad\r\n"))
    assert caught.value.answer.headers.get("To") == answered


def test_an_answer_repeats_what_there_is():
    with pytest.raises(MessageError, match="Missing To") as caught:
        parse_message(mutated(b"To: <sip:b@example.com>\r\n", b"v: SIP/2.0/TCP b, SIP/2.0/TCP c\r\n"))
    assert caught.value.answer.headers.items() == [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("Via", "SIP/2.0/TCP b, SIP/2.0/TCP c"),
        ("From", "<sip:a@example.com>;tag=1"),
        ("Call-ID", "c1"),
        ("CSeq", "1 OPTIONS"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        TABLE[2][1].replace(b"Ringing", b"Ring\ring"),
        TABLE[2][1].replace(b"Ringing", b"Ring\nX-Injected: 1"),
        mutated(b"CSeq: 1 OPTIONS\r\n", b""),
        mutated(b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n", b""),
        mutated(START, b"ACK sip:b@example.com SIP/2.0"),
        TABLE[2][1].replace(b"180", b"4294967301"),
        TABLE[2][1].replace(b"180", b"099"),
        TABLE[2][1].replace(b"SIP/2.0 180", b"SIP/3.0 180"),
        TABLE[2][1].replace(b"Call-ID", b"no colon"),
        TABLE[2][1].replace(b"CSeq: 1 INVITE", b"CSeq: 9292394834772304023312 INVITE"),
        TABLE[2][1].replace(b"Content-Length: 0", b"Content-Length: 1"),
        b"x" * (MAX_MESSAGE_SIZE + 1),
    ],
)
def test_what_cannot_be_answered_is_dropped(data):
    with pytest.raises(MessageError) as caught:
        parse_message(data)
    assert caught.value.answer is None


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_raise_a_message_error(data):
    for candidate in (data, TABLE[0][1][: len(data)] + data, START + b"\r\n" + data + TABLE[0][1][len(START) :]):
        try:
            message = parse_message(candidate)
        except MessageError:
            continue
        assert parse_message(message.to_bytes()).body == message.body


@given(
    st.sampled_from(["INVITE", "!int%45*"]),
    st.binary(max_size=200),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])),
    st.integers(0, 2**32 - 1),
)
def test_any_message_survives_the_wire(method, body, text, number):
    text = text.strip(" \t")
    request = Request(method, Uri.sip(text or None, "h"), headers(("CSeq", f"{number} {method}"), ("X-A", text)), body)
    request.headers.add("Content-Length", str(len(body)))
    assert parse_message(request.to_bytes()) == request
    response = request.response(200, text)
    response.headers.add("Content-Length", "0")
    assert parse_message(response.to_bytes()) == response


@pytest.mark.parametrize(
    "message",
    [
        Request("INVITE", Uri("sip", "a b", host="h")),
        Request("INVITE", Uri("sip", host="h", params=(("x", "a\r\nX: y"),))),
        Request("INV ITE", Uri("sip", host="h")),
        Request("INVITE", Uri("", opaque="")),
        Response(200, "OK\r\nX: y"),
        Response(200, "OK\n"),
        Response(200, "OK", Headers([("Subject", "\ud800")])),
    ],
)
def test_what_no_start_line_can_hold_is_refused(message):
    with pytest.raises(LocalError):
        message.to_bytes()


def test_a_response_repeats_the_request():
    request = parse_message(
        TABLE[0][1].replace(b"Call-ID", b"Record-Route: <sip:p;lr>\r\nv: SIP/2.0/TCP b, SIP/2.0/TCP c\r\nCall-ID")
    )
    response = request.response(404)
    assert (response.status, response.reason, response.body) == (404, "Not Found", b"")
    assert response.headers.items() == [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("Via", "SIP/2.0/TCP b, SIP/2.0/TCP c"),
        ("From", "<sip:a@example.com>;tag=1"),
        ("To", "<sip:b@example.com>"),
        ("Call-ID", "c1"),
        ("CSeq", "1 OPTIONS"),
    ]
    tagged = request.response(180, "Bell", to_tag="t")
    assert (tagged.reason, tagged.to.tag) == ("Bell", "t")
    request.headers.replace("To", "<sip:b@example.com>;tag=first")
    assert request.response(200, to_tag="t").to.tag == "first"


def test_the_source_is_noted_in_the_topmost_via():
    request = parse_message(TABLE[0][1].replace(b"bK1\r\n", b"bK1;rport, SIP/2.0/TCP b\r\nv: SIP/2.0/TCP c\r\n"))
    request.note_source("192.0.2.9", 6000)
    assert request.headers.get_all("Via") == [
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=6000;received=192.0.2.9",
        "SIP/2.0/TCP b",
        "SIP/2.0/TCP c",
    ]
    plain = parse_message(TABLE[0][1])
    plain.note_source("192.0.2.1", 5060)
    assert plain == parse_message(TABLE[0][1])
