import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import Connection, Line, Origin
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.session import LINE_LIMIT, MEDIA_LIMIT, SIZE_LIMIT, SessionDescription

TEXT = b"""v=0
o=- 3981438904 1 IN IP4 192.0.2.20
s=Sidestream
i=an unknown tongue \xff
c=IN IP4 192.0.2.20
t=0 0
a=tool:hand
z=unknown line
m=audio 40016 RTP/AVP 0 101
b=AS:64
a=rtpmap:101 telephone-event/8000
a=X-odd : spaced
a=sendonly
m=audio 40018 RTP/AVP 0
c=IN IP4 192.0.2.21
a=label:outbound
""".replace(b"\n", b"\r\n")


def test_a_description_reads_back_with_its_unknown_lines() -> None:
    assert SessionDescription.parse(TEXT).to_bytes() == TEXT


def test_bare_line_feeds_and_blank_lines_are_tolerated() -> None:
    loose = TEXT.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n\n \n"
    assert SessionDescription.parse(loose) == SessionDescription.parse(TEXT)


def test_the_model_of_a_description() -> None:
    description = SessionDescription.parse(TEXT)
    assert description.origin == Origin("-", 3981438904, 1, "192.0.2.20")
    assert description.attribute_values("tool") == ("hand",)
    assert [media.port for media in description.media] == [40016, 40018]
    assert [description.connection(i) for i in (0, 1)] == [Connection("192.0.2.20"), Connection("192.0.2.21")]
    assert [description.direction(i) for i in (0, 1)] == [Direction.SENDONLY, Direction.SENDRECV]


kinds = st.sampled_from("abefghijklnpqrstuwxyzABZ")
values = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)
plain_lines = st.lists(st.builds(Line, kinds, values), max_size=5).map(tuple)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
medias = st.builds(
    MediaDescription,
    media=tokens,
    port=st.integers(0, 65535),
    protocol=tokens,
    formats=st.lists(tokens, min_size=1, max_size=4).map(tuple),
    lines=plain_lines,
    port_count=st.integers(1, 9),
)


@given(
    st.builds(
        lambda head, media: SessionDescription((Line("v", "0"), *head), media),
        plain_lines,
        st.lists(medias, max_size=4).map(tuple),
    )
)
def test_every_model_reads_back(description: SessionDescription) -> None:
    assert SessionDescription.parse(description.to_bytes()) == description


@given(st.binary(max_size=200).map(lambda tail: b"v=0\r\n" + tail))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    try:
        description = SessionDescription.parse(data)
    except SdpError:
        return
    again = SessionDescription.parse(description.to_bytes())
    assert again == description
    assert again.origin == description.origin


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"o=- 1 1 IN IP4 x\r\n", "line 1: does not begin"),
        (b"v=1\r\n", "line 1: does not begin"),
        (b"v=0\r\nnonsense\r\n", "line 2: malformed line"),
        (b"v=0\r\n=1\r\n", "line 2: malformed line"),
        (b"v=0\r\nv\r\n", "line 2: malformed line"),
        (b"v=0\r\n1=1\r\n", "line 2: malformed line"),
        (b"v=0\r\no=-\r\n", "line 2: malformed o="),
        (b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN\r\n", "line 3: malformed c="),
        (b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * (MEDIA_LIMIT + 1), f"line {MEDIA_LIMIT + 2}: more than"),
        (b"v=0\r\n" + b"\n" * LINE_LIMIT, "lines exceed"),
        (b"v=0\r\n" + b"a" * SIZE_LIMIT, "octets exceed"),
    ],
)
def test_what_cannot_be_read_is_an_error(data: bytes, problem: str) -> None:
    with pytest.raises(SdpError, match=problem):
        SessionDescription.parse(data)


def parse(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", *rows)).encode())


def test_missing_lines_are_tolerated() -> None:
    """I14: no o=, s=, t= or c= line."""
    description = parse("m=audio 4000 RTP/AVP 0")
    assert description.origin is None
    assert description.connection(0) is None
    assert description.direction(0) is Direction.SENDRECV


@pytest.mark.parametrize(
    ("rows", "direction"),
    [
        (("a=inactive", "m=audio 4000 RTP/AVP 0"), Direction.INACTIVE),
        (("a=inactive", "m=audio 4000 RTP/AVP 0", "a=recvonly"), Direction.RECVONLY),
        (("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"), Direction.SENDONLY),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=recvonly"), Direction.INACTIVE),
        (("c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "a=recvonly"), Direction.RECVONLY),
    ],
)
def test_the_direction_in_force(rows: tuple[str, ...], direction: Direction) -> None:
    assert parse(*rows).direction(0) is direction


def test_an_origin_is_put_in_place_or_replaced() -> None:
    origin = Origin("-", 7, 1, "192.0.2.1")
    for rows in ((), ("o=- 1 1 IN IP4 x",)):
        changed = parse(*rows, "s=-").with_origin(origin)
        assert changed.to_bytes() == b"v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\n"


def test_the_version_rises_with_each_change_and_only_then() -> None:
    """C14: o= version +1 on a change, the same when nothing changed."""
    first = parse("o=- 7 1 IN IP4 x", "s=a")
    assert first.succeeding(None) == first
    assert first.succeeding(parse("s=a")) == first
    assert parse("o=- 9 9 IN IP4 x", "s=a").succeeding(first) == first
    changed = parse("o=- 9 9 IN IP4 x", "s=b").succeeding(first)
    assert changed.origin == Origin("-", 7, 2, "x")


def test_session_lines_can_be_replaced() -> None:
    assert parse("s=a").with_lines([Line("v", "0")]) == parse()
