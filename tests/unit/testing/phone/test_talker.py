import numpy as np
import pytest

from sidestream.testing import g711
from sidestream.testing.phone.talker import Talk, Talker
from sidestream.testing.rtp import parse_event

MU = Talk("PCMU", 0, 101)
SPEECH = np.arange(-4000, 4000, 20, dtype=np.int16)  # 400 samples: two packets and a half


def _talker(speech=SPEECH, *, loop: bool = False, sequence: int = 5, timestamp: int = 1000) -> Talker:
    return Talker(speech, loop=loop, ssrc=7, sequence=sequence, timestamp=timestamp)


def _heard(packets) -> np.ndarray:
    return np.concatenate([g711.decode(one.payload, "PCMU") for one in packets])


def test_speech_leaves_in_packets_of_20_ms() -> None:
    talker = _talker()
    packets = [talker.tick(MU) for _ in range(3)]
    assert [(one.sequence, one.timestamp, one.marker) for one in packets] == [
        (5, 1000, True),
        (6, 1160, False),
        (7, 1320, False),
    ]
    assert {(one.ssrc, one.payload_type, len(one.payload)) for one in packets} == {(7, 0, 160)}
    padded = np.pad(SPEECH, (0, 80))
    assert np.array_equal(_heard(packets), g711.decode(g711.encode(padded, "PCMU"), "PCMU"))
    assert talker.finished
    assert talker.tick(MU) is None


def test_looped_speech_has_no_seam() -> None:
    talker = _talker(loop=True)
    packets = [talker.tick(MU) for _ in range(5)]
    assert np.array_equal(_heard(packets), g711.decode(g711.encode(np.tile(SPEECH, 2), "PCMU"), "PCMU"))
    assert not talker.finished


def test_the_law_and_numbers_are_those_agreed() -> None:
    packet = _talker().tick(Talk("PCMA", 97))
    assert packet.payload_type == 97
    assert np.abs(g711.decode(packet.payload, "PCMA") - SPEECH[:160]).max() <= 64


def test_a_silent_party_sends_silence() -> None:
    talker = _talker(None)
    assert talker.tick(MU).payload == b"\xff" * 160
    assert not talker.finished


def test_speech_waits_while_nothing_may_be_sent_but_time_runs_on() -> None:
    talker = _talker()
    first = talker.tick(MU)
    assert [talker.tick(None) for _ in range(10)] == [None] * 10
    second = talker.tick(MU)
    assert (second.sequence, second.timestamp, second.marker) == (first.sequence + 1, first.timestamp + 11 * 160, True)
    assert np.array_equal(_heard([first, second]), g711.decode(g711.encode(SPEECH[:320], "PCMU"), "PCMU"))


def test_a_digit_is_five_packets_and_its_end_is_said_three_times() -> None:
    talker = _talker(loop=True)
    talker.tick(MU)
    talker.press("5")
    assert talker.dialling
    packets = [talker.tick(MU) for _ in range(7)]
    assert {(one.payload_type, one.timestamp) for one in packets} == {(101, 1160)}
    assert [one.marker for one in packets] == [True] + 6 * [False]
    events = [parse_event(one.payload) for one in packets]
    assert [one.duration for one in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [one.end for one in events] == [False] * 4 + [True] * 3
    assert not talker.dialling
    after = talker.tick(MU)
    assert (after.payload_type, after.timestamp, after.marker) == (0, 1000 + 8 * 160, True)
    assert [one.sequence for one in packets] == list(range(6, 13))


def test_audio_is_sent_between_two_digits() -> None:
    talker = _talker(loop=True)
    talker.press("1#")
    packets = [talker.tick(MU) for _ in range(7 + 5 + 7)]
    assert [one.payload_type for one in packets] == [101] * 7 + [0] * 5 + [101] * 7
    assert {parse_event(one.payload).digit for one in packets[-7:]} == {"#"}


def test_digits_wait_for_a_peer_that_takes_them() -> None:
    talker = _talker(loop=True)
    talker.press("1")
    assert talker.tick(Talk("PCMU", 0)).payload_type == 0
    assert talker.tick(MU).payload_type == 101
    # The peer takes them no longer: the digit is given up.
    assert talker.tick(Talk("PCMU", 0)).payload_type == 0
    assert not talker.dialling


def test_digits_can_be_pressed_after_the_speech() -> None:
    talker = _talker()
    for _ in range(4):
        talker.tick(MU)
    talker.press("9")
    assert talker.tick(MU).payload_type == 101


def test_only_digits_can_be_pressed() -> None:
    with pytest.raises(ValueError, match="no such digit: x"):
        _talker().press("1x")


def test_numbers_wrap_as_on_the_wire() -> None:
    talker = _talker(sequence=0xFFFF, timestamp=0xFFFFFFFF)
    first, second = talker.tick(MU), talker.tick(MU)
    assert (first.sequence, first.timestamp) == (0xFFFF, 0xFFFFFFFF)
    assert (second.sequence, second.timestamp) == (0, 159)
