"""What a phone sent and heard, kept packet by packet, and what a test can conclude from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sidestream.testing import g711
from sidestream.testing.g711 import Samples
from sidestream.testing.rtp import RtpError, RtpPacket, parse_event

TIMELINE_BREAK = 60 * 8000  # a jump of the RTP time by a minute is a new timeline, not a gap to fill with zeros


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet and the wall clock (ns since 1970) just before it was sent, or at which the kernel received it."""

    at_ns: int
    packet: RtpPacket


@dataclass(frozen=True, slots=True)
class Transit:
    """How one direction fared between two phones on one clock.

    `sent` counts the packets between the first and the last that arrived, both included; what was sent before the
    path was open or after it was closed is in `outside`. Latencies are from send call to kernel arrival; on a loaded
    machine only the least of them tells something about the path.
    """

    sent: int
    lost: int
    duplicates: int
    altered: int  # arrived with another payload, payload type or marker
    outside: int
    latency_min_us: float
    latency_p50_us: float
    latency_p99_us: float
    latency_max_us: float

    @property
    def clean(self) -> bool:
        return self.sent > 0 and not self.lost and not self.duplicates and not self.altered


def transit(sent: Sequence[Heard], received: Sequence[Heard]) -> Transit:
    """Match received packets to those sent, by sequence number and timestamp. With nothing matched, all is zero."""
    index = {(one.packet.sequence, one.packet.timestamp): place for place, one in enumerate(sent)}
    arrivals: dict[int, Heard] = {}
    duplicates = altered = 0
    for one in received:
        place = index.get((one.packet.sequence, one.packet.timestamp))
        if place is None:
            continue
        if place in arrivals:
            duplicates += 1
            continue
        arrivals[place] = one
        mine, theirs = sent[place].packet, one.packet
        if (mine.payload, mine.payload_type, mine.marker) != (theirs.payload, theirs.payload_type, theirs.marker):
            altered += 1
    if not arrivals:
        return Transit(0, 0, 0, 0, len(sent), 0.0, 0.0, 0.0, 0.0)
    expected = max(arrivals) - min(arrivals) + 1
    delays = np.array([one.at_ns - sent[place].at_ns for place, one in arrivals.items()]) / 1000
    p50, p99 = np.percentile(delays, (50, 99))
    return Transit(
        sent=expected,
        lost=expected - len(arrivals),
        duplicates=duplicates,
        altered=altered,
        outside=len(sent) - expected,
        latency_min_us=float(delays.min()),
        latency_p50_us=float(p50),
        latency_p99_us=float(p99),
        latency_max_us=float(delays.max()),
    )


def spoken(packets: Sequence[Heard], encodings: dict[int, str]) -> Samples:
    """The samples of the G.711 packets (`encodings`: payload type → PCMU or PCMA), one after the other as listed.

    For what was sent: the sequence that a recording is compared with, without the pauses in which nothing was sent.
    """
    parts = [
        g711.decode(one.packet.payload, encodings[one.packet.payload_type])
        for one in packets
        if one.packet.payload_type in encodings
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


def heard(packets: Sequence[Heard], encodings: dict[int, str]) -> Samples:
    """The G.711 samples of received packets at their places in RTP time, with zeros where packets are missing.

    A new SSRC, or a jump of the RTP time, begins anew behind what was heard before.
    """
    timelines: list[dict[int, RtpPacket]] = []
    origin: RtpPacket | None = None
    furthest = 0
    for one in packets:
        packet = one.packet
        if packet.payload_type not in encodings:
            continue
        place = _signed(packet.timestamp - origin.timestamp) if origin is not None else 0
        if origin is None or packet.ssrc != origin.ssrc or abs(place - furthest) > TIMELINE_BREAK:
            origin, place, furthest = packet, 0, 0
            timelines.append({})
        furthest = max(furthest, place)
        timelines[-1].setdefault(place, packet)
    if not timelines:
        return np.zeros(0, dtype=np.int16)
    return np.concatenate([_laid_out(timeline, encodings) for timeline in timelines])


def digits(packets: Sequence[Heard], event_payload_type: int | None) -> str:
    """The digits pressed, each once however often its end was repeated (RFC 4733 §2.5.1.4)."""
    pressed = ""
    last: tuple[int, int] | None = None
    for one in packets:
        if one.packet.payload_type != event_payload_type:
            continue
        try:
            event = parse_event(one.packet.payload)
        except RtpError:
            continue
        this = (one.packet.ssrc, one.packet.timestamp)
        if event.end and this != last:
            last = this
            pressed += event.digit
    return pressed


def _laid_out(timeline: dict[int, RtpPacket], encodings: dict[int, str]) -> Samples:
    first = min(timeline)
    end = max(place + len(packet.payload) for place, packet in timeline.items())
    samples = np.zeros(end - first, dtype=np.int16)
    for place, packet in timeline.items():
        decoded = g711.decode(packet.payload, encodings[packet.payload_type])
        samples[place - first : place - first + decoded.size] = decoded
    return samples


def _signed(difference: int) -> int:
    """A difference of 32-bit RTP timestamps as a signed number."""
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
