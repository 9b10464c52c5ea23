"""Players keep time whatever else the engine does, and recordings survive its sudden end."""

import asyncio
import os
import selectors
import signal
import socket
import statistics
import struct
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, Format
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import engine_process
from sidestream.testing.g711 import decode
from sidestream.testing.speech import CALLER, read_speech, write_channels

from .weather import Line, Plan, payload, send, speaker

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

PCMU = Format(0, "PCMU", 8000)
PACKET_NS = 20_000_000
PLAYERS = int(os.environ.get("SIDESTREAM_TEST_PLAYERS", "100"))
PORTS_OF_ALL = 4 * PLAYERS  # two each, and room for those that somebody else has
PACKETS = 100
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
FLUSHED_S = 1.0  # docs: the file is right to about a second at any moment


def _listen(listeners: list[socket.socket], seconds: float) -> list[list[int]]:
    """When each packet of each socket arrived, ns by the kernel. Runs in a thread."""
    arrived: list[list[int]] = [[] for _ in listeners]
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for index, listener in enumerate(listeners):
            selector.register(listener, selectors.EVENT_READ, index)
        while time.monotonic() < deadline and min(map(len, arrived)) < PACKETS:
            for key, _ in selector.select(0.1):
                packet, controls, _, _ = listeners[key.data].recvmsg(2048, 64)
                if packet[1] & 0x7F != 0:  # a report to the port above another listener's
                    continue
                seconds_, nanoseconds = struct.unpack("@ll", controls[0][2][:16])
                arrived[key.data].append(seconds_ * 1_000_000_000 + nanoseconds)
    return arrived


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineClient]:
    with engine_process(tmp_path, EngineOptions(), blocks=PORTS_OF_ALL // 100) as running:
        client = EngineClient(running.socket)
        await client.connect()
        yield client
        await client.close()


async def test_players_keep_their_schedule_while_a_hundred_of_them_play(engine: EngineClient, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    write_channels(path, (read_speech(CALLER)[: PACKETS * 160],))
    listeners = []
    for index in range(PLAYERS):
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        listeners.append(listener)
        session = f"CA{index}"
        await engine.open_session(session)
        await engine.open_endpoint(session, "a")
        await engine.configure_endpoint(session, "a", remote=Address(*listener.getsockname()), formats=(PCMU,))
    hearing = asyncio.create_task(asyncio.to_thread(_listen, listeners, 20.0))
    for index in range(PLAYERS):
        await engine.play(f"CA{index}", "p", endpoint="a", path=str(path))
    arrived = await hearing
    for listener in listeners:
        listener.close()
    assert {len(times) for times in arrived} == {PACKETS}
    # how far each packet is from a grid of exactly 20 ms that lies as well as it can
    late = []
    for times in arrived:
        offsets = [at - number * PACKET_NS for number, at in enumerate(times)]
        middle = statistics.median(offsets)
        late += [abs(offset - middle) / 1e6 for offset in offsets]
        # no error adds up: the second half lies on the grid of the first
        half = len(offsets) // 2
        assert abs(statistics.median(offsets[half:]) - statistics.median(offsets[:half])) < 2e6
    late.sort()
    p50, p90, p99 = (late[len(late) * share // 100] for share in (50, 90, 99))
    print(f"{PLAYERS} players: off the grid by p50 {p50:.3f}, p90 {p90:.3f}, p99 {p99:.3f} ms")
    assert p50 < 2.0
    assert p90 < 10.0


async def test_a_recording_can_be_read_though_the_engine_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    line, count = Line(20, 65_500), 120
    with engine_process(tmp_path, EngineOptions()) as running, speaker() as opened:
        client = EngineClient(running.socket)
        await client.connect()
        await client.open_session("CA1")
        ports = await client.open_endpoint("CA1", "a")
        await client.configure_endpoint("CA1", "a", remote=Address(*opened.getsockname()), formats=(PCMU,))
        await client.open_recorder("CA1", "r", endpoint="a", path=str(path))
        plans = [Plan(number * 0.02, 1, number) for number in range(count)]
        await asyncio.to_thread(send, opened, (ports.host, ports.rtp), plans, {1: line})
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        await client.close()
    samples = read_speech(path)
    assert len(samples) >= (count * 0.02 - FLUSHED_S) * 8000 - 2 * line.units
    said = np.concatenate([decode(payload(1, number, line.units), "PCMU") for number in range(count)])
    assert np.array_equal(samples, said[: len(samples)])
    # the header alone says so, too: players trust it
    size = int.from_bytes(path.read_bytes()[40:44], "little")
    assert len(samples) * 2 == size
