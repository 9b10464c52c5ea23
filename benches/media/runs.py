"""Runs of a load through a relay, and the search for the most that it bears."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.media.relays import Relay

LOST_LIMIT = 0.1  # per cent: more is not borne
P50_LIMIT_US = 20_000.0  # nor is this: a full buffer shows as delay before it shows as loss
SEARCHED = (100, 6000)  # calls between which the highest number is looked for
SEARCH_STEP = 1.05  # how close to it the search ends
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


def run_rounds(generate: Generator, relays: Sequence[Relay], calls: int, rounds: int) -> dict[str, list[Measured]]:
    """The runs of one load by relay, interleaved so that the machine's moods meet all relays alike."""
    found: dict[str, list[Measured]] = {relay.name: [] for relay in relays}
    for _ in range(rounds):
        for relay in relays:
            found[relay.name].append(generate.run(relay, calls))
    return found


def search(
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
                # a generator at its end sends less of more calls
                if run is not None and borne and run.calls >= _calls_of(best.get(relay.name)):
                    best[relay.name] = run
                between[relay.name] = (calls, high) if borne else (low, calls)
                _tell(relay.name, calls, run)
        for name, run in best.items():
            found[name].append(run)
    return found


def _calls_of(run: Measured | None) -> float:
    return 0.0 if run is None else run.calls


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
