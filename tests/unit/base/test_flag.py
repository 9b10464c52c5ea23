import asyncio

import pytest

from sidestream.base.flag import Flag, any_of


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_all_who_wait_are_woken_and_later_ones_pass() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await turns()
    assert not any(task.done() for task in waiting)
    assert not flag.is_set()
    flag.set()
    flag.set()
    await asyncio.gather(*waiting)
    await flag.wait()
    assert flag.is_set()


async def test_one_who_gives_up_is_no_trouble_to_the_others() -> None:
    flag = Flag()
    patient, hasty = asyncio.create_task(flag.wait()), asyncio.create_task(flag.wait())
    await turns()
    hasty.cancel()
    flag.set()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    await patient


async def test_once_cleared_it_is_waited_for_again() -> None:
    flag = Flag()
    flag.set()
    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await turns()
    assert not waiting.done()
    flag.set()
    await waiting


async def test_the_first_of_several_wakes_who_waits_for_any() -> None:
    flags = [Flag(), Flag()]
    waiting = asyncio.create_task(any_of(flags))
    alone = asyncio.create_task(flags[0].wait())
    await turns()
    assert not waiting.done()
    flags[1].set()
    await waiting
    assert not alone.done()
    flags[0].set()
    await alone


async def test_one_that_is_set_already_lets_pass() -> None:
    set_ = Flag()
    set_.set()
    await any_of([Flag(), set_])


async def test_who_gives_up_waiting_for_any_leaves_nothing_behind() -> None:
    flags = [Flag(), Flag()]
    waiting = asyncio.create_task(any_of(flags))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for flag in flags:
        flag.set()


async def test_who_waits_for_any_gives_up_at_the_limit() -> None:
    flags = [Flag(), Flag()]
    assert not await any_of(flags, limit_s=0.0)
    flags[1].set()
    assert await any_of(flags, limit_s=0.0)


async def test_one_that_is_set_in_time_is_told_from_the_limit() -> None:
    flag = Flag()
    waiting = asyncio.create_task(any_of([flag], limit_s=60.0))
    await turns()
    flag.set()
    assert await waiting


async def test_one_that_is_set_at_the_very_limit_counts() -> None:
    flag = Flag()
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(any_of([flag], limit_s=0.0))
    loop.call_soon(flag.set)
    await turns()
    assert await waiting
