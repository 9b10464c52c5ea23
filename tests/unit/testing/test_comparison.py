import numpy as np
import pytest

from sidestream.testing import g711
from sidestream.testing.comparison import Comparison, Difference, Span, compare
from sidestream.testing.speech import CALLER, read_speech


@pytest.fixture(scope="module")
def sent():
    """Three seconds of speech as a receiver of PCMU hears it."""
    return g711.decode(g711.encode(read_speech(CALLER)[:24000], "PCMU"), "PCMU")


def _silence(samples: int):
    return np.zeros(samples, dtype=np.int16)


def test_a_part_of_what_was_sent_is_found_and_equal(sent) -> None:
    recorded = np.concatenate([_silence(333), sent[8000:16000], _silence(1000)])
    result = compare(recorded, sent)
    assert result.whole
    [span] = result.spans
    assert span.sent_start - span.recorded_start == 8000 - 333
    assert 7900 <= result.compared <= 8000


def test_the_first_wrong_sample_is_named(sent) -> None:
    recorded = sent[4000:12000].copy()
    recorded[5000] += 4
    result = compare(recorded, sent)
    assert not result.equal
    assert result.difference == Difference(5000, 9000, int(sent[9000]) + 4, int(sent[9000]))


@pytest.mark.parametrize("place", [0, 7, 200])
def test_a_wrong_sample_at_the_very_beginning_is_named_too(sent, place: int) -> None:
    recorded = sent[4000:12000].copy()
    recorded[place] += 600
    result = compare(recorded, sent)
    assert result.difference == Difference(place, 4000 + place, int(sent[4000 + place]) + 600, int(sent[4000 + place]))


def test_gaps_of_silence_separate_equal_spans(sent) -> None:
    recorded = np.concatenate([sent[:4000], _silence(1600), sent[4000:8000], _silence(160), sent[8160:12000]])
    result = compare(recorded, sent)
    assert result.equal
    assert not result.whole
    starts = [span.sent_start for span in result.spans]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert result.compared >= 11500


def test_a_short_piece_between_two_gaps_is_compared(sent) -> None:
    recorded = np.concatenate([sent[:4000], _silence(800), sent[4000:4160], _silence(800), sent[4160:8000]])
    result = compare(recorded, sent)
    assert result.equal
    assert result.compared >= 7900


def test_a_cut_without_silence_is_a_difference(sent) -> None:
    loudest = int(np.argmax(np.abs(sent[2000:10000].astype(int)))) + 2000
    recorded = np.concatenate([sent[loudest - 1500 : loudest], sent[loudest + 80 : loudest + 4000]])
    result = compare(recorded, sent)
    assert result.difference is not None
    assert 1500 <= result.difference.recorded_index < 1520


def test_what_was_said_before_must_not_come_again(sent) -> None:
    recorded = np.concatenate([sent[8000:12000], _silence(800), sent[2000:6000]])
    assert compare(recorded, sent).difference is not None


def test_looped_speech_is_matched_where_most_of_it_fits(sent) -> None:
    looped = np.concatenate([sent[:4000], sent[:4000], sent[:6000]])
    recorded = looped[4100:13500]
    result = compare(recorded, looped)
    assert result.whole
    assert result.spans[0].sent_start - result.spans[0].recorded_start == 4100


def test_another_speaker_is_not_equal(sent) -> None:
    other = -sent[::-1][:8000].copy()
    result = compare(other, sent)
    assert not result.equal
    assert result.difference is not None


def test_more_than_was_sent_is_a_difference(sent) -> None:
    recorded = np.concatenate([sent[-4000:], np.full(500, 1000, dtype=np.int16)])
    difference = compare(recorded, sent).difference
    assert difference is not None
    assert (difference.recorded_index, difference.sent_index) == (4000, 24000)
    assert compare(sent, sent[:100]).difference is not None


def test_silence_is_nothing_to_compare(sent) -> None:
    result = compare(_silence(1000), sent)
    assert result == Comparison((), None)
    assert not result.equal


def test_spans_are_counted() -> None:
    assert Comparison((Span(0, 0, 5), Span(9, 9, 6)), None).compared == 11
