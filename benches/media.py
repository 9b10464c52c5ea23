"""Forked calls per core: what the media engine costs for each packet, and what it adds to a packet's way.

A call is two G.711 streams of 50 packets a second, each relayed to the other party and forked to a recorder, over
loopback. The relay is pinned to one core and the generator to another. In each round of each load the same traffic goes
directly (the do-nothing reference), through the engine, through the engine with its forks in batches, and through
rtpengine where it is installed; every packet's source, destination and content is checked. With `--search` the highest
number of calls is looked for that each of them bears. Judge by ratios within one run: the generator shares the machine,
and loopback charges a packet's reception to its sender.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benches.table import print_table

ROOT = Path(__file__).resolve().parent.parent
CALLS = (100, 200, 500)
ENGINE_PORTS = (10_000, 29_999)
PEER_PORTS = (30_000, 59_999)
NG_PORT = 22_222
START_LIMIT_S = 5.0
P99_LIMIT_US = 1000.0  # what the relay may add at 200 calls
FIRST_FORK_LIMIT_MS = 100.0
BATCH_MS = 80
FLOOD_PER_S = 100_000  # garbage on fifty other ports
LOST_LIMIT = 0.1  # per cent: more is not borne
P50_LIMIT_US = 20_000.0  # nor is this: a full buffer shows as delay before it shows as loss
CALM_S = 1.2  # an engine takes no new calls until it has been seen not to be overloaded by those before
SEARCHED = (200, 2400)  # calls between which the highest number is looked for
SEARCH_STEP = 1.05  # how close to it the search ends


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
    setup_per_s: float  # calls set up in a second
    garbage_per_s: float | None = None  # packets thrown at other ports meanwhile

    @property
    def is_borne(self) -> bool:
        return self.wrong == 0 and self.lost < LOST_LIMIT and self.p50_us < P50_LIMIT_US

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
            setup_per_s=1000 * found["calls"] / max(found["setup_ms"], 0.001),
            garbage_per_s=found.get("garbage_per_s"),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A relay that runs: what the generator calls it, and its process.

    `number`: milliseconds of a fork's audio that leave at once; of a flood, packets a second.
    """

    name: str
    address: str
    pid: int
    number: int = 0


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
    parser.add_argument("--search", action="store_true", help="look for the highest number of calls instead")
    parser.add_argument("--flood", action="store_true", help=f"also beside {FLOOD_PER_S} packets of garbage a second")
    options = parser.parse_args(arguments)
    raise_descriptor_limit()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("media: skipped, relay and generator need a core each", file=sys.stderr)
        return
    generator = build_generator()
    before = ["chrt", "--fifo", "1"] if options.realtime else []
    with (
        tempfile.TemporaryDirectory(prefix="sidestream-bench-") as folder,
        engine(Path(folder), [*before, *pinned(cores[0])]) as ours,
        _rtpengine(Path(folder), [*before, *pinned(cores[0])]) as peer,
    ):
        batched = replace(ours, name=f"{ours.name}, {BATCH_MS} ms", number=BATCH_MS)
        path = ours.address.partition(":")[2]
        flooded = Target(f"{ours.name}, flooded", f"flood:{path}", ours.pid, FLOOD_PER_S)
        relays = [ours, batched, *([flooded] if options.flood else []), *([peer] if peer else [])]
        generate = Generator(generator, options.seconds, [*before, *pinned(cores[1])])
        if options.search:
            _print_highest(_search(generate, relays, options.rounds))
        else:
            targets = [Target("direct", "direct", os.getpid()), *relays]
            _print({calls: _rounds(generate, targets, calls, options.rounds) for calls in options.calls})
    if peer is None:
        print("rtpengine: skipped, it is not installed (Debian: rtpengine-daemon)")


