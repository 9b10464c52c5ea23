import pytest

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA, PCMU
from sidestream.sdp.lines import Origin
from sidestream.sdp.remote import RemoteAddress
from sidestream.sdp.session import SessionDescription
from sidestream.siprec.src.lines import REFUSED, LineState, OfferedFork, answer_of, offer_of, states_of_answer

ORIGIN = Origin("-", 7, 1, "192.0.2.20")
FORKS = (
    OfferedFork("inbound", "SiVoBgVqT0KlDFNIWOucRg==", 40016, (PCMU, EVENTS)),
    OfferedFork("outbound", "e1gTxFOPT+OR9nesj5OZnA==", 40018, (PCMU, EVENTS)),
)


def parse(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", "c=IN IP4 192.0.2.50", *rows)).encode())


def active(port: int, *formats: object) -> LineState:
    return LineState(RemoteAddress("192.0.2.50", port, "192.0.2.50", port + 1), True, formats or (PCMU, EVENTS))  # type: ignore[arg-type]


def test_the_offer_of_two_forks() -> None:
    """C10, C12, C15: a labelled sendonly line for each direction of the call; labels unique and SDP tokens."""
    made = offer_of(FORKS, "192.0.2.20", ORIGIN)
    assert [(media.port, media.label, media.direction) for media in made.media] == [
        (40016, "inbound", Direction.SENDONLY),
        (40018, "outbound", Direction.SENDONLY),
    ]
    assert all(media.label is not None and media.label.isalpha() for media in made.media)
    assert made.media[0].formats == ("0", "101")


def test_a_refused_line_stays_in_place_with_port_0() -> None:
    """C14: m-lines are never deleted or reordered."""
    made = offer_of(FORKS, "192.0.2.20", ORIGIN, (REFUSED, active(6002)))
    assert [media.port for media in made.media] == [0, 40018]


def test_what_an_answer_means() -> None:
    """C43: where to send what, and nothing to refused, held or inactive lines."""
    answer = parse(
        "m=audio 6000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=recvonly", "m=audio 0 RTP/AVP 0"
    )
    assert states_of_answer(FORKS, answer) == (active(6000), REFUSED)


@pytest.mark.parametrize(
    "rows",
    [
        ("m=audio 6000 RTP/AVP 0", "a=inactive"),
        ("m=audio 6000 RTP/AVP 0", "a=sendonly"),
        ("m=audio 6000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=recvonly"),
    ],
)
def test_a_held_line_is_silent_but_not_refused(rows: tuple[str, ...]) -> None:
    """C43, B10."""
    state = states_of_answer(FORKS[:1], parse(*rows))[0]
    assert (state.active, state.refused) == (False, False)


@pytest.mark.parametrize(
    "rows",
    [
        (),
        ("m=audio 6000 RTP/AVP 8",),
        ("m=audio 6000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        ("m=audio 6000 RTP/AVP 96", "a=rtpmap:96 PCMU/8000"),
        ("m=audio 6000 RTP/SAVP 0",),
        ("m=video 6000 RTP/AVP 0",),
    ],
)
def test_a_line_with_nothing_in_common_is_refused(rows: tuple[str, ...]) -> None:
    """C43, M12: only payload types that both sides gave the same meaning may be sent."""
    assert states_of_answer(FORKS[:1], parse(*rows)) == (REFUSED,)


def test_a_line_without_an_address_is_refused() -> None:
    answer = SessionDescription.parse(b"v=0\r\nm=audio 6000 RTP/AVP 0\r\na=recvonly\r\n")
    assert states_of_answer(FORKS[:1], answer) == (REFUSED,)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("recvonly", Direction.SENDONLY),
        ("sendrecv", Direction.SENDONLY),
        ("inactive", Direction.INACTIVE),
        ("sendonly", Direction.INACTIVE),
    ],
)
def test_directions_of_our_answers(offered: str, answered: Direction) -> None:
    """C42."""
    made, states = answer_of(FORKS[:1], parse("m=audio 6000 RTP/AVP 0", f"a={offered}"), "192.0.2.20", ORIGIN)
    assert made.media[0].direction is answered
    assert made.media[0].label == "inbound"
    assert made.media[0].port == 40016
    assert states[0].active is (answered is Direction.SENDONLY)


def test_removed_and_added_lines_of_an_offer() -> None:
    """C42: port 0 is answered with port 0; an added m-line is refused."""
    offered = parse("m=audio 0 RTP/AVP 0", "m=audio 6002 RTP/AVP 0", "m=audio 6004 RTP/AVP 0")
    made, states = answer_of(FORKS, offered, "192.0.2.20", ORIGIN)
    assert [media.port for media in made.media] == [0, 40018, 0]
    assert states == (REFUSED, active(6002, PCMU))


def test_an_offer_that_lacks_lines_is_an_error() -> None:
    """C14, RFC 3264 §8."""
    with pytest.raises(SdpError, match="lacks m-lines") as caught:
        answer_of(FORKS, parse("m=audio 6000 RTP/AVP 0"), "192.0.2.20", ORIGIN)
    assert caught.value.status == 488


def test_codecs_that_are_not_ours_are_not_answered() -> None:
    made, _ = answer_of(FORKS[:1], parse("m=audio 6000 RTP/AVP 8 0"), "192.0.2.20", ORIGIN)
    assert made.media[0].rtpmaps() == (PCMU,)
    assert PCMA not in made.media[0].rtpmaps()
