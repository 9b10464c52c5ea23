"""The streams of a session, from offer to forks."""

import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import PCMU
from sidestream.sdp.keying import answering_crypto
from sidestream.sdp.session import SessionDescription
from sidestream.sip.message import Message, parse_message
from sidestream.siprec.src.lines import OfferedFork
from sidestream.siprec.src.media import SrcMedia

FORKS = (OfferedFork("inbound", "aW4=", 40016, (PCMU,)), OfferedFork("outbound", "b3V0", 40018, (PCMU,)))
SUITES = (CryptoSuite.AES_CM_128_HMAC_SHA1_80,)
IDS = Ids(random.Random(1))


def made(*suites: CryptoSuite) -> SrcMedia:
    media = SrcMedia("192.0.2.20", IDS)
    media.begin(FORKS, suites)
    return media


def response(*rows: str) -> Message:
    body = "".join(f"{row}\r\n" for row in ("v=0", "c=IN IP4 192.0.2.50", *rows))
    head = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    head += f"Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
    return parse_message((head + body).encode())


BOTH = ("m=audio 6000 RTP/AVP 0", "a=recvonly", "m=audio 6002 RTP/AVP 0", "a=recvonly")
ONE = ("m=audio 6000 RTP/AVP 0", "a=recvonly", "m=audio 0 RTP/AVP 0")


def test_what_the_server_takes_starts_its_forks_and_nothing_else() -> None:
    media = made()
    media.offer()
    forks = media.apply(media.answered(response(*ONE)))
    assert [(fork.label, fork.active) for fork in forks] == [("inbound", True), ("outbound", False)]
    assert media.streams == (("inbound", "aW4="),)
    assert media.apply(media.lines) == []
    assert [(fork.label, fork.active) for fork in media.silence()] == [("inbound", False)]


def test_an_answer_is_not_in_force_before_it_is_applied() -> None:
    media = made()
    media.offer()
    media.answered(response(*BOTH))
    assert media.silence() == []


def test_an_offer_of_the_server_is_answered_in_one_session() -> None:
    media = made()
    first = media.offer()
    media.apply(media.answered(response(*BOTH)))
    held = SessionDescription.parse(b"v=0\r\nc=IN IP4 192.0.2.50\r\nm=audio 6000 RTP/AVP 0\r\na=inactive\r\n")
    with pytest.raises(SdpError):
        media.answer(held)  # a line is missing
    rows = ("v=0", "c=IN IP4 192.0.2.50", "m=audio 6000 RTP/AVP 0", "a=inactive", *BOTH[2:])
    answered, lines = media.answer(SessionDescription.parse("\r\n".join(rows).encode()))
    assert first.origin is not None
    assert answered.origin == first.origin.with_version(first.origin.version + 1)
    assert [(fork.label, fork.active) for fork in media.apply(lines)] == [("inbound", False)]


def test_an_answer_without_a_description_is_none() -> None:
    media = made()
    media.offer()
    bare = parse_message(response(*BOTH).to_bytes().replace(b"application/sdp", b"text/plain"))
    with pytest.raises(SdpError):
        media.answered(bare)


def test_each_line_of_srtp_has_keys_of_its_own_which_stay() -> None:
    media = made(*SUITES)
    offer = media.offer()
    keys = [line.cryptos[0].key for line in offer.media]
    assert keys[0] != keys[1]
    rows = []
    for index, line in enumerate(offer.media):
        crypto = answering_crypto(line, IDS)
        assert crypto is not None
        rows += [f"m=audio {6000 + 2 * index} RTP/SAVP 0", f"a={crypto.to_line().value}", "a=recvonly"]
    forks = media.apply(media.answered(response(*rows)))
    assert [fork.keying is not None and fork.keying.send for fork in forks] == keys
    assert [line.cryptos[0].key for line in media.offer().media] == keys
