"""Calls that come and go on one engine: what it holds has to stay as it is, and no packet may go astray.

500 calls, each relayed and forked, last from 5 to 60 seconds; another takes the place of each that ends, on ports that
others had before, to which the parties of those still send for a moment. Every ten seconds the engine's memory,
descriptors and ports are looked at. Ends with status 1 if anything grew, leaked or went wrong.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.media.relays import build_generator, engine, pinned, raise_descriptor_limit
from benches.table import print_table

FIRST_PORT = 10_000
PORTS_PER_CALL = 5.2  # 4, and a third more of them for those that rest: each is used again every ten seconds or so
SETTLING_S = 70  # every call of the beginning is over by then
GROWTH_LIMIT = 0.01  # of resident memory, from the middle to the end: before, buffers still find their greatest size
LOST_LIMIT = 0.01  # per cent: the machine may hold the generator up, which is no leak


@dataclass(frozen=True, slots=True)
class Look:
    """What the engine held at one moment, and what had happened by then."""

    when: str
    seconds: int
    sessions: int
    resident_bytes: int
    descriptors: int
    ports: int  # free ones, and those that rest
    calls: int
    sent: int
    lost: int
    wrong: int
    stray: int

    @classmethod
    def read(cls, text: str) -> "Look":
        found = json.loads(text)
        held = found.pop("held")
        resting = held.pop("ports_cooling")
        ports = held.pop("ports_free") + resting
        # Each pair that rests has a socket, by which to hear whether somebody still sends there.
        held["descriptors"] -= resting
        return cls(**found, **held, ports=ports)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args(arguments)
    raise_descriptor_limit()
    cores = sorted(os.sched_getaffinity(0))
    generator = build_generator()
    ports = (FIRST_PORT, FIRST_PORT + round(PORTS_PER_CALL * options.calls) + 100)
    with (
        tempfile.TemporaryDirectory(prefix="sidestream-soak-") as folder,
        engine(Path(folder), pinned(cores[0]), ports=ports) as target,
    ):
        path = target.address.partition(":")[2]
        command = [*pinned(cores[-1]), str(generator), f"soak:{path}", str(options.calls), str(options.seconds)]
        done = subprocess.run(
            [*command, str(target.pid)], stdout=subprocess.PIPE, timeout=options.seconds + 120, check=True
        )
    looks = [Look.read(line) for line in done.stdout.decode().splitlines()]
    _print(looks)
    if found := problems(looks):
        sys.exit("soak: " + "; ".join(found))


def problems(looks: Sequence[Look]) -> list[str]:
    """What is not as it has to be; nothing if all is well."""
    before, after = looks[0], looks[-1]
    found = []
    if after.wrong:
        found.append(f"{after.wrong} packets went astray or were changed")
    # two copies of each packet are to come
    if after.lost > 2 * after.sent * LOST_LIMIT / 100:
        found.append(f"{after.lost} of {2 * after.sent} packets were lost")
    if after.sessions != before.sessions or after.descriptors != before.descriptors or after.ports != before.ports:
        found.append(f"left over: {after.sessions} sessions, {after.descriptors - before.descriptors} descriptors")
    settled = [look for look in looks if look.when == "during" and look.seconds >= SETTLING_S]
    # the engine is asked how many pairs rest a moment before descriptors are counted, and in between some cease to
    middle, last = _medians([look.descriptors for look in settled])
    if last > middle:
        found.append(f"descriptors from {middle:.0f} to {last:.0f}")
    middle, last = _medians([look.resident_bytes for look in settled])
    if last > middle * (1 + GROWTH_LIMIT):
        found.append(f"memory grew by {100 * (last / middle - 1):.1f} %")
    return found


def _medians(values: Sequence[int]) -> tuple[float, float]:
    """Of the second third of some time, and of its last; (0, 0) if there were too few looks."""
    third = len(values) // 3
    if third == 0:
        return 0.0, 0.0
    return statistics.median(values[third : 2 * third]), statistics.median(values[-third:])


def _print(looks: Sequence[Look]) -> None:
    step = max(1, len(looks) // 12)
    rows = [
        (
            f"{look.seconds} s" if look.when == "during" else look.when,
            str(look.calls),
            str(look.sessions),
            f"{look.resident_bytes / 1e6:.2f}",
            str(look.descriptors),
            str(look.ports),
            str(look.sent),
            str(look.lost),
            str(look.wrong),
            str(look.stray),
        )
        for at, look in enumerate(looks)
        if look.when != "during" or at % step == 0
    ]
    columns = (
        "at",
        "calls",
        "sessions",
        "MB",
        "descriptors",
        "pairs not in use",
        "sent",
        "lost",
        "wrong",
        "stray",
    )
    print_table("Calls that come and go", columns, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
