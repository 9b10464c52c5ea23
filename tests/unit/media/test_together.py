import asyncio

import pytest

from sidestream.media.engine import MediaEngineError
from sidestream.media.together import together


def answered(value: object) -> "asyncio.Future[object]":
    future = asyncio.get_running_loop().create_future()
    future.set_result(value)
    return future


def refused() -> "asyncio.Future[object]":
    future = asyncio.get_running_loop().create_future()
    future.set_exception(MediaEngineError("no-ports", "none left"))
    return future


async def test_answers_come_in_the_order_of_the_commands() -> None:
    later = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(together(later, answered(2), answered(3)))
    await asyncio.sleep(0)
    assert not waiting.done()
    later.set_result(1)
    assert await waiting == (1, 2, 3)


async def test_the_first_failure_gives_up_the_answers_after_it() -> None:
    kept, dropped, ran = answered(1), refused(), []

    async def command() -> None:
        ran.append(True)

    pending, never = asyncio.get_running_loop().create_future(), command()
    with pytest.raises(MediaEngineError, match="no-ports"):
        await together(kept, dropped, pending, never)
    assert pending.cancelled()
    assert ran == []


async def test_who_is_cancelled_waits_for_none_of_them() -> None:
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    waiting = asyncio.ensure_future(together(first, second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert first.cancelled()
    assert second.cancelled()


async def test_one_command_alone() -> None:
    assert await together(answered("a")) == ("a",)
