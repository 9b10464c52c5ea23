"""Processor time of processes."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since the start of a process, of all its threads and children."""

    user_s: float
    system_s: float

    def since(self, before: "Usage") -> "Usage":
        return Usage(self.user_s - before.user_s, self.system_s - before.system_s)

    def shared_by(self, calls: int) -> "Usage":
        return Usage(self.user_s / calls, self.system_s / calls)

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s


def spent_by(pid: int) -> Usage:
    """That of a process and all below it, in steps of 10 ms, which is what the kernel tells."""
    taken = [_ticks(one) for one in _family(pid)]
    return Usage(*(sum(part) / _TICKS_A_SECOND for part in zip(*taken, strict=True)))


def _ticks(pid: int) -> tuple[int, int]:
    """User and system time of a process (`man 5 proc_pid_stat`)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children = [
        child
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for word in path.read_text().split()
        for child in _family(int(word))
    ]
    return [pid, *children]
