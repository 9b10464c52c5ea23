"""Tasks that run beside what began them."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any


class TaskSet:
    """Holds tasks until they are over, for a loop holds them only weakly. In a third of the memory of a set.

    Few at a time; most hold none or one.
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task of the running loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks = (*self._tasks, task)
        task.add_done_callback(self._forget)
        return task

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        """Those that are not over; the last one was started last."""
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def _forget(self, done: asyncio.Task[None]) -> None:
        self._tasks = tuple([task for task in self._tasks if task is not done])
