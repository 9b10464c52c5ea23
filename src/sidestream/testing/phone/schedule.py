"""When packets are due: counted from one beginning, so that lateness never adds up. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Schedule:
    """Tick `n` is due at `start + n * interval`, in the seconds of the caller's clock, however late the others were."""

    start: float
    interval: float
    done: int = 0  # ticks that were taken

    @property
    def next_due(self) -> float:
        return self.start + self.done * self.interval

    def take(self, now: float) -> int:
        """How many ticks are due and not yet taken; they count as taken."""
        if now < self.next_due:
            return 0
        # A hair of tolerance, so that a wake-up at exactly the due time is not a tick short by rounding.
        reached = int((now - self.start) / self.interval + 1e-9) + 1
        due, self.done = reached - self.done, reached
        return due
