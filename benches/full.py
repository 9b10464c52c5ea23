"""As many calls as one engine may have: set-up rate, memory and descriptors of each, and whether each of them works.

First calls whose RTCP shares the RTP port (RFC 5761), two descriptors each; then calls of four descriptors, as many as
the process may have open (RLIMIT_NOFILE), and one more, which has to be refused. Ends with status 1 if a call does not
relay and fork what it is sent, takes more than it should, or is not refused as it should be.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.media.relays import Target, build_generator, engine, raise_descriptor_limit
from benches.table import print_table

FIRST_PORT = 10_000
PORTS_PER_CALL = 4
SPARE_PORTS = 100
DESCRIPTORS = {True: 2, False: 4}  # of a call, by whether its RTCP shares the RTP port
OCTETS_LIMIT = 4000.0  # resident memory of a call, once packets have gone through it
MANY_CALLS = 1000  # beside which the buffers of the whole engine, which are made with the first packets, do not count
RUN_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Full:
    """One run. `muxed`: RTCP of its calls shares the RTP port. `refused`: why one call more was; None: it was taken."""

    muxed: bool
    calls: int
    set_up_per_s: float
    closed_per_s: float
    octets_per_call: float
    descriptors_per_call: float
    sent: int
    relayed: int
    forked: int
    wrong: int
    refused: str | None

    @classmethod
    def read(cls, text: str, *, muxed: bool) -> "Full":
        found: dict[str, Any] = json.loads(text)
        calls, before, during = found["calls"], found["before"], found["during"]
        return cls(
            muxed,
            calls,
            1000 * calls / found["setup_ms"],
            1000 * calls / found["close_ms"],
            (during["resident_bytes"] - before["resident_bytes"]) / calls,
            (during["open"] - before["open"]) / calls,
            *(found[name] for name in ("sent", "relayed", "forked", "wrong", "refused")),
        )

    def problems(self, wanted: int) -> list[str]:
        """What is not as it has to be, of a run that was to have `wanted` calls."""
        kind = "with RTCP on the RTP port" if self.muxed else "with RTCP ports"
        found = []
        if self.muxed and self.calls < wanted:
            found.append(f"{self.calls} calls {kind}, {wanted} were wanted")
        if self.wrong or self.relayed < self.sent or self.forked < self.sent:
            found.append(
                f"{kind}: of {self.sent} packets {self.relayed} relayed, {self.forked} forked, {self.wrong} wrong"
            )
        if self.descriptors_per_call > DESCRIPTORS[self.muxed]:
            found.append(f"{self.descriptors_per_call:.3f} descriptors a call {kind}")
        if self.calls >= MANY_CALLS and self.octets_per_call > OCTETS_LIMIT:
            found.append(f"{self.octets_per_call:.0f} octets a call {kind}")
        if not self.muxed and self.calls < wanted and "RLIMIT_NOFILE" not in (self.refused or ""):
            found.append(f"with no descriptor left the answer was {self.refused}")
        return found


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches full", description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    options = parser.parse_args(arguments)
    raise_descriptor_limit()
    generator = build_generator()
    ports = (FIRST_PORT, FIRST_PORT + PORTS_PER_CALL * options.calls + SPARE_PORTS)
    runs = []
    for muxed in (True, False):
        with (
            tempfile.TemporaryDirectory(prefix="sidestream-full-") as folder,
            engine(Path(folder), [], ports=ports) as target,
        ):
            runs.append(_run(generator, target, options.calls, muxed=muxed))
    _print(runs)
    if found := [problem for run in runs for problem in run.problems(options.calls)]:
        sys.exit("full: " + "; ".join(found))


def _run(generator: Path, target: Target, calls: int, *, muxed: bool) -> Full:
    address = "full:" + target.address.partition(":")[2]
    command = [str(generator), address, str(calls), "0", str(target.pid), str(int(muxed))]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=RUN_LIMIT_S, check=True)
    return Full.read(done.stdout.decode(), muxed=muxed)


def _print(runs: Sequence[Full]) -> None:
    rows = [
        (
            f"{run.calls}, RTCP {'on the RTP port' if run.muxed else 'on its own'}",
            f"{run.set_up_per_s:.0f}",
            f"{run.closed_per_s:.0f}",
            f"{run.octets_per_call:.0f}",
            f"{run.descriptors_per_call:.2f}",
            str(run.sent),
            str(run.relayed),
            str(run.forked),
            str(run.wrong),
        )
        for run in runs
    ]
    columns = (
        *("calls", "set up/s", "closed/s", "octets a call", "descriptors a call"),
        *("sent", "relayed", "forked", "wrong"),
    )
    print_table("As many calls as one engine may have", columns, rows)
    for run in runs:
        if run.refused is not None:
            print(f"one more: {run.refused.strip()}")


if __name__ == "__main__":
    main(sys.argv[1:])
