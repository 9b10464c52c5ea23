"""What runs have found, as tables and sentences: for the terminal and for the docs."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benches.media.runs import LOST_LIMIT, P50_LIMIT_US, Measured
from benches.table import print_table

P99_LIMIT_US = 1000.0  # what the relay may add at 200 calls
FIRST_FORK_LIMIT_MS = 100.0


@dataclass(frozen=True, slots=True)
class Told:
    """A table, and what is to be said of it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]

    def print(self) -> None:
        print_table(self.title, self.columns, self.rows)
        for note in self.notes:
            print(note)

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        notes = "\n".join(f"* {note}" for note in self.notes)
        return f"{self.title}:\n\n{table}\n\n{notes}\n"


def tell_highest(found: dict[str, list[Measured]]) -> Told:
    """The most calls that each relay bore, in each of some searches."""
    rows = []
    highest = {name: [run.calls for run in runs] for name, runs in found.items() if runs}
    theirs = highest.get("rtpengine")
    for name, calls in highest.items():
        ratio = "-" if theirs is None else f"{statistics.median(calls) / statistics.median(theirs):.2f}"
        cores = [f"{statistics.median(used):.0f}" for used in zip(*map(_cores, found[name]), strict=True)]
        rows.append((name, f"{statistics.median(calls):.0f}", f"{min(calls):.0f}-{max(calls):.0f}", ratio, *cores))
    return Told(
        title=f"Loss below {LOST_LIMIT} %, median delay below {P50_LIMIT_US / 1000:.0f} ms",
        columns=("relay", "forked calls", "range", "times rtpengine", "relay's core %", "generator's core %"),
        rows=rows,
        notes=[
            "Calls are those that the packets sent amount to.",
            "Where the relay's core is not used up, it is not at its end.",
        ],
    )


def _cores(run: Measured) -> tuple[float, float]:
    return run.relay_core, run.load_core


def tell_loads(results: dict[int, dict[str, list[Measured]]], *, over_loopback: bool) -> Told:
    """What the relays did with the same loads."""
    rows = []
    for calls, by_relay in results.items():
        cost = _costs(calls, by_relay, over_loopback)
        rows += [_row(calls, name, runs, cost) for name, runs in by_relay.items()]
    what = "processor time of the relay's process" if over_loopback else "time of the relay's core"
    notes = [f"Others: what else ran, in per cent of a core. The ratio is of the {what}, rtpengine's to the relay's."]
    if over_loopback:
        notes += _of_loopback(results)
    return Told(
        title="Forked calls through one core (medians; for each packet that comes in)",
        columns=(
            "calls, relay",
            "process %",
            "its core %",
            "µs/packet",
            "rtpengine's, times",
            "worst loss %",
            "wrong",
            "p50 µs",
            "p99 µs",
            "MB",
            "first fork ms",
            "set up/s",
            "others %",
        ),
        rows=rows,
        notes=notes,
    )


def _row(calls: int, name: str, runs: Sequence[Measured], cost: dict[str, float]) -> tuple[str, ...]:
    memory = [run.resident_mb for run in runs if run.resident_mb is not None]
    first = [run.first_fork_ms for run in runs if run.first_fork_ms is not None]
    direct = name == "direct"
    compared = name in cost and "rtpengine" in cost
    return (
        f"{calls} {name}",
        "-" if direct else f"{_median(runs, 'cpu_percent'):.0f}",
        f"{_median(runs, 'relay_core'):.0f}",
        f"{_median(runs, 'relay_us'):.2f}",
        f"{cost['rtpengine'] / max(cost[name], 0.01):.2f}" if compared else "-",
        f"{max(run.lost for run in runs):.3f}",
        str(sum(run.wrong for run in runs)),
        f"{_median(runs, 'p50_us'):.0f}",
        f"{_median(runs, 'p99_us'):.0f}",
        f"{max(memory):.1f}" if memory else "-",
        f"{max(first):.1f}" if first else "-",
        "-" if direct else f"{_median(runs, 'setup_per_s'):.0f}",
        f"{_median(runs, 'others'):.0f}",
    )


def _median(runs: Sequence[Measured], field: str) -> float:
    return float(statistics.median(getattr(run, field) for run in runs))


def _costs(calls: int, by_relay: dict[str, list[Measured]], over_loopback: bool) -> dict[str, float]:
    """Microseconds of a packet: of the relay's process over the loopback, of its core in the pair.

    Over the loopback the in-kernel path costs its process nothing, and its packets' senders everything: no cost.
    """
    return {
        name: _median(runs, "cpu_percent") * 100 / calls if over_loopback else _median(runs, "relay_us")
        for name, runs in by_relay.items()
        if name != "direct" and not (over_loopback and name.endswith("kernel"))
    }


def _of_loopback(results: dict[int, dict[str, list[Measured]]]) -> list[str]:
    notes = []
    for calls, by_relay in results.items():
        if not {"direct", "sidestream"} <= by_relay.keys():
            continue
        pairs = zip(by_relay["sidestream"], by_relay["direct"], strict=True)
        added = [run.p99_us - direct.p99_us for run, direct in pairs]
        verdict = (
            ""
            if calls != 200
            else f" (limit {P99_LIMIT_US:.0f}, in the best round: {_holds(min(added) <= P99_LIMIT_US)})"
        )
        notes.append(f"{calls} calls: the engine adds {statistics.median(added):.0f} µs at p99{verdict}.")
    all_runs = [run for by_relay in results.values() for runs in by_relay.values() for run in runs]
    if garbage := [run.garbage_per_s for run in all_runs if run.garbage_per_s]:
        notes.append(f"The flood was of {statistics.median(garbage):.0f} packets a second.")
    if firsts := [run.first_fork_ms for run in all_runs if run.first_fork_ms]:
        notes.append(
            f"First forked packet after a fork is activated: at most {max(firsts):.1f} ms"
            f" (limit {FIRST_FORK_LIMIT_MS:.0f}: {_holds(max(firsts) <= FIRST_FORK_LIMIT_MS)})."
        )
    return notes


def _holds(value: bool) -> str:
    return "held" if value else "MISSED"
