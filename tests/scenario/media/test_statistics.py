"""What the engine says of a stream, against the definitions computed here from what was sent and when."""

import asyncio
import itertools
import random
from importlib.util import find_spec

import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, EndpointStatistics, Format

from .weather import RATE, Line, Plan, Sent, bad_weather, send, speaker

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

GMIN = 16  # RFC 3611 §4.7.2


def jitter_ms(sent: list[Sent]) -> float:
    """RFC 3550 §6.4.1, in floating point, from the formula and not from the program of its appendix."""
    jitter = 0.0
    for before, packet in itertools.pairwise(sent):
        arrived = (packet.at_ns - before.at_ns) / 1e9 * RATE
        difference = arrived - (packet.timestamp - before.timestamp)
        jitter += (abs(difference) - jitter) / 16
    return jitter / RATE * 1000


def runs_of(flags: list[bool]) -> list[int]:
    """The lengths of the runs of lost packets."""
    runs, length = [], 0
    for arrived in [*flags, True]:
        if not arrived:
            length += 1
        elif length:
            runs.append(length)
            length = 0
    return runs


def bursts_of(flags: list[bool]) -> list[tuple[int, int]]:
    """RFC 3611 §4.7.2: first and last of each burst: losses with fewer than Gmin packets between, two at least."""
    found: list[tuple[int, int]] = []
    for lost in (index for index, arrived in enumerate(flags) if not arrived):
        if found and lost - found[-1][1] - 1 < GMIN:
            found[-1] = (found[-1][0], lost)
        else:
            found.append((lost, lost))
    return [burst for burst in found if burst[0] < burst[1]]


def opinion(loss: float, mean_run: float, delay_ms: float) -> float:
    """G.107: R = 93.2 - Id - Ie,eff with the values of G.711 and concealment (G.113), annex B for the score."""
    burst_ratio = max(1.0, mean_run * (1 - loss))
    percent = 100 * loss
    rating = 93.2 - 95 * percent / (percent / burst_ratio + 25.1) - 0.024 * delay_ms
    if delay_ms > 177.3:
        rating -= 0.11 * (delay_ms - 177.3)
    rating = min(100.0, max(0.0, rating))
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


async def _statistics(
    engine: EngineClient, plans: list[Plan], lines: dict[int, Line]
) -> tuple[list[Sent], EndpointStatistics]:
    await engine.open_session("CA1")
    ports = await engine.open_endpoint("CA1", "a")
    with speaker() as opened:
        remote = Address(*opened.getsockname())
        await engine.configure_endpoint("CA1", "a", remote=remote, formats=(Format(0, "PCMU", RATE),))
        sent = await asyncio.to_thread(send, opened, (ports.host, ports.rtp), plans, lines)
        async with asyncio.timeout(5):
            while True:
                found = (await engine.session_statistics("CA1")).endpoints["a"]
                if found.packets_received == len(sent):
                    return sent, found
                await asyncio.sleep(0.02)


async def test_loss_jitter_bursts_and_score_are_those_of_the_definitions(engine: EngineClient) -> None:
    first, second = 0x1234, 0xFFFF1234
    # the numbers of both begin at zero again in their midst, and the second source follows on the first
    lines = {first: Line(5, 65_300), second: Line(5, 65_500)}
    before, arrived_before = bad_weather(4733, first, 450, 0.005)
    after, arrived_after = bad_weather(3611, second, 250, 0.005)
    plans = before + [Plan(plan.at_s + 450 * 0.005 + 0.05, plan.ssrc, plan.number) for plan in after]
    sent, found = await _statistics(engine, plans, lines)
    quality = found.quality

    flags = arrived_before + arrived_after
    late = duplicates = 0
    newest: dict[int, int] = {}
    seen = set()
    for packet in sent:
        if (packet.ssrc, packet.number) in seen:
            duplicates += 1
        elif packet.number < newest.get(packet.ssrc, 0):
            late += 1
        seen.add((packet.ssrc, packet.number))
        newest[packet.ssrc] = max(packet.number, newest.get(packet.ssrc, 0))
    assert min(late, duplicates) > 3
    assert (quality.duplicates, quality.reordered) == (duplicates, late)
    assert (quality.wraps, quality.ssrc_changes, quality.restarts) == (2, 1, 0)

    lost, runs, bursts = flags.count(False), runs_of(flags), bursts_of(flags)
    assert found.lost == lost
    assert (quality.gaps, quality.longest_gap, quality.bursts) == (len(runs), max(runs), len(bursts))
    inside = sum(end - begin + 1 for begin, end in bursts)
    lost_inside = sum(not arrived for begin, end in bursts for arrived in flags[begin : end + 1])
    assert len(bursts) > 3
    assert lost > lost_inside
    assert quality.burst_density == pytest.approx(lost_inside / inside)
    assert quality.burst_ms == pytest.approx(inside / len(bursts) * 5)
    assert quality.gap_density == pytest.approx((lost - lost_inside) / (len(flags) - inside))
    assert quality.gap_ms == pytest.approx((len(flags) - inside) / (len(bursts) + 1) * 5)

    # of the source that spoke last; the sending clock and the receiving one are the same
    expected = jitter_ms([packet for packet in sent if packet.ssrc == second])
    assert expected > 1.0
    assert found.jitter_ms == pytest.approx(expected, rel=0.1)
    delay_ms = 5 + 2 * found.jitter_ms
    assert quality.mos == pytest.approx(opinion(lost / len(flags), lost / len(runs), delay_ms), abs=0.001)


@pytest.mark.long
@pytest.mark.timeout(90)
@pytest.mark.parametrize("skew_ppm", [-800.0, 600.0])
async def test_a_clock_that_runs_fast_or_slow_is_told(engine: EngineClient, skew_ppm: float) -> None:
    chance = random.Random(32)
    ssrc, count = 7, 1800
    plans = sorted(
        (Plan((number + chance.random() * 0.3) * 0.02, ssrc, number) for number in range(count)),
        key=lambda plan: plan.at_s,
    )
    _, found = await _statistics(engine, plans, {ssrc: Line(20, 0, skew_ppm)})
    assert found.lost == 0
    assert found.quality.skew_ppm == pytest.approx(
        skew_ppm, abs=150
    )  # a busy machine sends everything late for seconds
