"""What the image of a live call takes, that a restart goes back to: time of each step, octets, and instructions.

The calls are real ones: two legs, recorded, with peers of our own over loopback, in the measured process of
`call_setup`. Instructions are those of a process that made many images less those of one that made few, divided by the
images between.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benches.control.measured import Measured
from benches.control.peers import Load, Peers, peers
from benches.control.server import ImageCost, Setup
from benches.table import print_table

CALLS = 4
RATE = 2.0  # new calls a second
POLL_S = 0.2
LOOPS = 5_000
COUNTED_LOOPS = (100, 600)
SETTLE_S = 2.0  # until nothing is under way in any call
PATIENCE_S = 120.0  # the counted process is fifty times as slow


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches call_image", description=__doc__)
    parser.add_argument("--instructions", action="store_true", help="count them, by valgrind; takes minutes")
    given = parser.parse_args(arguments)
    if given.instructions and shutil.which("valgrind") is None:
        parser.error("valgrind is not installed")
    cost, counted = asyncio.run(_measure(with_instructions=given.instructions))
    total = cost.collect_us + cost.encode_us + cost.seal_us
    rows = [
        ("collected", f"{cost.collect_us:.1f} µs"),
        ("encoded", f"{cost.encode_us:.1f} µs"),
        ("sealed", f"{cost.seal_us:.1f} µs"),
        ("together", f"{total:.1f} µs"),
        ("octets", _range(cost.octets)),
        ("octets sealed, as stored", _range(cost.sealed_octets)),
    ]
    if counted is not None:
        rows.append(("instructions", f"{counted:,.0f}"))
    print_table("The image of one leg of a recorded call", ("", ""), rows)


def _range(octets: Sequence[int]) -> str:
    return f"{min(octets)} to {max(octets)}"


async def _measure(*, with_instructions: bool) -> tuple[ImageCost, float | None]:
    async with peers(with_sipp=False) as present:
        async with _live(present, counted=False) as one:
            cost = await one.images(LOOPS)
            await one.stop()
        if not with_instructions:
            return cost, None
        counts = []
        for loops in COUNTED_LOOPS:
            async with _live(present, counted=True) as one:
                await one.images(loops)
                counts.append(await one.stopped_after())
        few, many = counts
        return cost, (many - few) / (len(cost.octets) * (COUNTED_LOOPS[1] - COUNTED_LOOPS[0]))


@asynccontextmanager
async def _live(present: Peers, *, counted: bool) -> AsyncIterator[Measured]:
    """A measured process with recorded calls in which nothing is under way. Whoever takes it stops it."""
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as directory:
        one = await Measured.start(Setup("recorded", present.callee, present.srs, directory), counted=counted)
        calling = asyncio.create_task(present.caller.call(one.port, Load(CALLS, RATE, PATIENCE_S, CALLS)))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await asyncio.sleep(POLL_S)
                    if (await one.report()).siprecs_live == CALLS:
                        break
            await asyncio.sleep(SETTLE_S)
            yield one
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)


if __name__ == "__main__":
    main(sys.argv[1:])
