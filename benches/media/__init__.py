"""Forked calls per core: what the media engine costs for each packet, and what it adds to a packet's way.

A call is two G.711 streams of 50 packets a second, each relayed to the other party and forked to a recorder. The relay
is pinned to one core and the generator to another. In each round of each load the same traffic goes through the engine,
through the engine with its forks in batches, through rtpengine where it is installed, and with `--kernel` through the
engine's in-kernel path; every packet's source, destination and content is checked. With `--search` the highest number
of calls is looked for that each of them bears. Judge by ratios within one run: the generator shares the machine.

Over the loopback, packets also go directly, without a relay. It charges a packet's reception to its sender, so that an
in-kernel path costs its relay nothing there: `benches kernel_path` tells what it costs the machine. With `--veth`
(root) relay and generator are at the ends of a veth pair, and each core receives what is its own.

With `--write` what was found goes into the docs as well, with the machine that it was found on.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benches.media.page import PAGE, add_run
from benches.media.relays import FLOOD_PER_S, build_generator, pinned, raise_descriptor_limit, relays_of
from benches.media.runs import SEARCHED, Generator, run_rounds, search
from benches.media.told import Told, tell_highest, tell_loads
from benches.pair import Unavailable, veth_pair

CALLS = (100, 200, 500)
REALTIME = ["chrt", "--fifo", "2"]  # the generator's meters have priority 1


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
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, metavar="PAGE", help="write the table to the docs, or to a page"
    )
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
        relays = relays_of(folder, [*before, *pinned(cores[0])], pair, options.kernel or options.veth, options.flood)
        relays = [relay for relay in relays if options.only is None or relay.name in options.only]
        plan = {"cores": cores[:2], "pair": pair.plan if pair else None}
        prefix = [*before, *pinned(cores[1])]
        generate = Generator(program, options.seconds, pair.at_load(prefix) if pair else prefix, json.dumps(plan))
        if options.search:
            told = tell_highest(search(generate, relays, options.rounds, tuple(options.between)))
        else:
            found = {calls: run_rounds(generate, relays, calls, options.rounds) for calls in options.calls}
            told = tell_loads(found, over_loopback=pair is None)
    told.print()
    if shutil.which("rtpengine") is None:
        print("rtpengine: skipped, it is not installed (Debian: rtpengine-daemon)")
    if options.write is not None:
        _write(options.write, told, arguments, veth=options.veth, searched=options.search)


def _write(page: Path, told: Told, arguments: Sequence[str], *, veth: bool, searched: bool) -> None:
    place = ("veth" if veth else "loopback") + ("-search" if searched else "-loads")
    add_run(page, place, told, shlex.join(["python", "-m", "benches", "media", *arguments]))
    print(f"Written to {page}, {place}.")


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
