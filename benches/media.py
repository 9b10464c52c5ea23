"""Forked calls per core: what the media engine costs for each packet, and what it adds to a packet's way.

A call is two G.711 streams of 50 packets a second, each relayed to the other party and forked to a recorder. The relay
is pinned to one core and the generator to another. In each round of each load the same traffic goes through the engine,
through the engine with its forks in batches, through rtpengine where it is installed, and with `--kernel` through the
engine's in-kernel path; every packet's source, destination and content is checked. With `--search` the highest number
of calls is looked for that each of them bears. Judge by ratios within one run: the generator shares the machine.

Over the loopback, packets also go directly, without a relay. It charges a packet's reception to its sender, so that an
in-kernel path costs its relay nothing there: `benches kernel_path` tells what it costs the machine. With `--veth`
(root) relay and generator are at the ends of a veth pair, and each core receives what is its own.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benches.pair import Pair, Unavailable, veth_pair
from benches.table import print_table

ROOT = Path(__file__).resolve().parent.parent
CALLS = (100, 200, 500)
ENGINE_PORTS = (10_000, 29_999)
PEER_PORTS = (30_000, 59_999)
PAIR_PORTS = (2_000, 63_999)  # of a relay that has its network to itself
NG_PORT = 22_222
START_LIMIT_S = 5.0
P99_LIMIT_US = 1000.0  # what the relay may add at 200 calls
FIRST_FORK_LIMIT_MS = 100.0
BATCH_MS = 80
FLOOD_PER_S = 100_000  # garbage on fifty other ports
LOST_LIMIT = 0.1  # per cent: more is not borne
P50_LIMIT_US = 20_000.0  # nor is this: a full buffer shows as delay before it shows as loss
SEARCHED = (100, 6000)  # calls between which the highest number is looked for
SEARCH_STEP = 1.05  # how close to it the search ends
REALTIME = ["chrt", "--fifo", "2"]  # the generator's meters have priority 1
LEAST_CALLS_PER_S = 200  # with less than these a run has a fault


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
    calls: float  # that the packets sent amount to: a generator that is held up by the machine sends fewer
    sent: int
    relay_core: float  # per cent of the relay's core that was used, by the relay and by the kernel
    load_core: float  # the same of the generator's core
    others: float  # per cent of a core that other processes took
    kernel_legs: int  # streams that were in the kernel at the end
    garbage_per_s: float | None = None  # packets thrown at other ports meanwhile

    @property
    def is_borne(self) -> bool:
        return self.wrong == 0 and self.lost < LOST_LIMIT and self.p50_us < P50_LIMIT_US

    @property
    def relay_us(self) -> float:
        """What a packet that comes in costs the relay's core."""
        return self.relay_core * 100 / self.calls

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
            calls=found["calls"] * found["pace_percent"] / 100,
            sent=found["sent"],
            relay_core=found["busy_percent"][0],
            load_core=found["busy_percent"][1],
            others=max(0.0, found["others_percent"]),
            kernel_legs=found.get("kernel_legs") or 0,
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


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay, started anew for each run: none has the ports, memory or programs of another beside it."""

    name: str
    start: Callable[[], AbstractContextManager[Target]]


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
    parser.add_argument("--between", type=int, nargs=2, default=SEARCHED, metavar=("LOW", "HIGH"), help="where to look")
    parser.add_argument("--flood", action="store_true", help=f"also beside {FLOOD_PER_S} packets of garbage a second")
    parser.add_argument("--kernel", action="store_true", help="also the engine's in-kernel path (root)")
    parser.add_argument("--veth", action="store_true", help="in a veth pair, the in-kernel path too (root)")
    parser.add_argument("--only", nargs="+", metavar="RELAY", help="only relays of these names")
    options = parser.parse_args(arguments)
    raise_descriptor_limit()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("media: skipped, relay and generator need a core each", file=sys.stderr)
        return
    program = build_generator()
    before = REALTIME if options.realtime else []
    with ExitStack() as stack:
        # namespaces are removed however the bench ends
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sidestream-bench-")))
        if options.realtime:
            stack.enter_context(_prompt_softirqs(cores[:2]))
        try:
            pair = stack.enter_context(veth_pair(cores[0], cores[1])) if options.veth else None
        except Unavailable as error:
            print(f"media: skipped, no veth pair can be had here: {error}", file=sys.stderr)
            return
        relays = _relays(folder, [*before, *pinned(cores[0])], pair, options.kernel or options.veth, options.flood)
        relays = [relay for relay in relays if options.only is None or relay.name in options.only]
        plan = {"cores": cores[:2], "pair": pair.plan if pair else None}
        prefix = [*before, *pinned(cores[1])]
        generate = Generator(program, options.seconds, pair.at_load(prefix) if pair else prefix, json.dumps(plan))
        if options.search:
            _print_highest(_search(generate, relays, options.rounds, tuple(options.between)))
        else:
            _print({calls: _rounds(generate, relays, calls, options.rounds) for calls in options.calls}, pair)
    if shutil.which("rtpengine") is None:
        print("rtpengine: skipped, it is not installed (Debian: rtpengine-daemon)")


@contextmanager
def _prompt_softirqs(cores: Sequence[int]) -> Iterator[None]:
    """Has the kernel's threads that handle packets run beside relay and generator: these would go before them."""
    names = {f"ksoftirqd/{core}" for core in cores}
    threads = [path.parent.name for path in Path("/proc").glob("[0-9]*/comm") if _read(path).strip() in names]
    try:
        for thread in threads:
            subprocess.run(["chrt", "--fifo", "--pid", "2", thread], check=False, stderr=subprocess.DEVNULL)
        yield
    finally:
        for thread in threads:
            subprocess.run(["chrt", "--other", "--pid", "0", thread], check=False, stderr=subprocess.DEVNULL)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # of a process that has just ended


