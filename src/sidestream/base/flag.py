"""Something that has happened or not, and those who wait for it."""

import asyncio
from collections.abc import Sequence


class Flag:
    """What `asyncio.Event` does, in a tenth of the memory: a call has many, and most are never waited for."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self) -> None:
        self._is_set = False
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Wake all who wait, and let those who come pass."""
        self._is_set = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let those who come wait again."""
        self._is_set = False

    async def wait(self) -> None:
        """Return once it is set, at once if it is."""
        if not self._is_set:
            await any_of((self,))

    def _begin_waiting(self, waiter: "asyncio.Future[None]") -> None:
        self._waiters = (*self._waiters, waiter)

    def _end_waiting(self, waiter: "asyncio.Future[None]") -> None:
        if self._waiters == (waiter,):  # nearly always
            self._waiters = ()
        else:
            self._waiters = tuple([other for other in self._waiters if other is not waiter])


async def any_of(flags: Sequence[Flag]) -> None:
    """Return once one of them is set, at once if one is. Costs no task for each."""
    for flag in flags:
        if flag.is_set():
            return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for flag in flags:
        flag._begin_waiting(waiter)
    try:
        await waiter
    finally:
        for flag in flags:
            flag._end_waiting(waiter)
