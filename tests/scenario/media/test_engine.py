"""Real packets through the real engine: relayed, forked, played and recorded."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import (
    Address,
    Dtmf,
    EngineLost,
    FirstPacket,
    ForkStarted,
    Format,
    Latched,
    MediaEngineError,
    PlayerEnded,
    Side,
)
from sidestream.media.options import EngineOptions
from sidestream.media.supervisor import EngineSupervisor
from sidestream.testing import g711
from sidestream.testing.comparison import compare
from sidestream.testing.phone.stream import RtpStream
from sidestream.testing.phone.tracks import transit
from sidestream.testing.speech import CALLER, read_channels, read_speech, write_channels

PCMU = Format(0, "PCMU", 8000)
EVENTS = Format(101, "TELEPHONE-EVENT", 8000)

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)


def _address(stream: RtpStream) -> Address:
    return Address(stream.host, stream.port)


async def _fork(bridge, name: str, endpoint: str, side: Side) -> RtpStream:
    """An SRS's stream that a new, active fork of the bridge points at."""
    srs = bridge.listener()
    await bridge.engine.open_fork("CA1", name, endpoint=endpoint, side=side, cname="x@sidestream")
    await bridge.engine.configure_fork("CA1", name, remote=_address(srs), active=True, formats=(PCMU, EVENTS))
    return srs


async def test_both_parties_hear_each_other_sample_for_sample(bridge) -> None:
    bridge.talk()
    await bridge.both_heard(60)
    bridge.hush()
    for speaker, listener in ((bridge.caller, bridge.agent), (bridge.agent, bridge.caller)):
        await bridge.until(lambda one=speaker, other=listener: len(other.received) == len(one.sent), "all of it")
        passed = transit(list(speaker.sent), list(listener.received))
        assert passed.clean
        assert passed.outside == 0
        assert passed.latency_min_us < 20_000, "nothing is kept back for a packet's time"
        assert {one.packet.ssrc for one in listener.received} == {speaker.talker.ssrc}
        assert compare(bridge.heard(listener), bridge.said(speaker)).whole
    statistics = await bridge.engine.close_session("CA1")
    assert statistics.endpoints["a"].packets_received == len(bridge.caller.sent)
    assert statistics.endpoints["a"].packets_sent == len(bridge.agent.sent)
    assert (statistics.endpoints["a"].lost, statistics.endpoints["a"].strays) == (0, 0)
    assert {event.endpoint for event in bridge.events if isinstance(event, FirstPacket)} == {"a", "b"}


async def test_rtcp_is_relayed_unchanged(bridge) -> None:
    bridge.talk()
    await bridge.until(lambda: bridge.agent.received_reports, "a sender report")
    report = bridge.agent.received_reports[0]
    assert report[1] == 200
    assert int.from_bytes(report[4:8], "big") == bridge.caller.talker.ssrc


async def test_both_sides_of_a_leg_are_forked_sample_for_sample(bridge) -> None:
    bridge.talk()
    await bridge.both_heard(5)
    inbound = await _fork(bridge, "SR1/inbound", "a", Side.INBOUND)
    outbound = await _fork(bridge, "SR1/outbound", "a", Side.OUTBOUND)
    await bridge.until(lambda: min(len(inbound.received), len(outbound.received)) >= 60, "60 forked packets")
    await bridge.until(lambda: inbound.received_reports, "a report of the fork")
    bridge.hush()
    statistics = await bridge.engine.close_fork("CA1", "SR1/inbound")
    assert compare(bridge.heard(inbound), bridge.said(bridge.caller)).whole
    assert compare(bridge.heard(outbound), bridge.said(bridge.agent)).whole
    await bridge.until(lambda: len(inbound.received) == statistics.packets_sent, "all that was forked")
    assert statistics.octets_sent == 160 * statistics.packets_sent
    assert statistics.send_errors == 0
    started = {event.fork: event for event in bridge.events if isinstance(event, ForkStarted)}
    assert set(started) == {"SR1/inbound", "SR1/outbound"}
    assert started["SR1/inbound"].at_ns == statistics.first_packet_ns
    # A source of its own (RFC 7866 §8.2.3), and its name in the report.
    ssrc = {one.packet.ssrc for one in inbound.received}
    assert len(ssrc) == 1
    assert ssrc != {bridge.caller.talker.ssrc}
    assert b"x@sidestream" in inbound.received_reports[0]


