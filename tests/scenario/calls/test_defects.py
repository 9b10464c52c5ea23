"""What nobody expected: the call that meets it ends cleanly and is reported, the others go on."""

import asyncio
import io

import pytest

from sidestream.base.logs import configure_logs
from sidestream.calls import call as call_module
from sidestream.calls.bridge import LegPhase
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import CreateCall, Instructions
from sidestream.recording.siprec import SiprecStatus
from sidestream.sip.agent.events import EndCause
from sidestream.trunks.trunk_book import TrunkBook

from .office_tools import add_numbers, change, codes, statuses, until
from .test_dial import connect
from .test_siprec import event

BRIDGED = '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'


class Defect(Exception):
    """A mistake in the platform."""


def broken(*_args, **_fields):
    """A method that raises, whatever it is asked."""
    raise Defect("boom")


async def broken_coroutine(*_args, **_fields):
    raise Defect("boom")


@pytest.fixture(autouse=True)
def logged():
    """What the platform's log says, as `serve` writes it."""
    stream = io.StringIO()
    configure_logs("error", stream=stream)
    yield stream
    configure_logs()


def nothing_left(office):
    return (len(office.services.live), office.engine.sessions) == (0, {})


async def test_a_verb_that_fails_ends_the_waiting_call_with_500(office, logged):
    change(office, script=broken_coroutine)
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 500
    await office.quiet()
    (record,) = await office.records()
    assert (record.status, record.sip_response_code) == (CallStatus.FAILED, 500)
    assert statuses(office) == ["failed"]
    assert await codes(office) == [20500]
    assert nothing_left(office)
    (line,) = [line for line in logged.getvalue().splitlines() if "! defect" in line]
    assert record.sid in line
    assert "Defect: boom" in logged.getvalue()
    assert "Traceback" in logged.getvalue()


async def test_a_verb_that_fails_ends_the_answered_call_and_no_other(office):
    alice, bob = await connect(office)
    unharmed = office.live()

    async def script(call, instructions, _resumption):
        await call.ensure_answered()
        await broken_coroutine()

    change(office, script=script)
    second = office.dial_in()
    await second.answered()
    assert await second.ended() is EndCause.REMOTE_BYE
    await until(lambda: len(office.services.live) == 2)
    assert (alice.cause, bob.cause, unharmed.leg.phase) == (None, None, LegPhase.ESTABLISHED)
    alice.bye()
    await bob.ended()
    await office.quiet()
    assert await codes(office) == [20500]
    assert nothing_left(office)


async def test_a_dial_that_fails_leaves_no_dialled_leg(office, monkeypatch):
    change(office, trunks=TrunkBook())
    monkeypatch.setattr(office.services.trunks, "outbound_for", broken, raising=False)
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip><Number>+15550100002</Number></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    assert await bob.ended() is EndCause.CANCELLED
    await alice.ended()
    await office.quiet()
    assert await codes(office) == [20500]
    assert nothing_left(office)


async def test_an_event_that_cannot_be_taken_ends_the_call(office, monkeypatch):
    alice, bob = await connect(office)
    monkeypatch.setattr(office.engine, "configure_endpoint", broken_coroutine)
    with pytest.raises(Exception, match="turned to"):
        await alice.hold()
    await alice.ended()
    await bob.ended()
    await office.quiet()
    assert 20500 in await codes(office)
    assert nothing_left(office)


async def test_an_answer_that_cannot_be_taken_ends_the_call(office, monkeypatch):
    office.twiml(BRIDGED)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    monkeypatch.setattr(office.engine, "configure_endpoint", broken_coroutine)
    bob.answer()
    assert await bob.ended() is EndCause.REMOTE_BYE
    await alice.ended()
    assert alice.status == 500
    await office.quiet()
    assert [record.status for record in await office.records()] == [CallStatus.FAILED, CallStatus.FAILED]
    assert await codes(office) == [20500]
    assert nothing_left(office)