def _end(_signal: int, _frame: Any) -> None:
    sys.exit("media: ended")


def _relays(folder: Path, prefix: list[str], pair: Pair | None, kernel: bool, flood: bool) -> list[Relay]:
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
        relays.append(Relay("rtpengine", partial(_rtpengine, folder, prefix, address or "127.0.0.1", peer_ports)))
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


@dataclass(frozen=True, slots=True)
class Generator:
    program: Path
    seconds: float
    prefix: Sequence[str]
    plan: str

    def try_run(self, relay: Relay, calls: int) -> Measured | None:
        """None if the relay answers no more. If it does not bear the calls, that may be bad luck: once more."""
        found = None
        for _ in range(2):
            try:
                found = self.run(relay, calls)
            except subprocess.CalledProcessError as error:
                print(f"{relay.name}, {calls} calls: {error}", file=sys.stderr)
                continue
            if found.is_borne:
                break
        return found

    def run(self, relay: Relay, calls: int) -> Measured:
        with relay.start() as target:
            command = [*self.prefix, str(self.program), target.address, str(calls), str(self.seconds)]
            command += [str(target.pid), str(target.number), self.plan]
            limit = self.seconds + calls / LEAST_CALLS_PER_S + 60
            done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit, check=True)
        return Measured.read(done.stdout.decode())


def _rounds(generate: Generator, relays: Sequence[Relay], calls: int, rounds: int) -> dict[str, list[Measured]]:
    """The runs of one load by relay, interleaved so that the machine's moods meet all relays alike."""
    found: dict[str, list[Measured]] = {relay.name: [] for relay in relays}
    for _ in range(rounds):
        for relay in relays:
            found[relay.name].append(generate.run(relay, calls))
    return found


def _search(
    generate: Generator, relays: Sequence[Relay], rounds: int, searched: tuple[int, int]
) -> dict[str, list[Measured]]:
    """The run with the most calls that each relay bore, one of each round; the relays take turns at each step."""
    relays = [relay for relay in relays if relay.name != "direct"]
    found: dict[str, list[Measured]] = {relay.name: [] for relay in relays}
    for _ in range(rounds):
        between = {relay.name: searched for relay in relays}
        best: dict[str, Measured] = {}
        while open_ := [relay for relay in relays if _is_open(between[relay.name])]:
            for relay in open_:
                low, high = between[relay.name]
                calls = round((low * high) ** 0.5)
                run = generate.try_run(relay, calls)
                borne = run is not None and run.is_borne
                if run is not None and borne:
                    best[relay.name] = run
                between[relay.name] = (calls, high) if borne else (low, calls)
                _tell(relay.name, calls, run)
        for name, run in best.items():
            found[name].append(run)
    return found


def _tell(name: str, calls: int, run: Measured | None) -> None:
    told = "no answer"
    if run is not None:
        told = f"{'borne' if run.is_borne else 'not borne'}, {run.calls:.0f} calls' packets sent, {run.lost:.3f} % lost"
        told += (
            f", cores used: relay {run.relay_core:.0f} %, generator {run.load_core:.0f} %, others {run.others:.0f} %"
        )
        told += f", load average {os.getloadavg()[0]:.1f}"
    print(f"{name}, {calls} calls: {told}", file=sys.stderr)


def _is_open(between: tuple[int, int]) -> bool:
    return between[1] > between[0] * SEARCH_STEP


def _print_highest(found: dict[str, list[Measured]]) -> None:
    rows = []
    highest = {name: [run.calls for run in runs] for name, runs in found.items() if runs}
    theirs = highest.get("rtpengine")
    for name, calls in highest.items():
        ratio = "-" if theirs is None else f"{statistics.median(calls) / statistics.median(theirs):.2f}"
        cores = [f"{statistics.median(used):.0f}" for used in zip(*map(_cores, found[name]), strict=True)]
        rows.append((name, f"{statistics.median(calls):.0f}", f"{min(calls):.0f}-{max(calls):.0f}", ratio, *cores))
    columns = ("relay", "forked calls", "range", "times rtpengine", "relay's core %", "generator's core %")
    print_table(f"Loss below {LOST_LIMIT} %, median delay below {P50_LIMIT_US / 1000:.0f} ms", columns, rows)
    print(
        "Calls are those that the packets sent amount to. Where the relay's core is not used up, it is not at its end."
    )


