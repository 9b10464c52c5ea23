"""Something that has happened or not, and those who wait for it."""

import asyncio


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
        if self._is_set:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = (*self._waiters, waiter)
        try:
            await waiter
        finally:
            self._waiters = tuple(other for other in self._waiters if other is not waiter)