async def test_a_placed_call_that_fails_is_given_up(office):
    form = CreateCall(str(office.bob.uri), "+15550100001", Instructions(twiml="<Response/>"))
    record = await office.front.create_call(office.account, form)
    bob = await office.bob.wait_for_call()
    call = office.services.live.get(record.sid)
    call.callbacks.ringing = broken
    bob.ring()
    assert await bob.ended() is EndCause.CANCELLED
    await office.quiet()
    assert (record.status, record.sip_response_code) == (CallStatus.FAILED, 500)
    assert nothing_left(office)


@pytest.mark.parametrize("step", ["close_session", "close_endpoint"])
async def test_a_step_of_the_end_that_fails_does_not_keep_the_others_back(office, monkeypatch, step):
    alice, bob = await connect(office)
    record = office.live().record
    monkeypatch.setattr(office.engine, step, broken_coroutine)
    alice.bye()
    await bob.ended()
    await office.quiet()
    assert record.status is CallStatus.COMPLETED
    assert statuses(office)[-1] == "completed"
    assert set(await codes(office)) == {20500}
    assert len(office.services.live) == 0


async def test_a_store_that_fails_does_not_keep_the_caller_waiting(office, monkeypatch):
    alice, bob = await connect(office)
    monkeypatch.setattr(office.stores.calls, "save", broken)
    alice.bye()
    await bob.ended()
    async with asyncio.timeout(5):
        await office.services.live.wait_until_none()
    assert office.engine.sessions == {}


async def test_a_cancelled_call_hangs_up(office):
    alice, bob = await connect(office)
    task = office.services.live._tasks[office.live().record.sid]
    task.cancel()
    assert await alice.ended() is EndCause.REMOTE_BYE
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert nothing_left(office)


async def test_an_invite_that_cannot_be_judged_is_answered(office, monkeypatch):
    monkeypatch.setattr(office.services.trunks, "admit", broken, raising=False)
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 500


async def test_a_recording_that_does_not_end_is_abandoned(office, monkeypatch):
    monkeypatch.setattr(call_module, "STREAMS_STOP_S", 0.05)
    alice, bob = await connect(office, '<Start><Siprec name="a" statusCallback="/siprec"/></Start>' + BRIDGED)
    await event(office, "a", "siprec-started")
    sid = office.live().record.sid
    gate = office.engine.hold("close_fork")
    before = len(asyncio.all_tasks())
    alice.bye()
    await bob.ended()
    async with asyncio.timeout(5):
        await office.services.live.wait_until_none()
    gate.set()
    await office.quiet()
    assert len(asyncio.all_tasks()) < before
    (siprec,) = await office.front.list_siprecs(office.account, sid, 0, 9)
    assert siprec.status is SiprecStatus.STOPPED
    assert len(office.app.to("/siprec")) == 2
    assert office.engine.sessions == {}


async def test_siprecs_that_wait_for_media_end_with_the_call(office):
    add_numbers(office, _2000="<Start><Siprec/></Start><Reject/>")
    alice = office.dial_in("2000")
    await alice.ended()
    await office.quiet()
    (record,) = await office.records()
    (siprec,) = await office.front.list_siprecs(office.account, record.sid, 0, 9)
    assert (siprec.status, siprec.stopped_by) == (SiprecStatus.STOPPED, "call-ended")


async def test_who_leaves_is_told_to_the_recording(office):
    office.twiml('<Pause length="600"/>', "/next")
    alice, bob = await connect(
        office,
        '<Start><Siprec name="h" statusCallback="/siprec"/></Start>' + BRIDGED + "<Redirect>/next</Redirect>",
    )
    await event(office, "h", "siprec-started")
    bob.bye()
    await office.app.wait_for_count("/next", 1)
    (folder,) = office.recordings.iterdir()
    await until(lambda: len(list(folder.glob("metadata-*.xml"))) > 1)
    alice.bye()
    await office.quiet()
