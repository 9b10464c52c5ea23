"""Is what was recorded what was sent? Finds a recorded channel within the sent samples and compares each sample."""

from dataclasses import dataclass

import numpy as np

from sidestream.testing.g711 import Samples

PROBE_SAMPLES = 400  # 50 ms of speech: long enough to occur once, short enough to sit within one packet burst
GAP_SAMPLES = 80  # a run of zeros from here on can be silence that a recorder filled in: half a packet
OCTETS = 2


@dataclass(frozen=True, slots=True)
class Span:
    """`length` equal samples."""

    recorded_start: int
    sent_start: int
    length: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The first sample that is not as sent. `sent_index` is -1 when nothing like it was sent."""

    recorded_index: int
    sent_index: int
    recorded: int
    sent: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`spans` in order; more than one when the recording has gaps of silence between them (hold, loss, DTMF)."""

    spans: tuple[Span, ...]
    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Some sound was compared, and all of it was as sent."""
        return self.difference is None and bool(self.spans)

    @property
    def whole(self) -> bool:
        """Equal, and without a gap."""
        return self.equal and len(self.spans) == 1

    @property
    def compared(self) -> int:
        return sum(span.length for span in self.spans)


def compare(recorded: Samples, sent: Samples) -> Comparison:
    """Compare a channel, sample for sample, with what its speaker sent over the whole call.

    Silence (zeros) before the first and after the last sound is not compared: a channel may begin before its stream.
    Between sounds, silence may replace any part of what was sent; what follows must come later in `sent`.
    An all-silent channel gives no span, so it is not `equal`.
    """
    sounding = np.flatnonzero(recorded)
    if not sounding.size:
        return Comparison((), None)
    haystack = sent.astype("<i2").tobytes()
    spans: list[Span] = []
    position, last, earliest = int(sounding[0]), int(sounding[-1]) + 1, 0
    while position < last:
        start = _best_start(recorded[position:last], sent, haystack, earliest)
        if start is None:
            return Comparison(tuple(spans), _nearest_difference(recorded[position:last], position, sent, earliest))
        length = _equal_length(recorded[position:last], sent[start:])
        spans.append(Span(position, start, length))
        earliest, broken = start + length, position + length
        if broken == last:
            break
        resumed = _end_of_gap(recorded, broken)
        if resumed is None:
            there = int(sent[earliest]) if earliest < sent.size else 0
            return Comparison(tuple(spans), Difference(broken, earliest, int(recorded[broken]), there))
        position = resumed
    return Comparison(tuple(spans), None)


def _equal_length(left: Samples, right: Samples) -> int:
    length = min(left.size, right.size)
    different = np.flatnonzero(left[:length] != right[:length])
    return int(different[0]) if different.size else length


def _best_start(recorded: Samples, sent: Samples, haystack: bytes, earliest: int) -> int | None:
    """Where in `sent` the longest run equal to the head of `recorded` begins; looped speech has several."""
    probe = recorded[: _probe_length(recorded)].astype("<i2").tobytes()
    best, best_length = None, 0
    found = haystack.find(probe, earliest * OCTETS)
    while found >= 0:
        if found % OCTETS == 0:
            length = _equal_length(recorded, sent[found // OCTETS :])
            if length > best_length:
                best, best_length = found // OCTETS, length
            if length == recorded.size:
                break
        found = haystack.find(probe, found + 1)
    return best


def _probe_length(recorded: Samples) -> int:
    """`PROBE_SAMPLES`, or fewer when a gap begins before that."""
    window = recorded[: PROBE_SAMPLES + GAP_SAMPLES + 1]
    sounding = np.append(np.flatnonzero(window), window.size)
    pauses = np.flatnonzero(np.diff(sounding) > GAP_SAMPLES)
    return min(PROBE_SAMPLES, int(sounding[pauses[0]]) + 1) if pauses.size else PROBE_SAMPLES


def _end_of_gap(recorded: Samples, broken: int) -> int | None:
    """Where sound resumes after the silence around `broken`, or None when there is too little silence there."""
    sounding = np.flatnonzero(recorded[broken:])
    resumed = broken + int(sounding[0])
    # Some of the silence may have equalled quiet samples that were sent, and was counted as such.
    before = np.flatnonzero(recorded[:broken])
    silent_from = int(before[-1]) + 1 if before.size else 0
    return resumed if resumed - silent_from >= GAP_SAMPLES else None


def _nearest_difference(recorded: Samples, offset: int, sent: Samples, earliest: int) -> Difference:
    """Where the most similar part of `sent` first differs, so that a report can name the sample."""
    head = recorded[: 4 * PROBE_SAMPLES].astype(np.float64)
    rest = sent[earliest:].astype(np.float64)
    if rest.size < head.size:
        return Difference(offset, -1, int(recorded[0]), 0)
    size = 1 << (rest.size + head.size).bit_length()
    product = np.fft.rfft(rest, size) * np.conj(np.fft.rfft(head, size))
    correlation = np.fft.irfft(product, size)[: rest.size - head.size + 1]
    start = earliest + int(np.argmax(correlation))
    index = _equal_length(recorded, sent[start:])
    return Difference(offset + index, start + index, int(recorded[index]), int(sent[start + index]))
