"""A source whose numbers wrap, that is replaced, and whose packets are lost, late and doubled: what forks and recorders
make of it, by sample."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sidestream.media.engine import Address, Format, Side, SsrcChanged
from sidestream.testing.g711 import decode
from sidestream.testing.rtp import RtpPacket
from sidestream.testing.speech import read_speech

from .weather import RATE, Line, Plan, bad_weather, payload, send, speaker

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

PCMU = Format(0, "PCMU", RATE)
FIRST, SECOND = 0x0A0A, 0xB0B0B0B0
PACKET_MS = 10
COUNT = 130
# the numbers of both wrap, and the time stamps of neither begin where the other's end
LINES = {FIRST: Line(PACKET_MS, 65_450), SECOND: Line(PACKET_MS, 65_400)}
CHANGE_S = 0.2  # of silence between the two


def _plans() -> tuple[list[Plan], dict[int, list[bool]]]:
    before, first = bad_weather(8, FIRST, COUNT, PACKET_MS / 1000)
    after, second = bad_weather(9, SECOND, COUNT, PACKET_MS / 1000)
    later = COUNT * PACKET_MS / 1000 + CHANGE_S
    plans = before + [Plan(plan.at_s + later, plan.ssrc, plan.number) for plan in after]
    return plans, {FIRST: first, SECOND: second}


async def test_a_fork_and_a_recorder_make_one_whole_of_it(bridge, tmp_path: Path) -> None:
    plans, arrives = _plans()
    assert any(not one for one in arrives[FIRST])
    assert len(plans) > sum(map(sum, arrives.values()))  # some come twice
    srs, path = bridge.listener(), tmp_path / "one.wav"
    await bridge.engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x@sidestream")
    await bridge.engine.configure_fork("CA1", "f", remote=Address(srs.host, srs.port), active=True, formats=(PCMU,))
    await bridge.engine.open_recorder("CA1", "r", endpoint="a", path=str(path))
    with speaker() as opened:
        remote = Address(*opened.getsockname())
        await bridge.engine.configure_endpoint("CA1", "a", remote=remote, formats=(PCMU,))
        sent = await asyncio.to_thread(send, opened, (bridge.a.host, bridge.a.rtp), plans, LINES)
        await bridge.until(lambda: len(bridge.agent.received) == len(sent), "all of it")
    statistics = await bridge.engine.close_session("CA1")

    # the other party hears all that came, unchanged and in its order, the doubles too: it may judge for itself
    relayed = [one.packet for one in bridge.agent.received]
    assert [(one.ssrc, one.payload) for one in relayed] == [
        (one.ssrc, payload(one.ssrc, one.number, LINES[one.ssrc].units)) for one in sent
    ]
    _check_fork([one.packet for one in srs.received], arrives)
    _check_recording(read_speech(path), arrives)
    changes = [event for event in bridge.events if isinstance(event, SsrcChanged)]
    assert [(event.old, event.new) for event in changes] == [(FIRST, SECOND)]
    lost = sum(not one for flags in arrives.values() for one in flags)
    assert statistics.recorders["r"].lost == statistics.endpoints["a"].lost == lost
    assert statistics.recorders["r"].packets == sum(map(sum, arrives.values()))


def _check_fork(copies: list[RtpPacket], arrives: dict[int, list[bool]]) -> None:
    """One stream with an SSRC of its own, each packet at its place, and what the source lost missing."""
    assert len({copy.ssrc for copy in copies}) == 1
    assert copies[0].ssrc not in (FIRST, SECOND)
    known = {payload(ssrc, n, LINES[ssrc].units): (ssrc, n) for ssrc in LINES for n in range(COUNT)}
    places = [known[copy.payload] for copy in copies]
    assert set(places) == {(ssrc, n) for ssrc, flags in arrives.items() for n, came in enumerate(flags) if came}
    for ssrc in LINES:
        own = [(number, copy) for (source, number), copy in zip(places, copies, strict=True) if source == ssrc]
        begin, first = own[0]
        for number, copy in own:
            assert (copy.sequence - first.sequence - (number - begin)) & 0xFFFF == 0
            assert (copy.timestamp - first.timestamp - (number - begin) * LINES[ssrc].units) & 0xFFFFFFFF == 0
    last, first = [
        next(c for c, p in zip(copies, places, strict=True) if p == place)
        for place in ((FIRST, COUNT - 1), (SECOND, 0))
    ]
    # RFC 7866 §8.2.3: the recorder sees one source; no number is missing between the two, and the silence shows
    assert (first.sequence - last.sequence) & 0xFFFF == 1
    silent_s = ((first.timestamp - last.timestamp) & 0xFFFFFFFF) / RATE
    assert silent_s == pytest.approx(CHANGE_S, abs=0.1)


def _check_recording(samples: np.ndarray, arrives: dict[int, list[bool]]) -> None:
    """Every packet that came is at its time, and what did not come is silence."""
    units = LINES[FIRST].units
    begins = {FIRST: 0, SECOND: _find(samples, decode(payload(SECOND, 0, units), "PCMU"))}
    assert begins[SECOND] / RATE == pytest.approx(COUNT * PACKET_MS / 1000 + CHANGE_S, abs=0.1)
    assert len(samples) == begins[SECOND] + COUNT * units
    expected = np.zeros_like(samples)
    for ssrc, flags in arrives.items():
        for number in (number for number, came in enumerate(flags) if came):
            at = begins[ssrc] + number * units
            expected[at : at + units] = decode(payload(ssrc, number, units), "PCMU")
    assert np.array_equal(samples, expected)


def _find(samples: np.ndarray, wanted: np.ndarray) -> int:
    windows = np.lib.stride_tricks.sliding_window_view(samples, len(wanted))
    (found,) = np.flatnonzero((windows == wanted).all(axis=1))
    return int(found)
