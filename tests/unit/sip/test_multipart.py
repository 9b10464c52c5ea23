import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.errors import LocalError, MessageError
from sidestream.sip.headers import Headers
from sidestream.sip.multipart import MAX_NESTING, MAX_PARTS, Part, build_multipart, find_part, leaves, parse_multipart
from sidestream.sip.values import ContentType, Disposition

SDP = ContentType("application", "sdp")
XML = ContentType("application", "rs-metadata+xml")
METADATA = Headers([("Content-Disposition", "recording-session")])
PARTS = [Part(SDP, body=b"v=0\r\ns=-\r\n"), Part(XML, METADATA, b"<recording/>")]

# name, Content-Type value, body, parts: read and written, read with bytes around.
TABLE = [
    (
        "sdp and metadata",
        'multipart/mixed;boundary="ss-1"',
        b"--ss-1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n"
        b"--ss-1\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n"
        b"<recording/>\r\n--ss-1--\r\n",
        PARTS,
    ),
    (
        "empty part",
        'multipart/mixed;boundary="x y"',
        b"--x y\r\nContent-Type: application/sdp\r\n\r\n\r\n--x y--\r\n",
        [Part(SDP)],
    ),
]


@pytest.mark.parametrize(("content_type", "body", "parts"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table_reads_and_writes(content_type, body, parts):
    declared = ContentType.parse(content_type)
    assert list(parse_multipart(declared, body)) == parts
    assert list(parse_multipart(declared, b"preamble\r\n" + body + b"epilogue\r\n--ss-1\r\nx")) == parts
    assert build_multipart(parts, declared.param("boundary")) == (content_type, body)


# siprec.md has the products that send these forms.
LOOSE = [
    ("unquoted boundary", "multipart/mixed;boundary=b", b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
    ("blank before the parameter", "multipart/mixed; boundary=b", b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
    (
        "boundary with equals signs",
        "multipart/mixed; boundary=--=_1",
        b"----=_1\r\nContent-Type: a/b\r\n\r\nx\r\n----=_1--",
    ),
    ("declared with a trailing blank", 'multipart/mixed;boundary="b "', b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
    ("blanks behind delimiters", "multipart/mixed;boundary=b", b"--b  \t\r\nContent-Type: a/b\r\n\r\nx\r\n--b-- \r\n"),
    ("bare line feeds", "multipart/mixed;boundary=b", b"\n--b\nContent-Type: a/b\n\nx\n--b--\n"),
    ("mixed line breaks", "multipart/mixed;boundary=b", b"--b\nContent-Type: a/b\r\n\nx\r\n--b--\n"),
    ("no final delimiter", "multipart/mixed;boundary=b", b"--b\r\nContent-Type: a/b\r\n\r\nx"),
    ("no blank behind the colon", "multipart/mixed;boundary=b", b"--b\r\nCONTENT-TYPE:a/b\r\n\r\nx\r\n--b--"),
    ("a length of its own", "multipart/mixed;boundary=b", b"--b\r\nContent-Length: 99\r\nc: a/b\r\n\r\nx\r\n--b--"),
    ("a line that makes no sense", "multipart/mixed;boundary=b", b"--b\r\nwhat\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
    ("no boundary parameter", "multipart/mixed", b"\r\n--b \r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
    ("any subtype", "multipart/alternative;boundary=b", b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--"),
]


@pytest.mark.parametrize(("content_type", "body"), [row[1:] for row in LOOSE], ids=[row[0] for row in LOOSE])
def test_what_products_send_is_read(content_type, body):
    (part,) = parse_multipart(ContentType.parse(content_type), body)
    assert (part.content_type, part.body) == (ContentType("a", "b"), b"x")


B = ContentType("multipart", "mixed", (("boundary", "b"),))


def test_bodies_are_not_touched():
    body = b"a\nb\r\n\r\n --b\r\n--bc\r\nx--b\r\n\x00\xff\r"
    (part,) = parse_multipart(B, b"--b\r\n\r\n" + body + b"\r\n--b--")
    assert (part.content_type.media_type, part.body) == ("text/plain", body)


def test_the_last_line_break_of_a_part_may_be_missing():
    sdp, xml = parse_multipart(B, b"--b\r\nc: application/sdp\r\n\r\nv=0\r\n--b\r\nc: a/b\r\n\r\n<x/>\r\n--b--\r\n")
    assert (sdp.body, xml.body) == (b"v=0", b"<x/>")


def test_odd_parts():
    parts = parse_multipart(B, b"--b\r\n--b\r\nX-A: y\r\n--b\r\nc: nonsense\r\n\r\n\xff\r\n--b\r\n\nx\r\n--b\r\n")
    assert [(part.content_type.media_type, part.body) for part in parts] == [
        ("text/plain", b""),
        ("text/plain", b""),
        ("application/octet-stream", b"\xff"),
        ("text/plain", b"x"),
    ]
    assert parts[1].headers.get("X-A") == "y"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/sdp", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", b""),
        ("multipart/mixed;boundary=b", b"no delimiter"),
        ("multipart/mixed;boundary=b", b"--c\r\n\r\nx\r\n--c--"),
        ("multipart/mixed;boundary=b", b"--b--\r\n"),
        ("multipart/mixed;boundary=b", b"--b\r\n"),
        ("multipart/mixed", b"no delimiter"),
        ("multipart/mixed;boundary=b", b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 1)),
    ],
)
def test_what_is_no_multipart_body_is_refused(content_type, body):
    with pytest.raises(MessageError, match="400 Malformed multipart"):
        parse_multipart(ContentType.parse(content_type), body)


def test_as_many_parts_as_allowed():
    body = b"--b\r\n\r\nx\r\n" * MAX_PARTS
    assert len(parse_multipart(B, body)) == MAX_PARTS
    assert len(parse_multipart(B, body + b"--b--")) == MAX_PARTS


def test_parts_are_found_by_type():
    assert find_part(PARTS, "application/rs-metadata", "application/rs-metadata+xml") is PARTS[1]
    assert find_part(PARTS, "text/plain") is None


def test_dispositions():
    assert PARTS[1].disposition == Disposition("recording-session")
    assert PARTS[0].disposition is None
    assert Part(SDP, Headers([("Content-Disposition", ";;")])).disposition is None


def nested(depth):
    value, body = build_multipart(PARTS, "b0")
    for level in range(1, depth):
        value, body = build_multipart([Part(ContentType.parse(value), body=body), Part(SDP)], f"n{level}")
    return ContentType.parse(value), body


def test_leaves_are_found_at_any_depth():
    assert list(leaves(SDP, b"x")) == [Part(SDP, body=b"x")]
    assert list(leaves(*nested(1))) == PARTS
    assert list(leaves(*nested(MAX_NESTING))) == PARTS + [Part(SDP)] * (MAX_NESTING - 1)
    with pytest.raises(MessageError, match="400 Multipart Nested Too Deeply"):
        leaves(*nested(MAX_NESTING + 1))


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ends in blank ", "a\r\nb", 'a"b', "ä"])
def test_a_boundary_that_is_none_is_refused(boundary):
    with pytest.raises(LocalError, match="not a boundary"):
        build_multipart(PARTS, boundary)


def test_a_boundary_that_occurs_in_a_part_is_refused():
    with pytest.raises(LocalError, match="occurs in a part"):
        build_multipart([Part(SDP, body=b"x\r\n--ss-12")], "ss-1")


def test_nothing_is_no_multipart_body():
    with pytest.raises(LocalError, match="needs a part"):
        build_multipart([], "b")


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_any_octets_survive(bodies):
    parts = [Part(SDP, Headers([("Content-Disposition", "session")]), body) for body in bodies]
    value, data = build_multipart(parts, "a-boundary-that-no-example-has")
    assert list(parse_multipart(ContentType.parse(value), data)) == parts


@given(st.binary(max_size=200))
def test_any_body_parses_or_raises_a_message_error(body):
    for candidate in (body, b"--b\r\n" + body + b"\r\n--b" + body):
        try:
            leaves(B, candidate)
        except MessageError:
            continue
