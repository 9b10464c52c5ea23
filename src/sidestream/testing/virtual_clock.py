"""A clock that moves only when told to."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(2025, 1, 9, 12, 0, 0, tzinfo=UTC)


class VirtualClock:
    """Implements `base.clock.Clock`: both axes advance together, by hand."""

    def __init__(self, monotonic: float = 1000.0, wall: datetime = EPOCH) -> None:
        self._monotonic = monotonic
        self._offset = wall - timedelta(seconds=monotonic)

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> datetime:
        return self._offset + timedelta(seconds=self._monotonic)

    def advance(self, seconds: float) -> float:
        """Move forward by `seconds`; returns the new monotonic time."""
        return self.advance_to(self._monotonic + seconds)

    def advance_to(self, monotonic: float) -> float:
        """Move forward to `monotonic`. Raises ValueError for a time that has passed."""
        if monotonic < self._monotonic:
            raise ValueError(f"a clock does not go back from {self._monotonic} to {monotonic}")
        self._monotonic = monotonic
        return monotonic
