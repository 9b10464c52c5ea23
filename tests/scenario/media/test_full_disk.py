"""A disk that has no room for what is recorded: the call goes on, and what is missing is told."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, Format, LocalPorts, MediaEngineError
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import engine_process

DISK_OCTETS = 64 * 1024
PAGE = 4096
PACKETS = 60  # more than a second: the engine writes a second at a time
HOST = "127.0.0.1"

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, with two pages free."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "tmpfs", mounted], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted: {done.stderr.decode().strip()}")
    try:
        (mounted / "filler").write_bytes(bytes(DISK_OCTETS - 2 * PAGE))
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineClient]:
    with engine_process(tmp_path, EngineOptions()) as running:
        made = EngineClient(running.socket)
        await made.connect()
        yield made
        await made.close()


async def talk(ports: LocalPorts) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as party:
        begin = loop.time()
        for n in range(PACKETS):
            head = bytes((0x80, 0)) + n.to_bytes(2, "big") + (160 * n).to_bytes(4, "big") + (1).to_bytes(4, "big")
            party.sendto(head + bytes(160), (ports.host, ports.rtp))
            await asyncio.sleep(max(0.0, begin + 0.02 * (n + 1) - loop.time()))


async def test_what_does_not_fit_is_counted_and_nothing_is_left_of_what_cannot_begin(
    engine: EngineClient, disk: Path
) -> None:
    await engine.open_session("CA1")
    ports = await engine.open_endpoint("CA1", "a")
    await engine.configure_endpoint("CA1", "a", remote=Address(HOST, 9), formats=(Format(0, "PCMU", 8000),))
    await engine.open_recorder("CA1", "r", endpoint="a", path=str(disk / "r.wav"))
    await talk(ports)
    recorded = await engine.close_recorder("CA1", "r")
    assert (recorded.packets, recorded.samples) == (PACKETS, 160 * PACKETS)
    assert recorded.dropped_samples >= 8000
    assert (await engine.session_statistics("CA1")).endpoints["a"].packets_received == PACKETS
    (disk / "filler").write_bytes(bytes(DISK_OCTETS - (disk / "r.wav").stat().st_blocks * 512))
    with pytest.raises(MediaEngineError) as refused:
        await engine.open_recorder("CA1", "s", endpoint="a", path=str(disk / "s.wav"))
    assert refused.value.code == "bad-file"
    assert not (disk / "s.wav").exists()
