"""Something that has happened or not, and those who wait for it."""

import asyncio
from collections.abc import Sequence


class Flag:
    """What `asyncio.Event` does, in a tenth of the memory: a call has many, and most are never waited for."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: tuple[asyncio.Future[bool], ...] = ()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Wake all who wait, and let those who come pass."""
        self._is_set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(True)

    def clear(self) -> None:
        """Let those who come wait again."""
        self._is_set = False

    async def wait(self) -> None:
        """Return once it is set, at once if it is."""
        if not self._is_set:
            await any_of((self,))

    def _begin_waiting(self, waiter: "asyncio.Future[bool]") -> None:
        self._waiters = (*self._waiters, waiter)

    def _end_waiting(self, waiter: "asyncio.Future[bool]") -> None:
        if self._waiters == (waiter,):  # nearly always
            self._waiters = ()
        else:
            self._waiters = tuple([other for other in self._waiters if other is not waiter])


async def any_of(flags: Sequence[Flag], *, limit_s: float | None = None) -> bool:
    """Return once one of them is set, at once if one is; False if none was within `limit_s` seconds.

    Costs no task for each, and no exception for the limit.
    """
    for flag in flags:
        if flag.is_set():
            return True
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[bool] = loop.create_future()
    for flag in flags:
        flag._begin_waiting(waiter)
    timer = loop.call_later(limit_s, _give_up, waiter) if limit_s is not None else None
    try:
        return await waiter
    finally:
        if timer is not None:
            timer.cancel()
        for flag in flags:
            flag._end_waiting(waiter)


def _give_up(waiter: "asyncio.Future[bool]") -> None:
    if not waiter.done():
        waiter.set_result(False)
