"""Forked calls per core: what the media engine costs for each packet, and what it adds to a packet's way.

A call is two G.711 streams of 50 packets a second, each relayed to the other party and forked to a recorder, over
loopback. The relay is pinned to one core and the generator to another. In each round of each load the same traffic goes
directly (the do-nothing reference), through the engine, and through rtpengine where it is installed; every packet's
source and content is checked. Judge by ratios within one run: the generator shares the machine, and loopback charges a
packet's reception to its sender.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benches.table import print_table

ROOT = Path(__file__).resolve().parent.parent
CALLS = (100, 200, 500)
ENGINE_PORTS = (20_000, 29_999)
PEER_PORTS = (30_000, 59_999)
NG_PORT = 22_222
START_LIMIT_S = 5.0
P99_LIMIT_US = 1000.0  # what the relay may add at 200 calls
FIRST_FORK_LIMIT_MS = 100.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one load. `lost` in per cent of what was to arrive, relayed and forked; times in microseconds."""

    cpu_percent: float
    lost: float
    wrong: int
    p50_us: float
    p99_us: float
    resident_mb: float | None
    first_fork_ms: float | None

    @classmethod
    def read(cls, text: str) -> "Measured":
        found = json.loads(text)
        copies = 1 if found["forked"] == 0 else 2
        expected = copies * found["sent"]
        resident = found.get("resident_bytes")
        return cls(
            cpu_percent=found["cpu_percent"],
            lost=100 * (expected - found["relayed"] - found["forked"]) / expected,
            wrong=found["wrong"],
            p50_us=found["relay_p50_us"],
            p99_us=found["relay_p99_us"],
            resident_mb=None if resident is None else resident / 1e6,
            first_fork_ms=found.get("first_fork_ms"),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A relay that runs: what the generator calls it, and its process."""

    name: str
    address: str
    pid: int


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches media", description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=list(CALLS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run, after its warm-up")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="run relays and generator before all other processes (chrt), for numbers from a machine that is shared",
    )
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("media: skipped, relay and generator need a core each", file=sys.stderr)
        return
    generator = _build_generator()
    before = ["chrt", "--fifo", "1"] if options.realtime else []
    with (
        tempfile.TemporaryDirectory(prefix="sidestream-bench-") as folder,
        _engine(Path(folder), [*before, *_pinned(cores[0])]) as engine,
        _rtpengine(Path(folder), [*before, *_pinned(cores[0])]) as peer,
    ):
        targets = [Target("direct", "direct", os.getpid()), engine, *([peer] if peer else [])]
        results = {
            calls: _rounds(generator, targets, calls, options.rounds, options.seconds, [*before, *_pinned(cores[1])])
            for calls in options.calls
        }
    _print(results)
    if peer is None:
        print("rtpengine: skipped, it is not installed (Debian: rtpengine-daemon)")


def _rounds(
    generator: Path, targets: Sequence[Target], calls: int, rounds: int, seconds: float, prefix: Sequence[str]
) -> dict[str, list[Measured]]:
    """The runs of one load by target, interleaved so that the machine's moods meet all targets alike."""
    found: dict[str, list[Measured]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            command = [*prefix, str(generator), target.address, str(calls), str(seconds), str(target.pid)]
            done = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds + 120, check=True)
            found[target.name].append(Measured.read(done.stdout.decode()))
    return found


def _print(results: dict[int, dict[str, list[Measured]]]) -> None:
    rows = []
    for calls, by_target in results.items():
        for name, runs in by_target.items():
            cpu = statistics.median(run.cpu_percent for run in runs)
            memory = [run.resident_mb for run in runs if run.resident_mb is not None]
            first = [run.first_fork_ms for run in runs if run.first_fork_ms is not None]
            direct = name == "direct"
            rows.append(
                (
                    f"{calls} {name}",
                    "-" if direct else f"{cpu:.0f}",
                    "-" if direct else f"{cpu * 100 / calls:.1f}",
                    f"{max(run.lost for run in runs):.3f}",
                    str(sum(run.wrong for run in runs)),
                    f"{statistics.median(run.p50_us for run in runs):.0f}",
                    f"{statistics.median(run.p99_us for run in runs):.0f}",
                    f"{max(memory):.1f}" if memory else "-",
                    f"{max(first):.1f}" if first else "-",
                )
            )
    columns = ("calls, relay", "CPU %", "µs/packet", "worst loss %", "wrong", "p50 µs", "p99 µs", "MB", "first fork ms")
    print_table("Forked calls through one core (medians; µs/packet: CPU for each packet that comes in)", columns, rows)
    print("p50 and p99 run from the sender's call to the receiver's; the direct rows are the generator's own share.")
    for calls, by_target in results.items():
        added = [
            run.p99_us - direct.p99_us for run, direct in zip(by_target["sidestream"], by_target["direct"], strict=True)
        ]
        verdict = "" if calls != 200 else f" (limit {P99_LIMIT_US:.0f}: {_holds(min(added) <= P99_LIMIT_US)})"
        print(f"{calls} calls: the engine adds {statistics.median(added):.0f} µs at p99{verdict}")
        if "rtpengine" in by_target:
            ours, theirs = (
                statistics.median(run.cpu_percent for run in by_target[name]) for name in ("sidestream", "rtpengine")
            )
            ratio = theirs / max(ours, 0.1)
            print(f"{calls} calls: rtpengine takes {ratio:.2f} times the engine's CPU")
    firsts = [run.first_fork_ms for runs in results.values() for run in runs["sidestream"] if run.first_fork_ms]
    if firsts:
        print(
            f"first forked packet after a fork is activated: at most {max(firsts):.1f} ms"
            f" (limit {FIRST_FORK_LIMIT_MS:.0f}: {_holds(max(firsts) <= FIRST_FORK_LIMIT_MS)})"
        )


def _holds(value: bool) -> str:
    return "held" if value else "MISSED"


def _build_generator() -> Path:
    command = ["cargo", "build", "--release", "--quiet", "-p", "media-net", "--example", "load"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "examples" / "load"


@contextmanager
def _engine(folder: Path, prefix: Sequence[str]) -> Iterator[Target]:
    path = folder / "media.sock"
    low, high = ENGINE_PORTS
    command = [*prefix, sys.executable, "-m", "sidestream", "media", "--socket", str(path)]
    command += ["--port-min", str(low), "--port-max", str(high), "--port-cooldown-ms", "4000"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process, _stopped(process):
        _wait(lambda: path.exists(), process)
        yield Target("sidestream", f"sidestream:{path}", process.pid)


@contextmanager
def _rtpengine(folder: Path, prefix: Sequence[str]) -> Iterator[Target | None]:
    program = shutil.which("rtpengine")
    if program is None:
        yield None
        return
    low, high = PEER_PORTS
    command = [
        *prefix,
        program,
        "--config-file=none",
        "--foreground",
        "--table=-1",
        "--interface=127.0.0.1",
        "--num-threads=1",
    ]
    command += [f"--listen-ng=127.0.0.1:{NG_PORT}", f"--port-min={low}", f"--port-max={high}", "--log-level=1"]
    command += [f"--pidfile={folder / 'rtpengine.pid'}", "--log-stderr"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process, _stopped(process):
        _wait(lambda: _answers(NG_PORT), process)
        yield Target("rtpengine", f"rtpengine:127.0.0.1:{NG_PORT}", process.pid)


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(("127.0.0.1", port))
            probe.send(b"0 d7:command4:pinge")
            return b"pong" in probe.recv(256)
        except OSError:
            return False


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(0.05)


def _pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(core)]


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main(sys.argv[1:])
