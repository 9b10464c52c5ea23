"""Many quick calls, of every kind of end: afterwards nothing of them is left in memory."""

import asyncio
import gc
import io
from collections import Counter

import pytest

from sidestream.base.logs import configure_logs
from sidestream.calls.call import Call
from sidestream.calls.ports import CallFilter
from sidestream.sip.agent.events import InviteAccepted, InviteReceived

from .office_tools import AUDIO, SDP_TYPE, RawCall, add_numbers, platform_uri, until

CALLS = 1000
AT_ONCE = 20


@pytest.fixture(autouse=True)
def quiet_log():
    configure_logs("critical", stream=io.StringIO())
    yield
    configure_logs()


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def one_call(office, kind):
    """An incoming call that ends in the way that `kind` says; returns its final status, None if it was answered."""
    call = RawCall(office.alice, platform_uri(office, f"200{kind}"))
    if kind == 1:
        await call.until(InviteAccepted)
        call.command("acknowledge")
        call.command("bye")
        await call.ended()
        return None
    if kind == 2:
        await until(call.progress)
        call.command("cancel")
    return await call.ended()


async def test_a_thousand_calls_leave_nothing_behind(office):
    phone_that(office.bob.driver, 486)
    phone_that(office.carol.driver, 200, AUDIO)
    bob, carol = office.bob.uri, office.carol.uri
    add_numbers(
        office,
        _2000='<Reject reason="busy"/>',
        _2001=f"<Start><Siprec/></Start><Dial><Sip>{carol}</Sip></Dial>",
        _2002='<Start><Siprec/></Start><Pause length="60"/>',
        _2003=f'<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>',
    )
    tasks_before, sinks_before, calls_before = tasks(), len(office.services.driver._sinks), living_calls()
    gate = asyncio.Semaphore(AT_ONCE)
    outcomes = Counter()

    async def run(number):
        async with gate:
            # Few that are recorded: each is a TCP session with the recording server.
            kind = (0, 0, 0, 0, 0, 2, 2, 3, 3, 0 if number % 20 < 10 else 1)[number % 10]
            outcomes[kind, await one_call(office, kind)] += 1

    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        for number in range(CALLS):
            group.create_task(run(number))
    assert outcomes == {(0, 486): 550, (2, 487): 200, (3, 486): 200, (1, None): 50}
    await office.quiet()
    services = office.services
    assert len(services.live) == 0
    await until(lambda: not office.engine.sessions, "the end of the recording server's sessions")
    assert office.engine._sinks == {}
    assert (services.outbox._held, services.outbox._waiting) == (set(), {})
    assert services.metrics.calls_live._value.get() == 0
    assert services.metrics.siprecs_live._value.get() == 0
    await until(lambda: tasks() <= tasks_before, "the end of every task")
    # What is left of a SIP session waits for late messages for 32 s at most; no leg listens to it any more.
    assert len(services.driver._sinks) == sinks_before
    # Without a circle in it a call goes as soon as nobody needs it; the garbage collector, which stops all others, is
    # off meanwhile.
    assert living_calls() == calls_before
    records = await office.stores.calls.find(office.account.sid, CallFilter(), offset=0, limit=2 * CALLS)
    assert len(records) == CALLS + 200 + 50  # and who was dialled
    assert all(record.status.is_final and record.end_time is not None for record in records)


def living_calls():
    return sum(isinstance(one, Call) for one in gc.get_objects())


def tasks():
    """How many there are of each kind, without the connections that the application keeps for the next request."""
    found = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())
    del found["RequestHandler.start"]
    return found


def phone_that(driver, status, body=b""):
    """A phone without audio that answers every call with `status`."""

    def sink(event):
        if isinstance(event, InviteReceived):
            with driver.turn() as (agent, now):
                agent.respond(event.session, status, body=body, content_type=SDP_TYPE if body else None, now=now)

    driver.default_sink = sink
