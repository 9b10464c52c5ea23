"""An engine that has as much as it can do, or as it may have: what it does then, and what it refuses."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, Format, LocalPorts, MediaEngineError, Side
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import EngineProcess, engine_process

PCMU = Format(0, "PCMU", 8000)
HOST = "127.0.0.1"
OPTIONS = EngineOptions(exit_when_orphaned=False)
PATIENCE = 20.0  # s
BUSY_CALLS = 8  # of a leg with so many forks each: what one party says costs as much as thirty calls
FORKS = 32
AT_ONCE = 60  # packets to each leg every ten milliseconds, of which it takes 4000 a second; of two sizes in turn, for
# those of one size that wait leave together, and hardly load an engine
LOOK_EVERY = 10
IN_FLIGHT = 16  # calls that are set up at one time, and have their RTCP ports until they are configured

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)


@asynccontextmanager
async def connected(running: EngineProcess) -> AsyncIterator[EngineClient]:
    made = EngineClient(running.socket)
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


def rtp(sequence: int, *, ssrc: int = 1, octets: int = 160, marked: bool = False) -> bytes:
    head = bytes((0x80, 0x80 if marked else 0)) + sequence.to_bytes(2, "big") + (160 * sequence).to_bytes(4, "big")
    return head + ssrc.to_bytes(4, "big") + bytes((sequence + n) & 0xFF for n in range(octets))


@dataclass
class Talkers:
    """Sockets of two parties and of a recorder, which block for a while at most."""

    a: socket.socket
    b: socket.socket
    srs: socket.socket

    @staticmethod
    def address(one: socket.socket) -> Address:
        return Address(HOST, one.getsockname()[1])


@pytest.fixture
def talkers() -> Iterator[Talkers]:
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for one in made:
            one.bind((HOST, 0))
            one.settimeout(PATIENCE)
        yield Talkers(*made)


@pytest.mark.parametrize("batch_ms", [0, 80])
async def test_what_waited_while_the_engine_was_held_up_is_relayed_and_forked_whole_and_in_order(
    tmp_path: Path, talkers: Talkers, batch_ms: int
) -> None:
    with engine_process(tmp_path, OPTIONS, blocks=2) as running:
        async with connected(running) as engine:
            await engine.open_session("CA1")
            legs: dict[str, LocalPorts] = {}
            for name, party in (("a", talkers.a), ("b", talkers.b)):
                legs[name] = await engine.open_endpoint("CA1", name)
                await engine.configure_endpoint("CA1", name, remote=talkers.address(party), formats=(PCMU,))
            await engine.set_route("CA1", "a", "b")
            await engine.set_route("CA1", "b", "a")
            await engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="x@sidestream", batch_ms=batch_ms)
            await engine.configure_fork("CA1", "f", remote=talkers.address(talkers.srs), active=True, formats=(PCMU,))
            # Some sizes differ, and some packets are marked: neither may change place for it.
            said = {
                "a": [rtp(n, octets=80 if n in (7, 8, 13) else 160, marked=n == 5) for n in range(20)],
                "b": [rtp(n, ssrc=2) for n in range(500, 520)],
            }
            os.kill(running.process.pid, signal.SIGSTOP)
            for one, party in (("a", talkers.a), ("b", talkers.b)):
                for packet in said[one]:
                    party.sendto(packet, (HOST, legs[one].rtp))
            os.kill(running.process.pid, signal.SIGCONT)
            assert [await asyncio.to_thread(talkers.b.recv, 2048) for _ in said["a"]] == said["a"]
            assert [await asyncio.to_thread(talkers.a.recv, 2048) for _ in said["b"]] == said["b"]
            forked = [await asyncio.to_thread(talkers.srs.recv, 2048) for _ in said["a"]]
            assert [packet[12:] for packet in forked] == [packet[12:] for packet in said["a"]]
            first = int.from_bytes(forked[0][2:4], "big")
            assert [int.from_bytes(packet[2:4], "big") for packet in forked] == [
                (first + n) & 0xFFFF for n in range(len(forked))
            ]
            statistics = await engine.close_session("CA1")
            assert [statistics.endpoints[name].packets_sent for name in "ab"] == [20, 20]
            assert statistics.forks["f"].packets_sent == 20
            assert statistics.forks["f"].send_errors == 0


async def _refused(engine: EngineClient, session: str) -> MediaEngineError | None:
    """Why a session cannot be opened; one that can is closed again."""
    try:
        await engine.open_session(session)
    except MediaEngineError as error:
        return error
    await engine.close_session(session)
    return None


async def _fork(engine: EngineClient, session: str, name: str, talkers: Talkers) -> None:
    await engine.open_fork(session, name, endpoint="a", side=Side.INBOUND, cname="x")
    to = talkers.address(talkers.srs)
    await engine.configure_fork(session, name, remote=to, active=True, formats=(PCMU,))


async def test_an_overloaded_engine_takes_no_new_call_and_keeps_those_that_it_has(
    tmp_path: Path, talkers: Talkers
) -> None:
    with engine_process(tmp_path, OPTIONS, blocks=2) as running:
        async with connected(running) as engine:
            legs = []
            for call in range(BUSY_CALLS):
                session = f"CA{call}"
                await engine.open_session(session)
                legs.append((await engine.open_endpoint(session, "a")).rtp)
                await engine.configure_endpoint(session, "a", remote=talkers.address(talkers.a), formats=(PCMU,))
                async with asyncio.TaskGroup() as group:
                    for fork in range(FORKS):
                        group.create_task(_fork(engine, session, f"f{fork}", talkers))
            error, sequence = None, 0
            async with asyncio.timeout(PATIENCE):
                while error is None:
                    for _ in range(LOOK_EVERY):
                        for port in legs:
                            for n in range(sequence, sequence + AT_ONCE):
                                talkers.a.sendto(rtp(n & 0xFFFF, octets=160 + n % 2), (HOST, port))
                        sequence += AT_ONCE
                        await asyncio.sleep(0.01)
                    error = await _refused(engine, "CA-more")
            assert error.code == "overload"
            assert "%" in error.message
            # What is open is not touched, and may grow.
            assert len(await engine.list_sessions()) == BUSY_CALLS
            await engine.open_endpoint("CA0", "c")
            async with asyncio.timeout(PATIENCE):
                while await _refused(engine, "CA-more") is not None:
                    await asyncio.sleep(0.1)


async def _call(engine: EngineClient, session: str, *, muxed: bool) -> None:
    await engine.open_session(session)
    for name in "ab":
        await engine.open_endpoint(session, name)
        await engine.configure_endpoint(session, name, remote=Address(HOST, 9), formats=(PCMU,), rtcp_mux=muxed)
    await engine.set_route(session, "a", "b")
    await engine.set_route(session, "b", "a")


def _descriptors(running: EngineProcess) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/fd"))


async def test_calls_whose_rtcp_shares_the_port_take_two_descriptors_each(tmp_path: Path) -> None:
    """60 calls of four ports each, where 200 descriptors may be open; `make soak` has 5000 of them."""
    calls = 60
    with engine_process(tmp_path, OPTIONS, blocks=4, descriptors=200) as running:
        async with connected(running) as engine:
            before = _descriptors(running)
            for first in range(0, calls, IN_FLIGHT):
                async with asyncio.TaskGroup() as group:
                    for call in range(first, min(first + IN_FLIGHT, calls)):
                        group.create_task(_call(engine, f"CA{call}", muxed=True))
            assert _descriptors(running) == before + 2 * calls
            # A leg that gives it up has its own port for RTCP again, and one that takes it up gives that back.
            for muxed in (False, True):
                await engine.configure_endpoint("CA7", "a", remote=Address(HOST, 9), formats=(PCMU,), rtcp_mux=muxed)
                assert _descriptors(running) == before + 2 * calls + (0 if muxed else 1)
            for call in range(calls):
                await engine.close_session(f"CA{call}")
            # What is left are the sockets at ports that rest, as far as there is room for them.
            assert await engine.list_sessions() == []
            await _call(engine, "CA-after", muxed=False)


async def _record(engine: EngineClient, folder: Path) -> None:
    """More recordings of one leg than there are descriptors left for less than a call."""
    for place in range(4):
        await engine.open_recorder("CA0", f"r{place}", endpoint="a", path=str(folder / f"{place}.wav"))


async def test_a_call_that_would_find_no_descriptor_is_refused_with_numbers(tmp_path: Path) -> None:
    with engine_process(tmp_path, OPTIONS, blocks=4, descriptors=120) as running:
        async with connected(running) as engine:
            error, calls = None, 0
            while error is None:
                assert calls < 100
                try:
                    await _call(engine, f"CA{calls}", muxed=False)
                    calls += 1
                except MediaEngineError as refused:
                    error = refused
            # Refused at its beginning, not half way: nothing of it is there, and nothing else is harmed.
            assert error.code == "limit"
            assert f"4 descriptors are wanted, and {4 * calls} of" in error.message
            assert len(await engine.list_sessions()) == calls
            assert calls >= 15
            assert _descriptors(running) < 120
            # The limit of recordings is the same, and so is what a call gets that grows.
            with pytest.raises(MediaEngineError) as caught:
                await _record(engine, tmp_path)
            assert caught.value.code == "limit"
            with pytest.raises(MediaEngineError) as caught:
                await engine.open_endpoint("CA0", "more")
            assert caught.value.code == "limit"
            # Calls end: at once there is room for as many, whatever rests.
            for call in range(calls):
                await engine.close_session(f"CA{call}")
            for call in range(calls):
                await _call(engine, f"CB{call}", muxed=False)
