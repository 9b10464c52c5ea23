import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import PCMU
from sidestream.sdp.keying import Keying, new_cryptos
from sidestream.testing.phone.media import PhoneMedia
from sidestream.testing.phone.srtp import SRTP_SUITES, SrtpCipher
from sidestream.testing.phone.stream import RtpStream

SUITES = tuple(SRTP_SUITES)


def media(seed: int, suites: tuple[CryptoSuite, ...] = SUITES) -> PhoneMedia:
    ids = Ids(random.Random(seed))
    stream = RtpStream("127.0.0.1", ids, speech=None, loop_speech=True, cname="x", secure=bool(suites))
    return PhoneMedia(stream, (PCMU,), seed, suites=suites, ids=ids)


@pytest.fixture
def pair():
    made = media(1), media(2)
    yield made
    for one in made:
        one.stream.close()


@pytest.mark.parametrize("suite", SUITES)
def test_what_one_protects_the_other_opens(suite: CryptoSuite) -> None:
    one, two = (crypto.key for crypto in (*new_cryptos(Ids(), (suite,)), *new_cryptos(Ids(), (suite,))))
    here, there = SrtpCipher(Keying(one, two)), SrtpCipher(Keying(two, one))
    packet = bytes((0x80, 0, 0, 1)) + bytes(8) + b"hello"
    assert there.unprotect(here.protect(packet)) == packet
    assert there.unprotect(packet + bytes(16)) is None
    report = bytes((0x80, 201, 0, 1, 0, 0, 0, 7))
    assert here.unprotect_rtcp(there.protect_rtcp(report)) == report
    assert here.unprotect_rtcp(report + bytes(16)) is None


def test_two_phones_agree_and_hear_each_other(pair) -> None:
    caller, called = pair
    answer = called.answer(caller.offer())
    assert answer is not None
    caller.take_answer(answer)
    caller.stream.run(1.0)
    caller.stream.run(3.0)
    called.stream.receive_rtp()
    called.stream.receive_rtcp()
    assert len(called.stream.received) == len(caller.stream.sent) == 101
    assert len(called.stream.received_reports) == 1
    assert called.stream.refused == 0


def test_srtp_that_overtakes_the_answer_is_not_taken_for_rtp(pair) -> None:
    caller, called = pair
    answer = called.answer(caller.offer())
    called.stream.run(1.0)
    called.stream.run(3.0)
    caller.stream.receive_rtp()
    caller.stream.receive_rtcp()
    assert caller.stream.early == len(called.stream.sent) + 1
    assert caller.stream.received == caller.stream.received_reports == []
    caller.take_answer(answer)
    called.stream.run(3.02)
    caller.stream.receive_rtp()
    assert [one.packet for one in caller.stream.received] == [called.stream.sent[-1].packet]


def test_later_offers_keep_keys_and_counters(pair) -> None:
    caller, called = pair
    caller.take_answer(called.answer(caller.offer()))
    ciphers = caller.stream._cipher, called.stream._cipher
    caller.take_answer(called.answer(caller.offer()))
    called.take_answer(caller.answer(called.offer()))
    assert (caller.stream._cipher, called.stream._cipher) == ciphers


def test_what_the_key_does_not_fit_is_refused(pair) -> None:
    caller, called = pair
    caller.take_answer(called.answer(caller.offer()))
    for through, to in ((caller.stream.rtp, called.stream.port), (caller.stream.rtcp, called.stream.port + 1)):
        through.sendto(bytes((0x80, 0, 0, 1)) + bytes(40), ("127.0.0.1", to))
    called.stream.receive_rtp()
    called.stream.receive_rtcp()
    assert called.stream.refused == 2
    assert called.stream.received == []


def test_a_secure_phone_takes_nothing_else(pair) -> None:
    secure, _ = pair
    plain = media(3, ())
    narrow = media(4, SUITES[:1])
    try:
        assert secure.answer(plain.offer()) is None
        assert plain.answer(secure.offer()) is None
        assert narrow.answer(media_offer(secure, SUITES[0])) is None
        plain_answer = plain.answer(plain.offer())
        with pytest.raises(SdpError, match="no keys"):
            secure.take_answer(plain_answer)
    finally:
        plain.stream.close()
        narrow.stream.close()


def media_offer(phone: PhoneMedia, without: CryptoSuite) -> bytes:
    """The phone's offer without one of its suites."""
    return b"\r\n".join(row for row in phone.offer().split(b"\r\n") if without.value.encode() not in row)
