"""What a phone says in each 20 ms: speech, silence, a digit or nothing. Pure: the caller keeps the time."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from sidestream.testing import g711
from sidestream.testing.g711 import Samples
from sidestream.testing.rtp import EVENT_DIGITS, RtpPacket, TelephoneEvent

PACKET_SECONDS = 0.020
PACKET_SAMPLES = 160  # 20 ms at 8000 Hz, RFC 3551 §4.2
DIGIT_PACKETS = 5  # a digit lasts 100 ms: above the 40 ms that every receiver recognises
END_PACKETS = 3  # RFC 4733 §2.5.1.4: the end is said three times
PAUSE_PACKETS = 5  # 100 ms of audio between two digits


@dataclass(frozen=True, slots=True)
class Talk:
    """What offer/answer allows a phone to send."""

    encoding: str  # PCMU or PCMA
    payload_type: int
    event_payload_type: int | None = None


@dataclass(slots=True)
class _Digit:
    digit: str
    timestamp: int
    packets: int = 0  # sent so far


class Talker:
    """Makes the packets of one RTP stream. `speech` None is a silent party: packets of zeros, as a muted phone sends.

    While nothing may be sent, and while a digit is, the speech waits but the RTP time runs on; so the samples that were
    sent are always the speech without a hole, and a recorder hears a gap.
    """

    def __init__(self, speech: Samples | None, *, loop: bool, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.timestamp = timestamp  # of the next packet
        self._speech = speech
        self._loop = loop
        self._sequence = sequence
        self._cursor = 0
        self._digits: deque[str] = deque()
        self._digit: _Digit | None = None
        self._pause = 0
        self._resuming = True  # the next audio packet begins a talkspurt

    @property
    def finished(self) -> bool:
        """The speech is over and will not start again."""
        return self._speech is not None and not self._loop and self._cursor >= self._speech.size

    @property
    def dialling(self) -> bool:
        """Digits wait or are being sent."""
        return bool(self._digits) or self._digit is not None

    def press(self, digits: str) -> None:
        """Send `digits` (0-9 * # A-D; ValueError otherwise), one after the other, as telephone-events."""
        unknown = set(digits) - set(EVENT_DIGITS)
        if unknown:
            raise ValueError(f"no such digit: {''.join(sorted(unknown))}")
        self._digits.extend(digits)

    def tick(self, talk: Talk | None) -> RtpPacket | None:
        """The packet of the next 20 ms, or None when none is sent. Called once for each 20 ms, sending or not."""
        timestamp = self.timestamp
        self.timestamp = (timestamp + PACKET_SAMPLES) & 0xFFFFFFFF
        if talk is None:
            self._resuming = True
            return None
        event = self._event_payload(talk, timestamp)
        if event is not None:
            return event
        if self.finished:
            self._resuming = True
            return None
        # RFC 3551 §4.1: the first packet after a silence is marked
        marker, self._resuming = self._resuming, False
        payload = g711.encode(self._next_samples(), talk.encoding)
        return self._packet(talk.payload_type, timestamp, payload, marker=marker)

    def _event_payload(self, talk: Talk, timestamp: int) -> RtpPacket | None:
        if self._digit is None:
            if self._pause:
                self._pause -= 1
                return None
            if talk.event_payload_type is None or not self._digits:
                return None
            self._digit = _Digit(self._digits.popleft(), timestamp)
        if talk.event_payload_type is None:
            self._digit = None
            return None
        digit = self._digit
        digit.packets += 1
        lasted = min(digit.packets, DIGIT_PACKETS) * PACKET_SAMPLES
        event = TelephoneEvent(digit.digit, lasted, end=digit.packets >= DIGIT_PACKETS)
        if digit.packets == DIGIT_PACKETS + END_PACKETS - 1:
            self._digit, self._pause, self._resuming = None, PAUSE_PACKETS, True
        # RFC 4733 §2.5.1.1: every packet of an event has the timestamp of its beginning; the first is marked
        return self._packet(talk.event_payload_type, digit.timestamp, event.to_bytes(), marker=digit.packets == 1)

    def _next_samples(self) -> Samples:
        if self._speech is None:
            return np.zeros(PACKET_SAMPLES, dtype=np.int16)
        start, self._cursor = self._cursor, self._cursor + PACKET_SAMPLES
        if self._loop:
            return self._speech[np.arange(start, start + PACKET_SAMPLES) % self._speech.size]
        samples = self._speech[start : start + PACKET_SAMPLES]
        return np.pad(samples, (0, PACKET_SAMPLES - samples.size))

    def _packet(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> RtpPacket:
        sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
        return RtpPacket(payload_type, sequence, timestamp, self.ssrc, payload, marker)