async def test_a_paused_fork_sends_nothing_and_goes_on_without_a_hole(bridge) -> None:
    bridge.talk()
    srs = await _fork(bridge, "f", "a", Side.INBOUND)
    await bridge.until(lambda: len(srs.received) >= 20, "20 packets")
    await bridge.engine.configure_fork("CA1", "f", remote=_address(srs), active=False, formats=(PCMU,))
    paused_at = len(srs.received)
    await bridge.both_heard(len(bridge.caller.received) + 25)
    assert len(srs.received) <= paused_at + 1
    paused_at = len(srs.received)
    await bridge.engine.configure_fork("CA1", "f", remote=_address(srs), active=True, formats=(PCMU,))
    await bridge.until(lambda: len(srs.received) >= paused_at + 20, "20 packets more")
    first, packets = srs.received[0].packet.sequence, [one.packet for one in list(srs.received)]
    assert [one.sequence for one in packets] == [(first + place) & 0xFFFF for place in range(len(packets))]
    assert packets[paused_at].marker
    assert compare(bridge.heard(srs), bridge.said(bridge.caller)).equal


async def test_what_an_endpoint_hears_is_recorded_sample_for_sample(bridge, tmp_path: Path) -> None:
    await bridge.engine.open_recorder("CA1", "r", endpoint="a", path=str(tmp_path / "a.wav"))
    bridge.talk()
    await bridge.both_heard(60)
    bridge.hush()
    statistics = await bridge.engine.close_recorder("CA1", "r")
    [channel] = read_channels(tmp_path / "a.wav")
    result = compare(channel, bridge.said(bridge.caller))
    assert result.whole
    assert channel.size == statistics.samples >= 60 * 160
    assert (statistics.lost, statistics.duplicates, statistics.late) == (0, 0, 0)
    first = bridge.caller.sent[0].at_ns
    assert abs(statistics.first_sample_ns - first) < 1_000_000_000


async def test_digits_are_reported_relayed_and_forked(bridge) -> None:
    srs = await _fork(bridge, "f", "a", Side.INBOUND)
    bridge.talk()
    await bridge.both_heard(5)
    bridge.caller.press("4#")
    await bridge.until(lambda: [e.digit for e in bridge.events if isinstance(e, Dtmf)] == ["4", "#"], "both digits")
    for listener in (bridge.agent, srs):
        await bridge.until(lambda one=listener: bridge.digits(one) == "4#", "the digits")
    durations = {event.duration_ms for event in bridge.events if isinstance(event, Dtmf)}
    assert durations == {100}


async def test_a_held_leg_is_neither_heard_nor_forked(bridge) -> None:
    srs = await _fork(bridge, "f", "a", Side.INBOUND)
    bridge.talk()
    await bridge.both_heard(10)
    await bridge.engine.configure_endpoint(
        "CA1", "a", remote=_address(bridge.caller), formats=(PCMU,), send=False, receive=False
    )
    await asyncio.sleep(0.05)
    counts = [len(stream.received) for stream in (bridge.caller, bridge.agent, srs)]
    sent = len(bridge.caller.sent)
    await bridge.until(lambda: len(bridge.caller.sent) >= sent + 20, "20 packets more")
    assert [len(stream.received) for stream in (bridge.caller, bridge.agent, srs)] == counts


async def test_a_caller_behind_nat_is_found_and_strangers_are_dropped(bridge) -> None:
    engine = bridge.engine
    await engine.configure_endpoint("CA1", "a", remote=Address("127.0.0.1", 9), formats=(PCMU,))
    bridge.talk()
    latched = await bridge.event(Latched)
    assert latched == Latched("CA1", "a", _address(bridge.caller))
    await bridge.both_heard(10)
    stranger = bridge.listener()
    stranger.direct(bridge.TALK, (bridge.a.host, bridge.a.rtp))
    await bridge.until(lambda: len(stranger.sent) >= 10, "10 packets of a stranger")
    await bridge.both_heard(len(bridge.agent.received) + 10)
    assert stranger.talker.ssrc not in {one.packet.ssrc for one in bridge.agent.received}
    assert (await engine.session_statistics("CA1")).endpoints["a"].strays > 0


async def test_a_file_is_played_sample_for_sample_in_place_of_the_other_party(bridge, tmp_path: Path) -> None:
    speech = read_speech(CALLER)[:8000]
    write_channels(tmp_path / "say.wav", (speech,))
    await bridge.engine.play("CA1", "say", endpoint="b", path=str(tmp_path / "say.wav"))
    ended = await bridge.event(PlayerEnded)
    assert ended == PlayerEnded("CA1", "say", completed=True)
    await bridge.until(lambda: len(bridge.agent.received) >= 50, "the whole file")
    expected = g711.decode(g711.encode(speech, "PCMU"), "PCMU")
    result = compare(bridge.heard(bridge.agent), expected)
    assert result.whole
    assert result.compared > 7000
    times = [one.at_ns for one in bridge.agent.received]
    assert 0.8e9 < times[-1] - times[0] < 1.5e9


