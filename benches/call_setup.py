"""What a call costs the control process: processor time to set it up and tear it down, and memory while it lives.

The measured process runs everything that `sidestream serve` runs for a call but the media engine and HTTP: SIP, the
call, TwiML, the recording client, SQLite on disk, logs at `info`. Several stand side by side and are loaded in turns: a
bare agent that answers (the reference), calls between two legs, and such calls recorded by SIPREC; with `--rivals` also
sippy's B2BUA and Kamailio as a relay, with `--engine` recorded calls with a media engine at work, on the same core.
Callers, callee and recording server run on another core. The load is a closed loop: as many calls as the core can do,
with a bound on how many there are at a time, so that the number says how many calls a second a core is good for. With
`--rate` it is so many a second instead; a core that idles in between pays more for each, since its caches are cold.
Memory is measured in a fresh process, as what is resident once all calls are up; for 32 seconds that includes the
transactions which set them up. `--settled` waits until those are gone and says what Python has allocated then, for what
is freed in between stays resident.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from benches.control import rivals
from benches.control.measured import Measured
from benches.control.peers import CallsFailed, Load, Peers, peers
from benches.control.rivals import RivalProcess, free_port
from benches.control.rooms import by_room, most_expensive
from benches.control.server import Report, Setup
from benches.control.usage import Usage
from benches.table import print_table
from sidestream.base.logs import configure_logs

MEMORY_LIMIT_KB = 60.0  # resident memory a live recorded call
MODES = ("reference", "b2bua", "recorded")
WHOLE = "whole"  # a recorded call with a media engine
RIVALS = {"kamailio": rivals.kamailio, "sippy": rivals.sippy}
NAMES = {
    "kamailio": "Kamailio, record-routing relay",
    "sippy": "sippy, B2BUA without a log",
    "reference": "bare agent that answers",
    "b2bua": "B2BUA, two legs",
    "recorded": "B2BUA and SIPREC client",
    WHOLE: "the same with a media engine",
    "engine": "its media engine",
}
RIVAL_SETTLE_S = 0.3  # what follows the caller's last message: nothing tells when a rival is done
RIVAL_ATTEMPTS = 5
AT_ONCE = 80  # live calls of the closed loop: enough to keep a core busy, little enough that none waits for long
BUSY_RATE = 500.0  # new calls a second, more than a core can do
LIVE_RATE = 40.0  # new calls a second while memory is filled
SETTLE_S = 36.0  # RFC 3261 §17: 64*T1 after which transactions are forgotten, and a little
SETTLE_LIMIT_S = 40.0  # a call whose BYE is lost takes 32 s to end


@dataclass(frozen=True, slots=True)
class Options:
    """`calls` in each of `rounds` rounds; `rate` None is as many as the core can do, `AT_ONCE` at a time.

    `live` calls at once for the measurement of memory.
    """

    calls: int = 600
    rounds: int = 3
    rate: float | None = None
    talk_s: float = 0.3
    live: int = 200
    warm_up: int = 40
    modes: tuple[str, ...] = MODES
    with_sipp: bool = True
    profile: str | None = None  # a file for `pstats`, of the last round of the last mode
    allocations: bool = False
    settled: bool = False
    phases: bool = False
    rooms: bool = False


@dataclass(frozen=True, slots=True)
class Phases:
    """Processor time a call, the parts of its life apart; `later` is what is over only when its transactions are."""

    set_up: Usage
    tear_down: Usage
    later: Usage


@dataclass(frozen=True, slots=True)
class Result:
    """`used`: processor time a call of each round, by mode. `live_kb`: resident kB a live recorded call.

    `settled_kb`: kB allocated for a live recorded call once its transactions are over. `rooms`: where the time of one
    more round went, by mode (see `sampler`), seconds a call.
    """

    tool: str
    used: dict[str, list[Usage]]
    phases: dict[str, Phases]
    rooms: dict[str, dict[str, float]]
    live_kb: float | None
    settled_kb: float | None
    allocations: list[str]

    def median_ms(self, mode: str) -> float:
        return _median_ms([used.total_s for used in self.used[mode]])


def _median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


async def measure(options: Options) -> Result:
    """Measure everything. Raises CallsFailed if a call did not come about."""
    ours, theirs = _cores()
    if theirs is not None:
        os.sched_setaffinity(0, {theirs})
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as directory:
        async with peers(with_sipp=options.with_sipp) as present:
            bench = _Bench(options, present, Path(directory), ours)
            used = await bench.cpu()
            phases = await bench.phases() if options.phases else {}
            rooms = await bench.rooms() if options.rooms else {}
            live_kb, allocations = await bench.memory() if options.live else (None, [])
            settled_kb = await bench.settled() if options.settled else None
            return Result(present.tool, used, phases, rooms, live_kb, settled_kb, allocations)


class _Bench:
    def __init__(self, options: Options, present: Peers, directory: Path, core: int | None) -> None:
        self._options = options
        self._peers = present
        self._directory = directory
        self._core = core

    async def cpu(self) -> dict[str, list[Usage]]:
        """Rounds of all modes in turns, so that a slow spell of the machine meets them alike."""
        options = self._options
        taken: dict[str, list[Usage]] = {mode: [] for mode in options.modes}
        measured: dict[str, Measured | RivalProcess] = {}
        try:
            for mode in options.modes:
                one = measured[mode] = await self._start_any(mode)
                await self._load(one, options.warm_up)
            for round_ in range(options.rounds):
                for mode, one in measured.items():
                    is_last = round_ == options.rounds - 1 and mode == options.modes[-1]
                    if is_last and options.profile is not None and isinstance(one, Measured):
                        await one.profile()
                        used = await self._round(mode, one)
                        await one.profiled(options.profile)
                    else:
                        used = await self._round(mode, one)
                    for name, spent in used.items():
                        taken.setdefault(name, []).append(spent.shared_by(options.calls))
        finally:
            for one in measured.values():
                await one.stop()
        return taken

    async def _round(self, mode: str, one: Measured | RivalProcess) -> dict[str, Usage]:
        engine = one.engine_usage() if isinstance(one, Measured) else None
        used = {mode: await self._load(one, self._options.calls)}
        if isinstance(one, Measured) and engine is not None and (now := one.engine_usage()) is not None:
            used["engine"] = now.since(engine)
        return used

    async def phases(self) -> dict[str, Phases]:
        """Set-up, tear-down and what comes later apart, of as many calls as memory is measured with."""
        taken = {}
        for mode in self._own_modes():
            one = await self._start(mode, "phases")
            try:
                await self._load(one, self._options.warm_up)
                await asyncio.sleep(SETTLE_S)
                taken[mode] = await self._phases(one)
            finally:
                await one.stop()
        return taken

    async def _phases(self, one: Measured) -> Phases:
        calls = self._options.live
        load = Load(calls, LIVE_RATE, calls / LIVE_RATE + 1.0, calls)
        is_recorded = one.setup.mode == "recorded"
        before = await one.report()
        calling = asyncio.create_task(self._peers.caller.call(one.port, load))
        await self._wait(one, lambda report: (report.siprecs_live if is_recorded else report.answered) >= calls)
        up = await one.usage()
        await calling
        await self._wait(one, lambda report: report.ended + report.failed >= before.ended + calls)
        down = await one.usage()
        await asyncio.sleep(SETTLE_S)
        later = await one.usage()
        start = Usage(before.user_s, before.system_s)
        return Phases(*(end.since(begin).shared_by(calls) for begin, end in ((start, up), (up, down), (down, later))))

    async def rooms(self) -> dict[str, dict[str, float]]:
        """Where the time of one call goes, sampled in a round of its own."""
        taken = {}
        for mode in self._own_modes():
            one = await self._start(mode, "rooms")
            try:
                await self._load(one, self._options.warm_up)
                await one.sample()
                await self._load(one, self._options.calls)
                sampled = await one.sampled()
            finally:
                await one.stop()
            taken[mode] = {place: spent_s / self._options.calls for place, spent_s in sampled.items()}
        return taken

    def _own_modes(self) -> list[str]:
        return [mode for mode in self._options.modes if mode in ("b2bua", "recorded")]

    async def memory(self) -> tuple[float, list[str]]:
        """kB a live call, and where it is held (if asked for)."""
        options = self._options
        one = await self._start("recorded", "memory", trace_allocations=options.allocations)
        try:
            await self._load(one, options.warm_up)
            if options.allocations:
                await one.allocations()
            before_kb = await one.memory_kb()
            load = Load(options.live, LIVE_RATE, options.live / LIVE_RATE + 2.0, options.live)
            calling = asyncio.create_task(self._peers.caller.call(one.port, load))
            await self._wait(one, lambda report: report.siprecs_live >= options.live)
            full_kb = await one.memory_kb()
            allocations = await one.allocations() if options.allocations else []
            await calling
        finally:
            await one.stop()
        return (full_kb - before_kb) / options.live, allocations

    async def settled(self) -> float:
        """kB allocated a live call, `SETTLE_S` after the last one was set up."""
        live = self._options.live
        one = await self._start("recorded", "settled", trace_allocations=True)
        try:
            await self._load(one, self._options.warm_up)
            await asyncio.sleep(SETTLE_S)
            before = await one.allocated()
            load = Load(live, LIVE_RATE, live / LIVE_RATE + SETTLE_S + 10.0, live)
            calling = asyncio.create_task(self._peers.caller.call(one.port, load))
            await self._wait(one, lambda report: report.siprecs_live >= live)
            await asyncio.sleep(SETTLE_S)
            after = await one.allocated()
            await calling
        finally:
            await one.stop()
        return (after - before) / 1024 / live

    async def _start(self, mode: str, purpose: str, *, trace_allocations: bool = False) -> Measured:
        directory = self._directory / f"{purpose}-{mode}"
        directory.mkdir()
        does = "recorded" if mode == WHOLE else mode
        setup = Setup(
            does, self._peers.callee, self._peers.srs, str(directory), self._core, trace_allocations, mode == WHOLE
        )
        return await Measured.start(setup)

    async def _start_any(self, mode: str) -> Measured | RivalProcess:
        rival = RIVALS.get(mode)
        if rival is None:
            return await self._start(mode, "cpu")
        return await rival(free_port(), self._peers.callee, self._core)

    async def _load(self, one: Measured | RivalProcess, calls: int) -> Usage:
        """Make the calls; the processor time that they took."""
        rate, talk_s = self._options.rate, self._options.talk_s
        load = Load(calls, BUSY_RATE, talk_s, AT_ONCE) if rate is None else Load(calls, rate, talk_s, calls)
        if isinstance(one, RivalProcess):
            return await self._load_rival(one, load)
        before = await one.report()
        await self._peers.caller.call(one.port, load)
        after = await self._wait(one, lambda report: report.ended + report.failed >= before.ended + calls)
        lost = after.failed - before.failed
        unrecorded = after.siprecs_failed - before.siprecs_failed
        if lost or unrecorded or self._peers.recording_server.strangers:
            raise RuntimeError(f"{lost} calls and {unrecorded} recordings failed; nothing was measured")
        return Usage(after.user_s - before.user_s, after.system_s - before.system_s)

    async def _load_rival(self, one: RivalProcess, load: Load) -> Usage:
        """On a machine with much else to do sippy drops a call now and then; such a load is made again."""
        for _ in range(RIVAL_ATTEMPTS):
            began = await one.usage()
            with suppress(CallsFailed):
                await self._peers.caller.call(one.port, load)
                await asyncio.sleep(RIVAL_SETTLE_S)
                return (await one.usage()).since(began)
            await asyncio.sleep(RIVAL_SETTLE_S)
        raise RuntimeError(f"calls failed {RIVAL_ATTEMPTS} times in a row; nothing was measured")

    async def _wait(self, one: Measured, until: Callable[[Report], bool]) -> Report:
        async with asyncio.timeout(SETTLE_LIMIT_S):
            while not until(report := await one.report()):  # noqa: ASYNC110 — it is another process
                await asyncio.sleep(0.1)
        return report


def _cores() -> tuple[int | None, int | None]:
    """A core for the measured process and one for its peers; None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def report(result: Result) -> None:
    """Print the result as tables."""
    medians = {mode: result.median_ms(mode) for mode in result.used}
    rows = [
        (
            NAMES[mode],
            f"{medians[mode]:.2f}",
            f"{_median_ms([used.user_s for used in rounds]):.2f}",
            f"{_median_ms([used.system_s for used in rounds]):.2f}",
            " ".join(f"{used.total_s * 1000:.2f}" for used in rounds),
            _ratio(medians.get("reference"), medians[mode]),
            _ratio(medians[mode], medians.get("sippy")),
        )
        for mode, rounds in result.used.items()
    ]
    title = f"Call set-up and tear-down: processor ms a call in the control process (peers: {result.tool})"
    print_table(title, ("", "median", "user", "system", "rounds", "to reference", "sippy to it"), rows)
    if result.phases:
        phases = [
            (NAMES[mode], *(f"{part.total_s * 1000:.2f}" for part in (of.set_up, of.tear_down, of.later)))
            for mode, of in result.phases.items()
        ]
        print_table(
            "Processor ms a call, at an even rate", ("", "set-up", "tear-down", f"{SETTLE_S:g} s after"), phases
        )
    for mode, places in result.rooms.items():
        rooms = [(room, f"{spent_s * 1e6:.0f}") for room, spent_s in by_room(places)]
        print_table(f"{NAMES[mode]}: processor µs a call by room", ("", "µs"), rooms)
        functions = [(place, f"{spent_s * 1e6:.0f}") for place, spent_s in most_expensive(places)]
        print_table(f"{NAMES[mode]}: the most expensive functions", ("", "µs"), functions)
    if result.live_kb is not None:
        memory = [("resident, just set up", f"{result.live_kb:.1f}", f"{MEMORY_LIMIT_KB:.1f}")]
        if result.settled_kb is not None:
            memory.append(("allocated, settled", f"{result.settled_kb:.1f}", f"{MEMORY_LIMIT_KB:.1f}"))
        print_table("Memory: kB a live recorded call", ("", "kB", "limit"), memory)
    for line in result.allocations:
        print(f"  {line}")


