import random
from dataclasses import replace

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import Crypto, CryptoSuite
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA, PCMU
from sidestream.sdp.keying import Keying, answering_crypto, new_cryptos
from sidestream.sdp.lines import Origin
from sidestream.sdp.remote import RemoteAddress
from sidestream.sdp.session import SessionDescription
from sidestream.siprec.src.lines import (
    REFUSED,
    Cryptos,
    LineState,
    OfferedFork,
    answer_of,
    kept_cryptos,
    offer_of,
    states_of_answer,
)

IDS = Ids(random.Random(1))
ORIGIN = Origin("-", 7, 1, "192.0.2.20")
FORKS = (
    OfferedFork("inbound", "SiVoBgVqT0KlDFNIWOucRg==", 40016, (PCMU, EVENTS)),
    OfferedFork("outbound", "e1gTxFOPT+OR9nesj5OZnA==", 40018, (PCMU, EVENTS)),
)
OFFER = offer_of(FORKS, "192.0.2.20", ORIGIN)
CRYPTOS = (new_cryptos(IDS), new_cryptos(IDS))
SECURE_OFFER = offer_of(FORKS, "192.0.2.20", ORIGIN, cryptos=CRYPTOS)


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
    assert states_of_answer(FORKS, OFFER, answer) == (active(6000), REFUSED)


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
    state = states_of_answer(FORKS[:1], OFFER, parse(*rows))[0]
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
    assert states_of_answer(FORKS[:1], OFFER, parse(*rows)) == (REFUSED,)


def test_a_line_without_an_address_is_refused() -> None:
    answer = SessionDescription.parse(b"v=0\r\nm=audio 6000 RTP/AVP 0\r\na=recvonly\r\n")
    assert states_of_answer(FORKS[:1], OFFER, answer) == (REFUSED,)


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
    made, states = answer_of(FORKS[:1], parse("m=audio 6000 RTP/AVP 0", f"a={offered}"), "192.0.2.20", ORIGIN, ids=IDS)
    assert made.media[0].direction is answered
    assert made.media[0].label == "inbound"
    assert made.media[0].port == 40016
    assert states[0].active is (answered is Direction.SENDONLY)


def test_removed_and_added_lines_of_an_offer() -> None:
    """C42: port 0 is answered with port 0; an added m-line is refused."""
    offered = parse("m=audio 0 RTP/AVP 0", "m=audio 6002 RTP/AVP 0", "m=audio 6004 RTP/AVP 0")
    made, states = answer_of(FORKS, offered, "192.0.2.20", ORIGIN, ids=IDS)
    assert [media.port for media in made.media] == [0, 40018, 0]
    assert states == (REFUSED, active(6002, PCMU))


def test_an_offer_that_lacks_lines_is_an_error() -> None:
    """C14, RFC 3264 §8."""
    with pytest.raises(SdpError, match="lacks m-lines") as caught:
        answer_of(FORKS, parse("m=audio 6000 RTP/AVP 0"), "192.0.2.20", ORIGIN, ids=IDS)
    assert caught.value.status == 488


def test_codecs_that_are_not_ours_are_not_answered() -> None:
    made, _ = answer_of(FORKS[:1], parse("m=audio 6000 RTP/AVP 8 0"), "192.0.2.20", ORIGIN, ids=IDS)
    assert made.media[0].rtpmaps() == (PCMU,)
    assert PCMA not in made.media[0].rtpmaps()


def secure(port: int, *cryptos: Crypto) -> tuple[str, ...]:
    return (f"m=audio {port} RTP/SAVP 0", *(str(crypto.to_line()) for crypto in cryptos), "a=recvonly")


def theirs(offered: Cryptos, suite: CryptoSuite = CryptoSuite.AES_CM_128_HMAC_SHA1_80) -> Crypto:
    """What a recorder of this suite answers to one line of ours."""
    (line,) = offer_of(FORKS[:1], "192.0.2.20", ORIGIN, cryptos=(offered,)).media
    crypto = answering_crypto(line, IDS, suites=(suite,))
    assert crypto is not None
    return crypto


