"""Speech over a bad line, on real sockets: some packets never come, some twice, some late, all known beforehand."""

import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sidestream.testing.rtp import RtpPacket

RATE = 8000


@dataclass(frozen=True)
class Sent:
    """A packet that left: `number` counts those of its source from zero, without wrapping."""

    ssrc: int
    number: int
    timestamp: int
    at_ns: int


@dataclass(frozen=True)
class Plan:
    """A packet to be sent `at_s` after the beginning."""

    at_s: float
    ssrc: int
    number: int


@dataclass(frozen=True)
class Line:
    """A source's numbering; `skew_ppm`: by how much its clock is faster than ours."""

    packet_ms: int
    base: int
    skew_ppm: float = 0.0

    @property
    def units(self) -> int:
        return RATE * self.packet_ms // 1000

    def timestamp(self, number: int) -> int:
        return 1_000_000 + number * self.units


def bad_weather(seed: int, ssrc: int, count: int, packet_s: float) -> tuple[list[Plan], list[bool]]:
    """Packets of a source in the order of their arrival, and of each number whether it arrives at all."""
    chance = random.Random(seed)
    arrives = [True] * count
    at = 40
    while at < count - 40:
        kind = chance.random()
        if kind < 0.4:  # alone
            arrives[at] = False
        elif kind < 0.7:  # a few in a row
            for index in range(chance.randint(2, 6)):
                arrives[at + index] = False
        else:  # thick and thin
            for index in range(25):
                arrives[at + index] = chance.random() > 0.3
        at += chance.choice((10, 17, 18, 40, 60))
    plans = []
    for number in range(count):
        if not arrives[number]:
            continue
        late = chance.random() * 0.8
        if 0 < number < count - 10:
            late += chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 3))  # overtaken by some, never the first
            if chance.random() < 0.03:
                plans.append(Plan((number + late + 1.5) * packet_s, ssrc, number))  # twice
        plans.append(Plan((number + late) * packet_s, ssrc, number))
    return sorted(plans, key=lambda plan: plan.at_s), arrives


@contextmanager
def speaker() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


def payload(ssrc: int, number: int, octets: int) -> bytes:
    """What a packet says in G.711: the same in no other packet of a test."""
    return random.Random(ssrc << 32 | number).randbytes(octets)


def send(opened: socket.socket, target: tuple[str, int], plans: Sequence[Plan], lines: dict[int, Line]) -> list[Sent]:
    """Send each packet at its time; when it really left is what counts. Runs in a thread."""
    begun = time.monotonic()
    sent = []
    for plan in plans:
        line = lines[plan.ssrc]
        wait = begun + plan.at_s / (1 + line.skew_ppm * 1e-6) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        timestamp = line.timestamp(plan.number)
        packet = RtpPacket(
            0, (line.base + plan.number) & 0xFFFF, timestamp, plan.ssrc, payload(plan.ssrc, plan.number, line.units)
        )
        sent.append(Sent(plan.ssrc, plan.number, timestamp, time.monotonic_ns()))
        opened.sendto(packet.to_bytes(), target)
    return sent
