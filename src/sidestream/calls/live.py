"""The calls that live now, by SID."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics

if TYPE_CHECKING:
    from sidestream.calls.call import Call
    from sidestream.calls.requests import Instructions

log = get_logger("calls")


class LiveCalls:
    """Runs each call in a task of its own and forgets it when it is over."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls: dict[str, Call] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._metrics = metrics

    def run(self, call: "Call", instructions: "Instructions | None") -> None:
        """Let a new call live."""
        sid = call.record.sid
        self._calls[sid] = call
        self._metrics.calls_live.inc()
        task = asyncio.create_task(call.run(instructions), name=sid)
        self._tasks[sid] = task
        task.add_done_callback(self._forget)

    def get(self, sid: str) -> "Call | None":
        return self._calls.get(sid)

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> "Iterator[Call]":
        return iter(list(self._calls.values()))

    async def wait_until_one_ends(self) -> None:
        """Return when one of the calls that live now is over; at once if there is none."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), return_when=asyncio.FIRST_COMPLETED)

    async def wait_until_none(self) -> None:
        """Return when no call lives any more."""
        while self._tasks:
            await self.wait_until_one_ends()

    def _forget(self, done: asyncio.Task[None]) -> None:
        sid = done.get_name()
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error(
                "! call failed", call=sid, exc_info=error
            )  # `Call.run` lets nothing escape but a defect of its own
        del self._calls[sid]
        del self._tasks[sid]
        self._metrics.calls_live.dec()
