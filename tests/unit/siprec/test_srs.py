import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.answer import usable_lines
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, Format
from sidestream.sdp.keying import answering_crypto
from sidestream.sdp.lines import Connection, Origin
from sidestream.sdp.session import SessionDescription
from sidestream.sip.headers import Headers
from sidestream.sip.message import Request
from sidestream.sip.uri import Uri
from sidestream.siprec.body import compose
from sidestream.siprec.srs import Kind, answer, chosen_formats, classify

ORIGIN = Origin("-", 77, 1, "192.0.2.50")
BOTH = compose(sdp=b"v=0\r\n", metadata=b"<recording/>", boundary="b")
SDP_ALONE = compose(sdp=b"v=0\r\n", metadata=None, boundary="b")


def invite(contact: str, *tags: tuple[str, str], both: bool = True) -> Request:
    body = BOTH if both else SDP_ALONE
    fields = [("Contact", contact), ("Content-Type", body.content_type or ""), *tags]
    return Request("INVITE", Uri.parse("sip:srs@192.0.2.1"), Headers(fields), body.data)


REQUIRE = ("Require", "siprec")


@pytest.mark.parametrize("strict", [False, True])
def test_both_signs_make_a_recording_session(strict: bool) -> None:
    """S1: with or without metadata."""
    for both in (False, True):
        found = classify(invite("<sip:SRC@192.0.2.10>;+sip.src", REQUIRE, both=both), strict=strict)
        assert (found.kind, found.missing) == (Kind.RECORDING, ())
    assert found.body.metadata == b"<recording/>"


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:SRC@192.0.2.10>;+sip.src",
        '<sip:SRC@192.0.2.10>;+sip.src="true"',
        "<sip:SRC@192.0.2.10>;src",
        "<sip:SRC@192.0.2.10;+sip.src>",
        "sip:SRC@192.0.2.10;+sip.src",
        "not an address;+sip.src",
    ],
)
def test_the_feature_tag_in_all_its_forms(contact: str) -> None:
    """I4."""
    assert classify(invite(contact, REQUIRE)).missing == ()


@pytest.mark.parametrize(
    ("contact", "tags", "missing"),
    [
        ("<sip:a@b>", (REQUIRE,), ("+sip.src",)),
        ("<sip:a@b>;+sip.src", (("Require", "100rel"),), ("siprec",)),
        ("<sip:a@b>;+sip.src", (), ("siprec",)),
    ],
)
def test_one_sign_with_a_recording_body_is_enough_unless_strict(
    contact: str, tags: tuple[tuple[str, str], ...], missing: tuple[str, ...]
) -> None:
    """S1, I5."""
    assert classify(invite(contact, *tags)).kind is Kind.RECORDING
    assert classify(invite(contact, *tags)).missing == missing
    assert classify(invite(contact, *tags), strict=True).kind is Kind.ORDINARY
    assert classify(invite(contact, *tags, both=False)).kind is Kind.ORDINARY


def test_neither_sign_is_an_ordinary_call() -> None:
    """S28."""
    assert classify(invite("<sip:a@b>")).kind is Kind.ORDINARY


def test_siprec_only_in_supported_counts() -> None:
    """I5."""
    assert classify(invite("<sip:a@b>;+sip.src", ("Supported", "timer, siprec"))).missing == ()


def offer(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", "c=IN IP4 192.0.2.9", *rows)).encode())


def answered(offered: SessionDescription, *, ready: bool = True) -> SessionDescription:
    ports = {index: 6000 + 2 * index for index in usable_lines(offered)}
    made = answer(offered, host="192.0.2.50", ports=ports, origin=ORIGIN, ready=ready)
    assert made is not None
    return made


TWO_LINES = offer(
    "m=audio 4000 RTP/AVP 18 8 0 96",
    "a=rtpmap:96 telephone-event/8000",
    "a=sendonly",
    "a=label:inbound",
    "m=video 4010 RTP/AVP 99",
    "a=label:picture",
    "m=audio 4002 RTP/AVP 0",
    "a=sendonly",
    "a=label:outbound",
)


def test_the_answer_of_a_recorder() -> None:
    """S5, S6, S7, S14, S31: recvonly, all lines in order, labels repeated, an o= and c= of our own."""
    made = answered(TWO_LINES)
    assert [(media.port, media.label, media.direction) for media in made.media] == [
        (6000, "inbound", Direction.RECVONLY),
        (0, None, None),
        (6004, "outbound", Direction.RECVONLY),
    ]
    assert made.origin == ORIGIN
    assert made.connection(0) == Connection("192.0.2.50")


def test_one_codec_a_line_and_its_events() -> None:
    assert chosen_formats(TWO_LINES.media[0]) == (PCMA, Format(96, "TELEPHONE-EVENT", 8000, fmtp="0-16"))
    assert chosen_formats(TWO_LINES.media[2]) == (PCMU,)
    assert chosen_formats(TWO_LINES.media[0], (Format(0, "G722", 8000), EVENTS)) == ()


@pytest.mark.parametrize(
    ("offered", "ready", "expected"),
    [
        ("sendonly", True, Direction.RECVONLY),
        ("sendrecv", True, Direction.RECVONLY),
        ("inactive", True, Direction.INACTIVE),
        ("recvonly", True, Direction.INACTIVE),
        ("sendonly", False, Direction.INACTIVE),
    ],
)
def test_directions_of_the_answer(offered: str, ready: bool, expected: Direction) -> None:
    """S5: never anything that would send."""
    made = answered(offer("m=audio 4000 RTP/AVP 0", f"a={offered}"), ready=ready)
    assert made.media[0].direction is expected


def test_an_offer_without_direction_or_label() -> None:
    """S5, S15, I14."""
    made = answered(offer("m=audio 4000 RTP/AVP 0"))
    assert (made.media[0].direction, made.media[0].label) == (Direction.RECVONLY, None)


def test_nothing_to_record_gives_no_answer() -> None:
    offered = offer("m=audio 4000 RTP/AVP 18")
    assert answer(offered, host="192.0.2.50", ports={0: 6000}, origin=ORIGIN) is None
    assert answer(TWO_LINES, host="192.0.2.50", ports={}, origin=ORIGIN) is None


def test_srtp_is_answered_with_a_key_of_the_recorder() -> None:
    """S13."""
    offered = SessionDescription.parse(
        b"v=0\r\nc=IN IP4 192.0.2.20\r\nm=audio 40016 RTP/SAVP 0\r\n"
        b"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:D1XUCwxWKr43/V91ZNrdz41mggc7XcajhKkolPwt\r\na=sendonly\r\n"
        b"m=audio 40018 RTP/AVP 0\r\na=sendonly\r\n"
    )
    crypto = answering_crypto(offered.media[0], Ids())
    assert crypto is not None
    ports = {index: 6000 + 2 * index for index in usable_lines(offered)}
    made = answer(offered, host="192.0.2.50", ports=ports, origin=ORIGIN, cryptos={0: crypto})
    assert made is not None
    assert [(line.protocol, line.port, line.cryptos) for line in made.media] == [
        ("RTP/SAVP", 6000, (crypto,)),
        ("RTP/AVP", 6002, ()),
    ]
    keyless = answer(offered, host="192.0.2.50", ports=ports, origin=ORIGIN)
    assert keyless is not None
    assert [line.port for line in keyless.media] == [0, 6002]
