import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.content import RTP_PROTOCOL, SRTP_PROTOCOL
from sidestream.sdp.crypto import Crypto, CryptoSuite
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import PCMU
from sidestream.sdp.keying import DEFAULT_SUITES, Keying, answering_crypto, keying, new_cryptos
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.offer import AudioLine, media_of

GCM, CM = DEFAULT_SUITES


@pytest.fixture
def ids() -> Ids:
    return Ids(random.Random(1))


def line(*cryptos: Crypto, protocol: str = SRTP_PROTOCOL) -> MediaDescription:
    return media_of(AudioLine(4000, (PCMU,), Direction.SENDRECV, protocol=protocol, cryptos=cryptos))


def test_each_line_of_an_offer_has_a_tag_and_a_key_of_its_own(ids: Ids) -> None:
    first, second = new_cryptos(ids), new_cryptos(ids)
    assert [(c.tag, c.key.suite) for c in first] == [(1, GCM), (2, CM)]
    assert len({c.key.key.reveal() for c in (*first, *second)}) == 4
    assert line(*first).cryptos == first


def test_the_answer_takes_the_first_line_it_can_with_a_key_of_its_own(ids: Ids) -> None:
    offered = new_cryptos(ids)
    ours = answering_crypto(line(*offered), ids)
    assert ours is not None
    assert (ours.tag, ours.key.suite) == (1, GCM)
    assert keying(line(*offered), line(ours)) == Keying(offered[0].key, ours.key)
    assert keying(line(ours), line(*offered)) == Keying(ours.key, offered[0].key)
    narrow = answering_crypto(line(*offered), ids, suites=(CM,))
    assert narrow is not None
    assert (narrow.tag, narrow.key.suite) == (2, CM)
    assert keying(line(*offered), line(narrow)) == Keying(offered[1].key, narrow.key)


def test_nothing_in_common_is_no_answer(ids: Ids) -> None:
    assert answering_crypto(line(*new_cryptos(ids, (GCM,))), ids, suites=(CM,)) is None
    assert answering_crypto(line(*new_cryptos(ids), protocol=RTP_PROTOCOL), ids) is None


def test_a_later_answer_keeps_its_key_unless_the_suite_changes(ids: Ids) -> None:
    first = answering_crypto(line(*new_cryptos(ids, (CM,))), ids)
    assert first is not None
    again = answering_crypto(line(*(Crypto(5, c.key) for c in new_cryptos(ids, (CM,)))), ids, mine=(first,))
    assert again == Crypto(5, first.key)
    other = answering_crypto(line(*new_cryptos(ids, (GCM,))), ids, mine=(first,))
    assert other is not None
    assert other.key.suite is GCM


def test_our_own_key_sent_back_is_never_used_for_both_directions(ids: Ids) -> None:
    (ours,) = new_cryptos(ids, (CM,))
    answer = answering_crypto(line(ours), ids, mine=(ours,))
    assert answer is not None
    assert answer.key.key != ours.key.key
    assert keying(line(ours), line(ours)) is None


@pytest.mark.parametrize(("tag", "suite"), [(3, CM), (1, CM), (2, CryptoSuite.AES_CM_128_HMAC_SHA1_32)])
def test_an_answer_that_was_not_offered_agrees_on_nothing(ids: Ids, tag: int, suite: CryptoSuite) -> None:
    (answered,) = new_cryptos(ids, (suite,))
    assert keying(line(*new_cryptos(ids)), line(Crypto(tag, answered.key))) is None


def test_an_answer_of_no_or_several_lines_agrees_on_nothing(ids: Ids) -> None:
    assert keying(line(*new_cryptos(ids)), line(*new_cryptos(ids))) is None
    assert keying(line(*new_cryptos(ids)), line()) is None
