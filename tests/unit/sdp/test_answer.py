import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.answer import agreed_formats, answer, is_held, usable_lines
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import EVENTS, PCMA, PCMU, Format
from sidestream.sdp.keying import answering_crypto
from sidestream.sdp.lines import Origin
from sidestream.sdp.session import SessionDescription

ORIGIN = Origin("-", 9, 1, "192.0.2.1")


def parse(*rows: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", *rows)).encode())


def answered(offered: SessionDescription, *ports: int, direction: Direction = Direction.SENDRECV) -> SessionDescription:
    made = answer(
        offered,
        host="192.0.2.1",
        ports=dict(zip(usable_lines(offered), ports, strict=False)),
        formats=(PCMU, PCMA, EVENTS),
        direction=direction,
        origin=ORIGIN,
    )
    assert made is not None
    return made


MIXED = parse(
    "c=IN IP4 192.0.2.9",
    "m=video 5000 RTP/AVP 99",
    "m=audio 4000 RTP/AVP 8 96 18",
    "a=rtpmap:96 telephone-event/8000",
    "a=label:7",
    "a=sendonly",
    "m=audio 0 RTP/AVP 0",
    "m=audio 4002 RTP/AVP 0",
)


def test_every_line_is_answered_in_order() -> None:
    made = answered(MIXED, 6000)
    assert usable_lines(MIXED) == (1, 3)
    assert [(media.media, media.port) for media in made.media] == [
        ("video", 0),
        ("audio", 6000),
        ("audio", 0),
        ("audio", 0),
    ]
    line = made.media[1]
    assert line.formats == ("8", "96")
    assert line.rtpmaps() == (PCMA, Format(96, "TELEPHONE-EVENT", 8000, fmtp="0-16"))
    assert line.label == "7"
    assert made.origin == ORIGIN


@pytest.mark.parametrize(
    ("offered", "wanted", "given"),
    [
        ("sendrecv", Direction.SENDRECV, Direction.SENDRECV),
        ("sendonly", Direction.SENDRECV, Direction.RECVONLY),
        ("recvonly", Direction.SENDRECV, Direction.SENDONLY),
        ("inactive", Direction.SENDRECV, Direction.INACTIVE),
        ("sendrecv", Direction.RECVONLY, Direction.RECVONLY),
        ("recvonly", Direction.RECVONLY, Direction.INACTIVE),
    ],
)
def test_the_direction_of_an_answer(offered: str, wanted: Direction, given: Direction) -> None:
    made = answered(parse("m=audio 4000 RTP/AVP 0", f"a={offered}"), 6000, direction=wanted)
    assert made.media[0].direction is given


def test_nothing_acceptable_gives_no_answer() -> None:
    offered = parse("m=audio 4000 RTP/AVP 18 101", "a=rtpmap:101 telephone-event/8000")
    assert agreed_formats(offered.media[0], (PCMU, EVENTS)) == ()
    arguments = {"host": "192.0.2.1", "direction": Direction.SENDRECV, "origin": ORIGIN}
    assert answer(offered, ports={0: 6000}, formats=(PCMU, EVENTS), **arguments) is None  # type: ignore[arg-type]
    assert answer(parse("s=-"), ports={}, formats=(PCMU,), **arguments) is None  # type: ignore[arg-type]


def test_hold_is_seen_in_both_styles() -> None:
    assert is_held(parse("m=audio 4000 RTP/AVP 0", "a=sendonly"), 0)
    assert is_held(parse("m=audio 4000 RTP/AVP 0", "c=IN IP4 0.0.0.0"), 0)
    assert not is_held(parse("m=audio 4000 RTP/AVP 0"), 0)


def test_srtp_is_answered_with_our_key_in_the_profile_of_the_offer_or_not_at_all() -> None:
    offered = SessionDescription.parse(
        b"v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/SAVPF 0\n"
        b"a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n"
        b"m=audio 4002 RTP/AVP 0\n"
    )
    crypto = answering_crypto(offered.media[0], Ids())
    assert crypto is not None

    def answered(cryptos: dict[int, Crypto]) -> SessionDescription:
        made = answer(
            offered,
            host="198.51.100.1",
            ports={0: 6000, 1: 6002},
            formats=(PCMU,),
            direction=Direction.SENDRECV,
            origin=Origin("-", 1, 1, "198.51.100.1"),
            cryptos=cryptos,
        )
        assert made is not None
        return made

    secure, plain = answered({0: crypto, 1: crypto}).media
    assert (secure.protocol, secure.port, secure.cryptos) == ("RTP/SAVPF", 6000, (crypto,))
    assert (plain.protocol, plain.attribute("crypto")) == ("RTP/AVP", None)
    assert answered({}).media[0].is_refused


@pytest.mark.parametrize(
    ("types", "asks", "wanted", "given"),
    [("0", True, True, True), ("0", True, False, False), ("0", False, True, False), ("0 95", True, True, False)],
)
def test_a_port_is_shared_with_rtcp_if_both_want_it_and_it_can_be(
    types: str, asks: bool, wanted: bool, given: bool
) -> None:
    text = f"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4 RTP/AVP {types}\r\n"
    offered = SessionDescription.parse((text + ("a=rtcp-mux\r\n" if asks else "")).encode())
    answered = answer(
        offered,
        host="192.0.2.2",
        ports={0: 6},
        formats=(PCMU,),
        direction=Direction.SENDRECV,
        origin=Origin("-", 1, 1, "h"),
        rtcp_mux=wanted,
    )
    assert answered is not None
    assert answered.media[0].rtcp_mux is given