@dataclass(frozen=True, slots=True)
class Generator:
    program: Path
    seconds: float
    prefix: Sequence[str]

    def is_borne(self, target: Target, calls: int) -> bool:
        """Whether a target bears so many calls. One that answers no more does not; the first time may be bad luck."""
        for _ in range(2):
            try:
                return self.run(target, calls).is_borne
            except subprocess.CalledProcessError as error:
                print(f"{target.name}, {calls} calls: {error}", file=sys.stderr)
        return False

    def run(self, target: Target, calls: int) -> Measured:
        command = [*self.prefix, str(self.program), target.address, str(calls), str(self.seconds), str(target.pid)]
        command.append(str(target.number))
        time.sleep(CALM_S)
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=self.seconds + 120, check=True)
        return Measured.read(done.stdout.decode())


def _rounds(generate: Generator, targets: Sequence[Target], calls: int, rounds: int) -> dict[str, list[Measured]]:
    """The runs of one load by target, interleaved so that the machine's moods meet all targets alike."""
    found: dict[str, list[Measured]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            found[target.name].append(generate.run(target, calls))
    return found


def _search(generate: Generator, targets: Sequence[Target], rounds: int) -> dict[str, list[int]]:
    """The highest number of calls that each target bore, one of each round; the targets take turns at each step."""
    found: dict[str, list[int]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        between = {target.name: SEARCHED for target in targets}
        while open_ := [target for target in targets if _is_open(between[target.name])]:
            for target in open_:
                low, high = between[target.name]
                calls = round((low * high) ** 0.5)
                borne = generate.is_borne(target, calls)
                between[target.name] = (calls, high) if borne else (low, calls)
        for name, (low, _high) in between.items():
            found[name].append(low)
    return found


def _is_open(between: tuple[int, int]) -> bool:
    return between[1] > between[0] * SEARCH_STEP


def _print_highest(found: dict[str, list[int]]) -> None:
    rows = []
    theirs = found.get("rtpengine")
    for name, highest in found.items():
        ratio = "-" if theirs is None else f"{statistics.median(highest) / statistics.median(theirs):.2f}"
        rows.append((name, f"{statistics.median(highest):.0f}", f"{min(highest)}-{max(highest)}", ratio))
    columns = ("relay", "forked calls per core", "range", "times rtpengine")
    print_table(f"Loss below {LOST_LIMIT} %, median delay below {P50_LIMIT_US / 1000:.0f} ms", columns, rows)


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
                    "-" if direct else f"{statistics.median(run.setup_per_s for run in runs):.0f}",
                )
            )
    columns = (
        "calls, relay",
        "CPU %",
        "µs/packet",
        "worst loss %",
        "wrong",
        "p50 µs",
        "p99 µs",
        "MB",
        "first fork ms",
        "set up/s",
    )
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
    if garbage := [
        run.garbage_per_s for runs in results.values() for one in runs.values() for run in one if run.garbage_per_s
    ]:
        print(f"the flood was of {statistics.median(garbage):.0f} packets a second")
    firsts = [run.first_fork_ms for runs in results.values() for run in runs["sidestream"] if run.first_fork_ms]
    if firsts:
        print(
            f"first forked packet after a fork is activated: at most {max(firsts):.1f} ms"
            f" (limit {FIRST_FORK_LIMIT_MS:.0f}: {_holds(max(firsts) <= FIRST_FORK_LIMIT_MS)})"
        )


def _holds(value: bool) -> str:
    return "held" if value else "MISSED"


def build_generator() -> Path:
    command = ["cargo", "build", "--release", "--quiet", "-p", "media-net", "--example", "load"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "examples" / "load"


def raise_descriptor_limit() -> None:
    """As far as it goes: engine and relays inherit it."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


@contextmanager
def engine(folder: Path, prefix: Sequence[str], *, ports: tuple[int, int] = ENGINE_PORTS) -> Iterator[Target]:
    """An engine that runs, with a port range of its own."""
    path = folder / "media.sock"
    low, high = ports
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


def pinned(core: int) -> list[str]:
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
