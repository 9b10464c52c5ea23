"""The one place that holds a core's deadlines."""

import heapq
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

SLACK = 64  # entries that are not worth a sweep

K = TypeVar("K", bound=Hashable)


class TimerTable(Generic[K]):
    """Deadlines by key, in monotonic seconds. Setting a key again moves its deadline.

    Stopped and moved deadlines stay in the heap until they surface or outnumber the others, so every operation is
    O(log n) amortised.
    """

    def __init__(self) -> None:
        self._deadline: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def set(self, key: K, deadline: float) -> None:
        """Arm `key`, replacing its earlier deadline."""
        self._deadline[key] = deadline
        self._count += 1
        heapq.heappush(self._heap, (deadline, self._count, key))
        if len(self._heap) > 2 * len(self._deadline) + SLACK:
            self._sweep()

    def stop(self, key: K) -> None:
        """Disarm `key`; no harm if it is not armed."""
        self._deadline.pop(key, None)

    def stop_all(self, keys: Iterable[K]) -> None:
        """Disarm those of `keys` that are armed."""
        for key in keys:
            self._deadline.pop(key, None)

    def is_armed(self, key: K) -> bool:
        return key in self._deadline

    def _sweep(self) -> None:
        """Drop what was stopped or moved: most timers are, within moments, but surface only after half a minute."""
        live = self._deadline
        self._heap = [entry for entry in self._heap if live.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)

    def next(self) -> float | None:
        """The earliest deadline, or None when nothing is armed."""
        while self._heap:
            deadline, _, key = self._heap[0]
            if self._deadline.get(key) == deadline:
                return deadline
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """Disarm and return one key whose deadline is not after `now`, earliest first; None when none is due.

        Call it in a loop: a key's handler may arm or stop others.
        """
        deadline = self.next()
        if deadline is None or deadline > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._deadline[key]
        return key

    def __len__(self) -> int:
        return len(self._deadline)
