"""Calls live in tasks of their own and are forgotten when they are over."""

import asyncio
from types import SimpleNamespace

import pytest

from sidestream.base.metrics import Metrics
from sidestream.calls.live import LiveCalls


class StubCall:
    def __init__(self, sid, error=None):
        self.record = SimpleNamespace(sid=sid)
        self.gate = asyncio.Event()
        self.error = error

    async def run(self, instructions):
        self.instructions = instructions
        await self.gate.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def live():
    return LiveCalls(Metrics())


async def test_a_call_lives_until_it_is_over(live):
    first, second = StubCall("CA1"), StubCall("CA2")
    live.run(first, "instructions")
    live.run(second, None)
    await asyncio.sleep(0)
    assert (len(live), list(live), live.get("CA1"), live.get("CA3")) == (2, [first, second], first, None)
    assert first.instructions == "instructions"
    first.gate.set()
    await live.wait_until_one_ends()
    await asyncio.sleep(0)
    assert list(live) == [second]
    second.gate.set()
    await live.wait_until_none()
    assert len(live) == 0


async def test_what_escapes_a_call_is_logged_and_the_call_forgotten(live, capsys):
    call = StubCall("CA1", ZeroDivisionError("escaped"))
    live.run(call, None)
    call.gate.set()
    await live.wait_until_none()
    await asyncio.sleep(0)
    assert len(live) == 0
    output = capsys.readouterr()
    assert "! call failed" in output.out + output.err  # wherever the last test left the log


async def test_a_cancelled_call_is_forgotten(live):
    live.run(StubCall("CA1"), None)
    await asyncio.sleep(0)
    live._tasks["CA1"].cancel()
    await live.wait_until_none()
    await asyncio.sleep(0)
    assert len(live) == 0


async def test_with_none_there_is_nothing_to_wait_for(live):
    await live.wait_until_one_ends()
    await live.wait_until_none()
