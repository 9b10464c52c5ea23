"""The relays that are compared: each is started anew for each run."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benches.pair import Pair

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PORTS = (10_000, 29_999)
PEER_PORTS = (30_000, 59_999)
PAIR_PORTS = (2_000, 63_999)  # of a relay that has its network to itself
NG_PORT = 22_222
START_LIMIT_S = 5.0
BATCH_MS = 80
FLOOD_PER_S = 100_000  # garbage on fifty other ports


@dataclass(frozen=True, slots=True)
class Target:
    """A relay that runs: what the generator calls it, and its process.

    `number`: milliseconds of a fork's audio that leave at once; of a flood, packets a second.
    """

    name: str
    address: str
    pid: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay, started anew for each run: none has the ports, memory or programs of another beside it."""

    name: str
    start: Callable[[], AbstractContextManager[Target]]


def relays_of(folder: Path, prefix: list[str], pair: Pair | None, kernel: bool, flood: bool) -> list[Relay]:
    """All that are asked for and can be had, in the order of a round."""
    prefix = pair.at_relay(prefix) if pair else prefix
    ports, address = (PAIR_PORTS, pair.relay) if pair else (ENGINE_PORTS, None)
    start = partial(engine, folder, prefix, ports=ports, address=address)
    relays = [
        Relay("sidestream", start),
        Relay(f"sidestream, {BATCH_MS} ms", partial(_as, start, number=BATCH_MS)),
    ]
    if pair is None:
        relays.insert(0, Relay("direct", _nobody))
    if flood and pair is None:
        relays.append(Relay("sidestream, flooded", partial(_flooded, start)))
    if kernel:
        relays.append(Relay("sidestream, kernel", partial(start, kernel=True)))
    if shutil.which("rtpengine") is not None:
        peer_ports = PAIR_PORTS if pair else PEER_PORTS
        hosts = (pair.relay, pair.control) if pair else ("127.0.0.1", "127.0.0.1")
        relays.append(Relay("rtpengine", partial(_rtpengine, folder, prefix, hosts, peer_ports)))
    return relays


@contextmanager
def _nobody() -> Iterator[Target]:
    yield Target("direct", "direct", os.getpid())


@contextmanager
def _as(start: Callable[[], AbstractContextManager[Target]], number: int) -> Iterator[Target]:
    with start() as target:
        yield replace(target, number=number)


@contextmanager
def _flooded(start: Callable[[], AbstractContextManager[Target]]) -> Iterator[Target]:
    with start() as target:
        yield replace(target, address="flood:" + target.address.partition(":")[2], number=FLOOD_PER_S)


def build_generator() -> Path:
    command = ["cargo", "build", "--release", "--quiet", "-p", "media-net", "--example", "load"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "examples" / "load"


def raise_descriptor_limit() -> None:
    """As far as it goes: engine and relays inherit it."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


@contextmanager
def engine(
    folder: Path,
    prefix: Sequence[str],
    *,
    ports: tuple[int, int] = ENGINE_PORTS,
    address: str | None = None,
    kernel: bool = False,
) -> Iterator[Target]:
    """An engine that runs, with a port range of its own, on the loopback or on an address."""
    path = folder / "media.sock"
    low, high = ports
    command = [*prefix, sys.executable, "-m", "sidestream", "media", "--socket", str(path)]
    command += ["--port-min", str(low), "--port-max", str(high), "--port-cooldown-ms", "4000"]
    command += [f"--interface=default={address}"] if address else []
    command += ["--kernel-path", "require"] if kernel else []
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process, _stopped(process):
        _wait(lambda: path.exists(), process)
        yield Target("sidestream", f"sidestream:{path}", process.pid)


@contextmanager
def _rtpengine(folder: Path, prefix: Sequence[str], hosts: tuple[str, str], ports: tuple[int, int]) -> Iterator[Target]:
    """rtpengine with addresses for packets and for commands."""
    address, control = hosts
    low, high = ports
    command = [*prefix, "rtpengine", "--config-file=none", "--foreground", "--table=-1", "--num-threads=1"]
    command += [f"--interface={address}", f"--listen-ng={control}:{NG_PORT}", f"--port-min={low}", f"--port-max={high}"]
    command += ["--log-level=1", f"--pidfile={folder / 'rtpengine.pid'}", "--log-stderr"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process, _stopped(process):
        _wait(lambda: _listens(process.pid), process)
        yield Target("rtpengine", f"rtpengine:{control}:{NG_PORT}", process.pid)


def _listens(process: int) -> bool:
    """Whether the UDP port of the ng protocol is open in the network of a process."""
    return f":{NG_PORT:04X} " in Path(f"/proc/{process}/net/udp").read_text()


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(0.05)


def pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)]


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