def _ratio(to: float | None, what: float | None) -> str:
    return f"{what / to:.1f} ×" if to and what else ""


def main(arguments: Sequence[str] = ()) -> None:
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m benches call_setup")
    parser.add_argument("--calls", type=int, default=defaults.calls, help="in each round")
    parser.add_argument("--rounds", type=int, default=defaults.rounds)
    parser.add_argument("--rate", type=float, help="new calls a second; else as many as the core can do")
    parser.add_argument("--live", type=int, default=defaults.live, help="calls held for memory; 0 leaves it out")
    parser.add_argument("--warm-up", type=int, default=defaults.warm_up, help="calls that do not count")
    parser.add_argument("--modes", default=",".join(defaults.modes))
    parser.add_argument("--rivals", action="store_true", help="sippy and Kamailio, too")
    parser.add_argument("--engine", action="store_true", help="recorded calls with a media engine at work, too")
    parser.add_argument("--phases", action="store_true", help="set-up and tear-down apart, too (minutes)")
    parser.add_argument("--rooms", action="store_true", help="where the time goes, too")
    parser.add_argument("--own-peers", action="store_true", help="agents of our own although SIPp is there")
    parser.add_argument("--profile", metavar="FILE", help="cProfile of the last round of the last mode")
    parser.add_argument("--allocations", action="store_true", help="say which lines hold the memory (by tracemalloc)")
    parser.add_argument("--settled", action="store_true", help="memory once transactions are over, too (minutes)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    options = Options(
        calls=given.calls,
        rounds=given.rounds,
        rate=given.rate,
        live=given.live,
        warm_up=given.warm_up,
        modes=(*given.modes.split(","), *((WHOLE,) if given.engine else ()), *(RIVALS if given.rivals else ())),
        with_sipp=not given.own_peers,
        profile=given.profile,
        allocations=given.allocations,
        settled=given.settled,
        phases=given.phases,
        rooms=given.rooms,
    )
    configure_logs("error")  # of the peers in this process; standard output is for results
    result = uvloop.run(measure(options))
    if given.json:
        print(msgspec.json.encode(result).decode())
    else:
        report(result)
