from dataclasses import replace

import numpy as np

from sidestream.testing import g711
from sidestream.testing.phone import tracks
from sidestream.testing.phone.tracks import Heard, Transit, transit
from sidestream.testing.rtp import RtpPacket, TelephoneEvent

MS = 1_000_000
MU = {0: "PCMU"}


def _sent(count: int, *, sequence: int = 0, timestamp: int = 0, ssrc: int = 7) -> list[Heard]:
    """`count` packets whose payload tells which one they are."""
    return [
        Heard(
            20 * MS * number,
            RtpPacket(
                0, sequence + number & 0xFFFF, timestamp + 160 * number & 0xFFFFFFFF, ssrc, bytes([number]) * 160
            ),
        )
        for number in range(count)
    ]


def _delayed(packets: list[Heard], delay_ns: int) -> list[Heard]:
    return [replace(one, at_ns=one.at_ns + delay_ns) for one in packets]


def test_a_clean_path_loses_nothing_and_its_delay_is_known() -> None:
    sent = _sent(100, sequence=65500)
    received = _delayed(sent[:99], 50_000) + _delayed(sent[99:], 250_000)
    result = transit(sent, received)
    assert result.clean
    assert (result.sent, result.outside) == (100, 0)
    assert result.latency_min_us == result.latency_p50_us == 50
    assert 50 < result.latency_p99_us < 250
    assert result.latency_max_us == 250


def test_losses_duplicates_and_alterations_are_counted() -> None:
    sent = _sent(10)
    received = _delayed([sent[number] for number in (2, 3, 3, 5, 4, 8)], MS)
    received[4] = replace(received[4], packet=replace(received[4].packet, payload=b"other"))
    result = transit(sent, received)
    assert (result.sent, result.lost, result.duplicates, result.altered, result.outside) == (7, 2, 1, 1, 3)
    assert not result.clean


def test_strangers_packets_do_not_count() -> None:
    assert transit(_sent(3), _sent(3, sequence=100)) == Transit(0, 0, 0, 0, 3, 0.0, 0.0, 0.0, 0.0)
    assert not transit([], []).clean


def test_spoken_is_the_audio_as_listed_without_events() -> None:
    packets = _sent(2)
    event = Heard(0, RtpPacket(101, 9, 0, 7, TelephoneEvent("1", 160).to_bytes()))
    spoken = tracks.spoken([packets[0], event, packets[1]], MU)
    assert np.array_equal(spoken, g711.decode(bytes([0]) * 160 + bytes([1]) * 160, "PCMU"))
    assert tracks.spoken([event], MU).size == 0


def test_heard_puts_packets_at_their_time_and_silence_into_holes() -> None:
    sent = _sent(5, timestamp=2**32 - 200)
    heard = tracks.heard([sent[1], sent[0], sent[4], sent[4]], MU)
    expected = [g711.decode(bytes([number]) * 160, "PCMU") for number in range(5)]
    expected[2] = expected[3] = np.zeros(160, dtype=np.int16)
    assert np.array_equal(heard, np.concatenate(expected))


def test_a_new_source_or_a_jump_of_the_clock_begins_behind_the_old() -> None:
    first, second, third = _sent(2), _sent(2, ssrc=8, timestamp=5), _sent(1, ssrc=8, timestamp=10**8)
    heard = tracks.heard([*first, *second, *third], MU)
    assert np.array_equal(heard, tracks.spoken([*first, *second, *third], MU))


def test_nothing_heard_is_no_sample() -> None:
    assert tracks.heard(_sent(3), {8: "PCMA"}).size == 0


def _events(digit: str, timestamp: int, ends: int) -> list[Heard]:
    events = [TelephoneEvent(digit, 160)] + ends * [TelephoneEvent(digit, 800, end=True)]
    return [Heard(0, RtpPacket(101, number, timestamp, 7, one.to_bytes())) for number, one in enumerate(events)]


def test_digits_count_once_for_their_repeated_ends() -> None:
    packets = [*_events("1", 0, 3), *_events("1", 1600, 1), *_events("#", 3200, 0), *_sent(3)]
    packets.append(Heard(0, RtpPacket(101, 0, 0, 7, b"bad")))
    assert tracks.digits(packets, 101) == "11"
    assert tracks.digits(packets, None) == ""