def test_a_secure_offer_has_keys_of_its_own_for_each_line() -> None:
    """M1, M2: no mixture; suites in order of preference."""
    assert {media.protocol for media in SECURE_OFFER.media} == {"RTP/SAVP"}
    assert tuple(media.cryptos for media in SECURE_OFFER.media) == CRYPTOS
    keys = [crypto.key.key.reveal() for line in CRYPTOS for crypto in line]
    assert len(set(keys)) == len(keys) == 4


def test_a_secure_answer_agrees_on_one_suite_and_two_keys() -> None:
    """M3; and M4: the next offer has the agreed key alone."""
    answers = [theirs(line) for line in CRYPTOS]
    found = states_of_answer(FORKS, SECURE_OFFER, parse(*secure(6000, answers[0]), *secure(6002, answers[1])))
    assert [state.keying for state in found] == [
        Keying(CRYPTOS[0][1].key, answers[0].key),
        Keying(CRYPTOS[1][1].key, answers[1].key),
    ]
    kept = [kept_cryptos(*line) for line in zip(SECURE_OFFER.media, found, CRYPTOS, strict=True)]
    assert kept == [(CRYPTOS[0][1],), (CRYPTOS[1][1],)]
    assert kept_cryptos(SECURE_OFFER.media[0], REFUSED, CRYPTOS[0]) == CRYPTOS[0]


def test_an_answer_without_keys_or_in_plain_rtp_makes_a_secure_line_unusable() -> None:
    """M3, B39: never a silent fall-back."""
    wrong_tag = replace(theirs(CRYPTOS[0]), tag=9)
    for rows in (secure(6000), secure(6000, wrong_tag), ("m=audio 6000 RTP/AVP 0", "a=recvonly")):
        assert states_of_answer(FORKS[:1], SECURE_OFFER, parse(*rows)) == (REFUSED,)
    assert states_of_answer(FORKS[:1], OFFER, parse(*secure(6000, theirs(CRYPTOS[0])))) == (REFUSED,)


def answered(
    rows: tuple[str, ...], state: LineState, cryptos: tuple[Cryptos, ...]
) -> tuple[SessionDescription, LineState]:
    made, (found,) = answer_of(FORKS[:1], parse(*rows), "192.0.2.20", ORIGIN, states=(state,), cryptos=cryptos, ids=IDS)
    return made, found


def test_our_key_stays_while_the_recorder_does_and_is_new_when_it_moves() -> None:
    """M4, RFC 4568 §7.1.4."""
    offered, ours = theirs(CRYPTOS[0]), CRYPTOS[0][1]
    stayed, state = answered(secure(6000, offered), active(6000), ((ours,),))
    assert stayed.media[0].cryptos == (Crypto(offered.tag, ours.key),)
    assert state.keying == Keying(ours.key, offered.key)
    moved, state = answered(secure(7000, offered), active(6000), ((ours,),))
    (crypto,) = moved.media[0].cryptos
    assert crypto.key.key != ours.key.key
    assert state.keying == Keying(crypto.key, offered.key)


@pytest.mark.parametrize("is_secure", [True, False])
def test_an_offer_of_the_other_profile_is_refused(is_secure: bool) -> None:
    """B35: a server cannot talk us out of SRTP; and M1: nor into it."""
    rows = ("m=audio 6000 RTP/AVP 0", "a=recvonly") if is_secure else secure(6000, theirs(CRYPTOS[0]))
    made, state = answered(rows, active(6000), CRYPTOS[:1] if is_secure else ())
    assert state == REFUSED
    assert made.media[0].is_refused


def test_an_offer_of_other_suites_or_without_an_address_is_refused() -> None:
    (other,) = new_cryptos(IDS, (CryptoSuite.AES_CM_128_HMAC_SHA1_32,))
    assert answered(secure(6000, other), active(6000), CRYPTOS[:1])[1] == REFUSED
    bare = SessionDescription.parse("\r\n".join(("v=0", *secure(6000, theirs(CRYPTOS[0])))).encode())
    _, (state,) = answer_of(FORKS[:1], bare, "192.0.2.20", ORIGIN, states=(REFUSED,), cryptos=CRYPTOS[:1], ids=IDS)
    assert state == REFUSED