def _cores(run: Measured) -> tuple[float, float]:
    return run.relay_core, run.load_core


def _print(results: dict[int, dict[str, list[Measured]]], pair: Pair | None) -> None:
    rows = []
    for calls, by_relay in results.items():
        for name, runs in by_relay.items():
            memory = [run.resident_mb for run in runs if run.resident_mb is not None]
            first = [run.first_fork_ms for run in runs if run.first_fork_ms is not None]
            direct = name == "direct"
            rows.append(
                (
                    f"{calls} {name}",
                    "-" if direct else f"{_median(runs, 'cpu_percent'):.0f}",
                    f"{_median(runs, 'relay_core'):.0f}",
                    f"{_median(runs, 'relay_us'):.2f}",
                    f"{max(run.lost for run in runs):.3f}",
                    str(sum(run.wrong for run in runs)),
                    f"{_median(runs, 'p50_us'):.0f}",
                    f"{_median(runs, 'p99_us'):.0f}",
                    f"{max(memory):.1f}" if memory else "-",
                    f"{max(first):.1f}" if first else "-",
                    "-" if direct else f"{_median(runs, 'setup_per_s'):.0f}",
                    f"{_median(runs, 'others'):.0f}",
                )
            )
    columns = (
        "calls, relay",
        "process %",
        "its core %",
        "µs/packet",
        "worst loss %",
        "wrong",
        "p50 µs",
        "p99 µs",
        "MB",
        "first fork ms",
        "set up/s",
        "others %",
    )
    print_table("Forked calls through one core (medians; for each packet that comes in)", columns, rows)
    print(f"Load average {os.getloadavg()[0]:.1f}. Others: what else ran, in per cent of a core.")
    for calls, by_relay in results.items():
        _print_ratios(calls, by_relay)
    if pair is None:
        _print_of_loopback(results)


def _median(runs: Sequence[Measured], field: str) -> float:
    return float(statistics.median(getattr(run, field) for run in runs))


def _print_ratios(calls: int, by_relay: dict[str, list[Measured]]) -> None:
    """What a packet costs beside rtpengine: the relay's core in the pair, its process over the loopback."""
    over_loopback = "direct" in by_relay
    cost = {
        name: _median(runs, "cpu_percent") * 100 / calls if over_loopback else _median(runs, "relay_us")
        for name, runs in by_relay.items()
        if name != "direct" and not (over_loopback and name.endswith("kernel"))
    }
    if (theirs := cost.get("rtpengine")) is None:
        return
    what = "process" if over_loopback else "core"
    told = ", ".join(f"{name} {us:.2f} µs ({theirs / max(us, 0.01):.2f})" for name, us in cost.items())
    print(f"{calls} calls, of the relay's {what}, and how often it goes into rtpengine's: {told}")


def _print_of_loopback(results: dict[int, dict[str, list[Measured]]]) -> None:
    for calls, by_relay in results.items():
        if not {"direct", "sidestream"} <= by_relay.keys():
            continue
        pairs = zip(by_relay["sidestream"], by_relay["direct"], strict=True)
        added = [run.p99_us - direct.p99_us for run, direct in pairs]
        verdict = "" if calls != 200 else f" (limit {P99_LIMIT_US:.0f}: {_holds(min(added) <= P99_LIMIT_US)})"
        print(f"{calls} calls: the engine adds {statistics.median(added):.0f} µs at p99{verdict}")
    all_runs = [run for by_relay in results.values() for runs in by_relay.values() for run in runs]
    if garbage := [run.garbage_per_s for run in all_runs if run.garbage_per_s]:
        print(f"the flood was of {statistics.median(garbage):.0f} packets a second")
    if firsts := [run.first_fork_ms for run in all_runs if run.first_fork_ms]:
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
def _rtpengine(folder: Path, prefix: Sequence[str], address: str, ports: tuple[int, int]) -> Iterator[Target]:
    low, high = ports
    command = [*prefix, "rtpengine", "--config-file=none", "--foreground", "--table=-1", "--num-threads=1"]
    command += [f"--interface={address}", f"--listen-ng={address}:{NG_PORT}", f"--port-min={low}", f"--port-max={high}"]
    command += ["--log-level=1", f"--pidfile={folder / 'rtpengine.pid'}", "--log-stderr"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process, _stopped(process):
        _wait(lambda: _listens(process.pid), process)
        yield Target("rtpengine", f"rtpengine:{address}:{NG_PORT}", process.pid)


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


if __name__ == "__main__":
    main(sys.argv[1:])
