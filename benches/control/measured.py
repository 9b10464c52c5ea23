"""The measured process, seen from the bench."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, Process
from typing import TypeVar

import msgspec

from benches.control.server import ImageCost, Report, Setup
from benches.control.usage import Usage, spent_by

ANSWER_LIMIT_S = 30.0  # starting up includes making the database
STOP_LIMIT_S = 15.0
COUNTED_LIMIT_S = 300.0  # the same while instructions are counted, which takes fifty times as long
CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
_LINE_LIMIT = 1 << 20  # octets of one answer

T = TypeVar("T")


class Measured:
    """A running `benches.control.server`; make one with `start`, end it with `stop`. Not for concurrent use."""

    def __init__(self, setup: Setup, process: Process, ready: Report, limit_s: float) -> None:
        self.setup = setup
        self.port = ready.port
        self._engine = ready.engine
        self._process = process
        self._limit_s = limit_s

    @classmethod
    async def start(cls, setup: Setup, *, counted: bool = False) -> "Measured":
        """`counted`: under callgrind, for `stopped_after`."""
        process = await asyncio.create_subprocess_exec(
            *(CALLGRIND if counted else ()),
            *(sys.executable, "-m", "benches.control.server", msgspec.json.encode(setup).decode()),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE if counted else None,
            limit=_LINE_LIMIT,
        )
        limit_s = COUNTED_LIMIT_S if counted else ANSWER_LIMIT_S
        return cls(setup, process, await _read(process, Report, limit_s), limit_s)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def stopped_after(self) -> int:
        """End it, and tell how many instructions it has taken altogether; only if it was started `counted`."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        async with asyncio.timeout(COUNTED_LIMIT_S):
            said = (await self._process.stderr.read()).decode(errors="replace")
            await self._process.wait()
        found = re.search(r"Collected : (\d+)", said)
        if found is None:
            raise RuntimeError(f"valgrind counted nothing: {said[-500:]}")
        return int(found[1])

    async def report(self) -> Report:
        return await self._ask("report", Report)

    async def usage(self) -> Usage:
        report = await self.report()
        return Usage(report.user_s, report.system_s)

    def engine_usage(self) -> Usage | None:
        """That of its media engine; None if that is a double."""
        return None if self._engine is None else spent_by(self._engine)

    async def memory_kb(self) -> int:
        """Resident memory, garbage collected."""
        return await self._ask("memory", int)

    async def allocated(self) -> int:
        """Octets that Python's allocator has given out, garbage collected; 0 unless allocations are traced."""
        return await self._ask("allocated", int)

    async def profile(self) -> None:
        """Begin to profile."""
        await self._ask("profile", None)

    async def profiled(self, path: str) -> None:
        """Stop profiling and write what was seen, for `pstats`."""
        await self._ask(f"profiled {path}", None)

    async def sample(self) -> None:
        """Begin to note where processor time goes."""
        await self._ask("sample", None)

    async def sampled(self) -> dict[str, float]:
        """Stop noting; processor seconds by room, or by module and function (see `sampler`)."""
        return await self._ask("sampled", dict[str, float])

    async def allocations(self) -> list[str]:
        """The first time nothing; from then on the lines that hold the most memory above what was held then."""
        return await self._ask("allocations", list[str])

    async def images(self, loops: int) -> ImageCost:
        """What the images of the live calls take, each made `loops` times."""
        return await self._ask(f"images {loops}", ImageCost)

    async def _ask(self, what: str, kind: type[T] | None) -> T:
        assert self._process.stdin is not None
        self._process.stdin.write(what.encode() + b"\n")
        return await _read(self._process, kind, self._limit_s)


async def _read(process: Process, kind: type[T] | None, limit_s: float) -> T:
    assert process.stdout is not None
    async with asyncio.timeout(limit_s):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the measured process has ended; its standard error says why")
    answer: T = msgspec.json.decode(line, type=kind)
    return answer
