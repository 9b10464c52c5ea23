import asyncio

import pytest

from sidestream.base.inbox import Inbox


async def test_items_come_out_in_order_whoever_is_first() -> None:
    inbox: Inbox[int] = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not reading.done()
    inbox.put_nowait(1)
    inbox.put_nowait(2)
    assert await reading == 1
    assert await inbox.get() == 2


async def test_a_cancelled_reader_takes_nothing() -> None:
    inbox: Inbox[int] = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait(1)
    reading.cancel()
    inbox.put_nowait(2)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await inbox.get() == 1
    assert await inbox.get() == 2


async def test_taking_all_leaves_a_waiting_reader_waiting() -> None:
    inbox: Inbox[int] = Inbox()
    reading = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait(1)
    inbox.put_nowait(2)
    assert inbox.take_all() == [1, 2]
    assert inbox.take_all() == []
    await asyncio.sleep(0)
    assert not reading.done()
    inbox.put_nowait(3)
    assert await reading == 3


async def test_who_only_waits_takes_nothing() -> None:
    inbox: Inbox[int] = Inbox()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    assert (waiting.done(), inbox.has_items) == (False, False)
    inbox.put_nowait(1)
    await waiting
    await inbox.wait()
    assert inbox.has_items
    assert await inbox.get() == 1