async def test_totals_count_what_was_relayed_and_forked(bridge) -> None:
    before = await bridge.engine.engine_statistics()
    await _fork(bridge, "f", "a", Side.INBOUND)
    bridge.talk()
    await bridge.both_heard(20)
    after = await bridge.engine.engine_statistics()
    assert after.packets_relayed - before.packets_relayed >= 40
    assert after.packets_forked - before.packets_forked >= 20
    assert 0 < after.latency_p50_us <= after.latency_p99_us
    assert after.resident_bytes > 1_000_000


async def test_a_killed_engine_is_told_to_its_calls_and_replaced(media_ports: tuple[int, int]) -> None:
    supervisor = EngineSupervisor(EngineOptions(ports=media_ports))
    hello = await supervisor.start()
    client = EngineClient(supervisor.socket)
    await client.connect()
    lost: asyncio.Future[EngineLost] = asyncio.get_running_loop().create_future()
    await client.open_session("CA1")
    client.subscribe("CA1", lost.set_result)
    os.kill(hello.pid, signal.SIGKILL)
    assert (await asyncio.wait_for(lost, 10)).session == "CA1"
    assert (await client.connect()).pid != hello.pid
    assert await client.list_sessions() == []
    await client.open_session("CA2")
    assert (await client.open_endpoint("CA2", "a")).rtp % 2 == 0
    await client.close()
    await supervisor.stop()
    with pytest.raises(MediaEngineError):
        await client.list_sessions()


# Bridges two parties whose RTP ports are given, and prints the engine's process id and the ports to send to.
CONTROL = """
import asyncio, pathlib, sys
from sidestream.base.logs import configure_logs
from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, Format
from sidestream.media.options import EngineOptions
from sidestream.media.supervisor import EngineSupervisor

async def main(directory, low, high, grace_s, *parties):
    configure_logs()
    options = EngineOptions(ports=(int(low), int(high)), orphan_grace_s=float(grace_s))
    supervisor = EngineSupervisor(options, directory=pathlib.Path(directory))
    hello = await supervisor.start()
    client = EngineClient(supervisor.socket)
    await client.connect()
    await client.open_session("CA1")
    ports = []
    for name, party in zip("ab", parties):
        ports.append((await client.open_endpoint("CA1", name)).rtp)
        await client.configure_endpoint("CA1", name, remote=Address("127.0.0.1", int(party)))
    for source, sink in ("ab", "ba") if parties else ():
        await client.set_route("CA1", source, sink)
    print(hello.pid, *ports, flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def _control(
    directory: Path, ports: tuple[int, int], grace_s: float, *parties: RtpStream
) -> AsyncIterator[list[int]]:
    """A control process, killed at the exit; gives what it printed."""
    arguments = [str(directory), *map(str, ports), str(grace_s), *(str(party.port) for party in parties)]
    control = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONTROL, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield [int(number) for number in (await control.stdout.readline()).split()]
    finally:
        control.kill()
        await control.wait()


async def test_the_death_of_the_control_process_costs_a_call_no_packet(
    parties, tmp_path: Path, media_ports: tuple[int, int]
) -> None:
    caller, agent = parties.caller, parties.agent
    async with _control(tmp_path, media_ports, 30.0, caller, agent) as (pid, *ports):
        for party, port in zip((caller, agent), ports, strict=True):
            party.direct(parties.TALK, ("127.0.0.1", port))
        await parties.until(lambda: len(agent.received) >= 10, "10 packets")
    killed_at = len(agent.received)
    await parties.until(lambda: len(agent.received) >= killed_at + 40, "40 packets more")
    supervisor = EngineSupervisor(directory=tmp_path)
    assert (await supervisor.start()).pid == pid
    client = EngineClient(supervisor.socket)
    await client.connect()
    assert await client.list_sessions() == ["CA1"]
    assert (await client.open_endpoint("CA1", "a")).rtp == ports[0]
    parties.hush()
    await parties.until(lambda: len(agent.received) == len(caller.sent), "all of it")
    assert transit(list(caller.sent), list(agent.received)).clean
    assert transit(list(agent.sent), list(caller.received)).clean
    await client.close()
    await supervisor.stop()


async def test_an_orphaned_engine_ends_after_its_grace_time(tmp_path: Path, media_ports: tuple[int, int]) -> None:
    async with _control(tmp_path, media_ports, 0.2) as (pid,):
        pass
    async with asyncio.timeout(20):
        while _alive(pid):
            await asyncio.sleep(0.1)
    # In order: its recordings are complete and its socket is gone, though nobody reads its log any more.
    assert list(tmp_path.iterdir()) == []


def _alive(pid: int) -> bool:
    # Not our child, so somebody else reaps it: a zombie is as good as gone.
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
