"""Calls by the API: placed, read, listed, redirected, ended, deleted; and nothing of another account."""

import asyncio

import pytest

from sidestream.accounts.account import Account
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import CreateCall, Instructions, StartSiprec, UpdateCall
from sidestream.calls.services import CallSettings
from sidestream.media.engine import EngineLost
from sidestream.sip.agent.events import EndCause
from sidestream.trunks.trunk_book import TrunkBook

from .office_tools import HOST, change, codes, statuses, until, wait_for_status
from .test_dial import connect

EVENTS = ("initiated", "ringing", "answered", "completed")
PAUSE = '<Pause length="600"/>'


def inline(text):
    return Instructions(twiml=f"<Response>{text}</Response>")


async def create(office, to=None, *, twiml=PAUSE, **fields):
    fields = {"from_": "+15550100001", "status_callback": office.app.url("/status"), **fields}
    fields.setdefault("instructions", inline(twiml))
    form = CreateCall(to=to or str(office.bob.uri), status_callback_events=EVENTS, **fields)
    return await office.front.create_call(office.account, form)


async def answered(office, **fields):
    """A call of the API that Bob has answered."""
    record = await create(office, **fields)
    bob = await office.bob.wait_for_call()
    bob.ring()
    bob.answer()
    await bob.acknowledged()
    await wait_for_status(office, record.sid, CallStatus.IN_PROGRESS)
    return record, bob


async def update(office, sid, account=None, **fields):
    return await office.front.update_call(account or office.account, sid, UpdateCall(**fields))


async def refused(awaitable):
    with pytest.raises(Refusal) as error:
        await awaitable
    return error.value.status, error.value.code


class TestCreating:
    async def test_by_sip_address_it_rings_is_answered_and_runs_its_document(self, office):
        office.twiml("<Hangup/>", "/api")
        record, bob = await answered(office, instructions=Instructions(url=office.app.url("/api"), method="GET"))
        assert await bob.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        (request,) = office.app.to("/api")
        assert (request.method, request.parameter("CallStatus")) == ("GET", "in-progress")
        assert (request.parameter("To"), request.parameter("Direction")) == (str(office.bob.uri), "outbound-api")
        assert statuses(office) == ["initiated", "ringing", "in-progress", "completed"]
        assert (record.direction, record.status) == (Direction.OUTBOUND_API, CallStatus.COMPLETED)
        assert bob.request.from_.uri.user == "+15550100001"
        assert bob.request.headers.get("X-Sidestream-CallSid") == record.sid
        assert bob.request.call_id == record.sip_call_id

    async def test_by_number_it_goes_to_the_trunk(self, office):
        record = await create(office, "+15550100002")
        bob = await office.bob.wait_for_call()
        assert bob.request.uri.user == "+15550100002"
        bob.reject(486)
        await office.quiet()
        assert (record.status, record.to) == (CallStatus.BUSY, "+15550100002")

    @pytest.mark.parametrize(
        ("status", "becomes"), [(486, "busy"), (480, "no-answer"), (404, "failed"), (302, "failed"), (503, "failed")]
    )
    async def test_what_the_phone_says_becomes_its_status(self, office, status, becomes):
        record = await create(office)
        (await office.bob.wait_for_call()).reject(status)
        await office.quiet()
        assert (record.status, record.sip_response_code) == (becomes, status)
        assert statuses(office) == ["initiated", becomes]
        assert office.app.to("/status")[-1].parameter("SipResponseCode") == str(status)

    async def test_nobody_answers_in_time(self, office):
        record = await create(office, timeout=0.1)
        bob = await office.bob.wait_for_call()
        bob.ring()
        assert await bob.ended() is EndCause.CANCELLED
        await office.quiet()
        assert record.status is CallStatus.NO_ANSWER
        assert statuses(office) == ["initiated", "ringing", "no-answer"]

    async def test_it_ends_when_its_time_is_up(self, office):
        record, bob = await answered(office, time_limit=0.1)
        assert await bob.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        assert record.status is CallStatus.COMPLETED

    @pytest.mark.parametrize("to", ["sip:x@127.0.0.1:9;transport=tcp", "sips:x@127.0.0.1"])
    async def test_an_address_that_cannot_be_reached_is_a_failed_call(self, office, to):
        record = await create(office, to)
        await office.quiet()
        assert (record.status, record.sip_response_code) == (CallStatus.FAILED, 503)

    async def test_without_a_trunk_numbers_cannot_be_called(self, office):
        change(office, trunks=TrunkBook())
        assert await refused(create(office, "+15550100002")) == (400, 13224)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [({"to": "sip:b ob@x"}, 21211), ({"caller_id": "sip:b ob@x"}, 13247)],
    )
    async def test_bad_addresses_are_refused(self, office, fields, code):
        assert await refused(create(office, **fields)) == (400, code)
        assert await office.records() == []

    async def test_no_more_than_the_platform_may_carry(self, office):
        change(office, settings=CallSettings(HOST, calls=1))
        await create(office)
        assert await refused(create(office)) == (429, 10004)
        alice = office.dial_in()
        await alice.ended()
        assert alice.status == 503

    @pytest.mark.parametrize("command", ["open_session", "open_endpoint"])
    async def test_without_media_it_is_refused_and_nothing_stays(self, office, command):
        office.engine.fail(command)
        assert await refused(create(office)) == (400, 31900)
        assert office.engine.sessions == {}
        assert len(office.services.live) == 0
        assert await office.records() == []

    async def test_a_creation_that_is_given_up_leaves_nothing(self, office):
        gate = office.engine.hold("open_endpoint")
        creating = asyncio.create_task(create(office))
        await until(lambda: office.engine.sessions)
        creating.cancel()
        await asyncio.wait([creating])
        gate.set()
        assert creating.cancelled()
        assert office.engine.sessions == {}
        assert len(office.services.live) == 0

    async def test_one_that_is_placed_during_the_shutdown_is_ended_too(self, office):
        waiting = await create(office)
        gate = office.engine.hold("open_endpoint")
        creating = asyncio.create_task(create(office))
        await until(lambda: len(office.engine.sessions) == 2)
        draining = asyncio.create_task(office.front.drain())
        gate.set()
        late = await creating
        await asyncio.wait_for(draining, 5)
        assert [waiting.status, late.status] == [CallStatus.CANCELED, CallStatus.CANCELED]
        assert await refused(create(office)) == (429, 10004)


class TestReading:
    async def test_live_and_past_calls_are_found_by_every_filter(self, office):
        past = await create(office, "+15550100002")
        (await office.bob.wait_for_call()).reject(486)
        await office.quiet()
        live, _ = await answered(office)
        account = office.account
        assert (await office.front.fetch_call(account, past.sid)).status is CallStatus.BUSY
        assert (await office.front.fetch_call(account, live.sid)).status is CallStatus.IN_PROGRESS
        for where, expected in [
            (CallFilter(), [live.sid, past.sid]),
            (CallFilter(status=CallStatus.BUSY), [past.sid]),
            (CallFilter(status=CallStatus.IN_PROGRESS), [live.sid]),
            (CallFilter(to="+15550100002"), [past.sid]),
            (CallFilter(from_="+1"), []),
            (CallFilter(started_after=live.start_time), [live.sid]),
            (CallFilter(ended_before=past.end_time), [past.sid]),
        ]:
            found = await office.front.list_calls(account, where, 0, 10)
            assert [record.sid for record in found] == expected, where
        assert [r.sid for r in await office.front.list_calls(account, CallFilter(), 1, 1)] == [past.sid]

    async def test_children_are_found_by_their_parent(self, office):
        await connect(office)
        parent, child = office.live().record, office.live("outbound-dial").record
        found = await office.front.list_calls(office.account, CallFilter(parent_call_sid=parent.sid), 0, 10)
        assert [record.sid for record in found] == [child.sid]


class TestUpdating:
    @pytest.mark.parametrize("status", [CallStatus.COMPLETED, CallStatus.CANCELED])
    async def test_an_unanswered_call_ends(self, office, status):
        record = await create(office)
        bob = await office.bob.wait_for_call()
        bob.ring()
        await wait_for_status(office, record.sid, CallStatus.RINGING)
        assert (await update(office, record.sid, status=status)).status is status
        assert await bob.ended() is EndCause.CANCELLED
        await office.quiet()
        assert statuses(office) == ["initiated", "ringing", status]

    async def test_completed_ends_an_answered_call_and_who_it_dialled(self, office):
        alice, bob = await connect(office)
        record = await update(office, office.live().record.sid, status=CallStatus.COMPLETED)
        assert record.status is CallStatus.COMPLETED
        assert [await alice.ended(), await bob.ended()] == [EndCause.REMOTE_BYE, EndCause.REMOTE_BYE]

    async def test_canceled_leaves_an_answered_call_alone(self, office):
        record, bob = await answered(office)
        wanted = {"status": CallStatus.CANCELED, "status_callback": office.app.url("/new"), "time_limit": 0}
        assert await refused(update(office, record.sid, **wanted)) == (400, 21220)
        assert bob.cause is None
        bob.bye()
        await office.quiet()
        assert office.app.to("/new") == []

    async def test_the_end_of_the_dialled_call_lets_the_caller_go_on(self, office):
        office.twiml("<Pause length='600'/>", "/next")
        alice, bob = await connect(
            office, '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial><Redirect>/next</Redirect>'
        )
        await update(office, office.live("outbound-dial").record.sid, status=CallStatus.COMPLETED)
        assert await bob.ended() is EndCause.REMOTE_BYE
        await office.app.wait_for_count("/next", 1)
        assert alice.cause is None
        assert office.live().pairing is None
        assert office.engine.sessions[office.live().record.sid].routes == {}

    async def test_new_instructions_during_a_dial_end_the_dialled_leg(self, office):
        office.twiml('<Dial answerOnBridge="true"><Sip>{carol}</Sip></Dial>', "/next")
        alice, bob = await connect(office)
        record = office.live().record
        await update(office, record.sid, instructions=Instructions(url=office.app.url("/next")))
        assert await bob.ended() is EndCause.REMOTE_BYE
        carol = await office.carol.wait_for_call()
        carol.answer()
        await carol.acknowledged()
        child = await until(lambda: office.live().partner)
        assert alice.cause is None
        await until(
            lambda: (
                office.engine.sessions[record.sid].routes
                == {record.sid: child.record.sid, child.record.sid: record.sid}
            )
        )
        assert len(office.engine.sessions[record.sid].endpoints) == 2
        alice.bye()
        assert await carol.ended() is EndCause.REMOTE_BYE

    async def test_new_instructions_while_it_rings_give_up_the_dialled_leg(self, office):
        office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        bob.ring()
        await alice.answered()
        await update(office, office.live().record.sid, instructions=inline("<Hangup/>"))
        assert await bob.ended() is EndCause.CANCELLED
        assert await alice.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        assert (await office.records())[1].status is CallStatus.CANCELED

    async def test_of_many_new_instructions_at_once_the_last_count(self, office):
        for path in ("/a", "/b", "/c"):
            office.twiml(PAUSE, path)
        alice, bob = await connect(office)
        call = office.live()
        for path in ("/a", "/b", "/c"):
            call.script.start(Instructions(url=office.app.url(path)))
        assert await bob.ended() is EndCause.REMOTE_BYE
        await office.app.wait_for_count("/c", 1)
        assert [office.app.to("/a"), office.app.to("/b")] == [[], []]
        assert alice.cause is None
        alice.bye()
        await office.quiet()

    async def test_instructions_that_meet_the_end_of_the_call_end_with_it(self, office):
        alice, bob = await connect(office)
        call = office.live()
        call.leg.hang_up()
        call.script.start(inline("<Dial><Sip>{bob}</Sip></Dial>"))
        await bob.ended()
        await office.quiet()
        assert len(office.bob.calls) == 1
        assert office.engine.sessions == {}

    async def test_the_end_that_meets_new_instructions_ends_the_dialled_leg(self, office):
        alice, bob = await connect(office)
        call = office.live()
        # Both in one turn of the loop: the new script has not begun when the call winds up.
        call.script.start(inline(PAUSE))
        call.hang_up()
        assert await bob.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        assert office.engine.sessions == {}

    async def test_a_ringing_call_cannot_be_redirected(self, office):
        record = await create(office)
        assert await refused(update(office, record.sid, instructions=inline(PAUSE))) == (400, 21220)

    async def test_a_call_that_is_over_cannot_be_changed(self, office):
        record = await create(office)
        (await office.bob.wait_for_call()).reject(486)
        await office.quiet()
        assert await refused(update(office, record.sid, status=CallStatus.COMPLETED)) == (400, 21220)
        assert await refused(office.front.start_siprec(office.account, record.sid, StartSiprec())) == (400, 21220)

    async def test_a_call_that_is_just_ending_takes_nothing_new(self, office):
        alice, bob = await connect(office)
        sid = office.live().record.sid
        gate = office.engine.hold("close_session")
        alice.bye()
        await until(lambda: ("close_session", sid) in office.engine.commands)
        assert await refused(update(office, sid, instructions=inline(PAUSE))) == (400, 21220)
        assert await refused(office.front.start_siprec(office.account, sid, StartSiprec())) == (400, 21220)
        assert await refused(office.front.delete_call(office.account, sid)) == (400, 20009)
        gate.set()
        await office.quiet()
        assert await office.front.list_siprecs(office.account, sid, 0, 9) == []

    async def test_callbacks_go_to_the_new_url(self, office):
        record, bob = await answered(office)
        await update(office, record.sid, status_callback=office.app.url("/new"), status_callback_method="GET")
        bob.bye()
        await office.quiet()
        assert statuses(office) == ["initiated", "ringing", "in-progress"]
        (last,) = office.app.to("/new")
        assert (last.method, last.parameter("CallStatus")) == ("GET", "completed")

    async def test_a_new_time_limit_counts_from_the_answer(self, office):
        record, bob = await answered(office)
        await update(office, record.sid, time_limit=0)
        assert await bob.ended() is EndCause.REMOTE_BYE


class TestDeleting:
    async def test_only_a_call_that_is_over(self, office):
        record = await create(office)
        assert await refused(office.front.delete_call(office.account, record.sid)) == (400, 20009)
        (await office.bob.wait_for_call()).reject(486)
        await office.quiet()
        await office.front.delete_call(office.account, record.sid)
        assert await refused(office.front.fetch_call(office.account, record.sid)) == (404, 20404)
        assert await refused(office.front.delete_call(office.account, record.sid)) == (404, 20404)


class TestAccounts:
    async def test_the_calls_of_another_account_do_not_exist(self, office):
        alice, bob = await connect(office)
        sid = office.live().record.sid
        siprec = await office.front.start_siprec(office.account, sid, StartSiprec(name="mine"))
        ids = office.services.ids
        stranger, front = Account(ids.sid("AC"), ids.auth_token()), office.front
        for asked in [
            front.fetch_call(stranger, sid),
            front.update_call(stranger, sid, UpdateCall(status=CallStatus.COMPLETED)),
            front.update_call(stranger, sid, UpdateCall(instructions=inline("<Hangup/>"))),
            front.delete_call(stranger, sid),
            front.start_siprec(stranger, sid, StartSiprec(name="theirs")),
            front.stop_siprec(stranger, sid, siprec.sid),
            front.stop_siprec(stranger, sid, "mine"),
            front.fetch_siprec(stranger, sid, siprec.sid),
            front.list_siprecs(stranger, sid, 0, 10),
        ]:
            assert await refused(asked) == (404, 20404)
        assert await front.list_calls(stranger, CallFilter(), 0, 10) == []
        assert [s.name for s in await front.list_siprecs(office.account, sid, 0, 10)] == ["mine"]
        assert alice.cause is None
        alice.bye()
        await bob.ended()
        await office.quiet()
        assert await refused(front.fetch_call(stranger, sid)) == (404, 20404)
        assert await refused(front.delete_call(stranger, sid)) == (404, 20404)

    async def test_a_siprec_of_another_call_is_not_found(self, office):
        alice, bob = await connect(office)
        first, second = office.live().record, office.live("outbound-dial").record
        siprec = await office.front.start_siprec(office.account, first.sid, StartSiprec(name="mine"))
        for asked in (siprec.sid, "mine", "nobody"):
            assert await refused(office.front.stop_siprec(office.account, second.sid, asked)) == (404, 20404)


@pytest.mark.parametrize("lost", [True, False])
async def test_who_waits_when_the_platform_cannot_go_on_may_try_elsewhere(office, lost):
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    if lost:
        office.engine.lose()
    else:
        await office.front.drain()
    assert await bob.ended() is EndCause.CANCELLED
    await alice.ended()
    assert alice.status == 503
    await office.quiet()
    assert (await office.records())[0].status is (CallStatus.FAILED if lost else CallStatus.CANCELED)


async def test_the_action_learns_which_sip_call_it_was(office):
    office.twiml("<Hangup/>", "/after")
    alice, bob = await connect(office, '<Dial action="/after" answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    bob.bye()
    request = await office.app.wait_for(lambda received: received.path == "/after")
    assert request.parameter("DialSipCallId") == bob.request.call_id
    await alice.ended()
    await office.quiet()


async def test_a_lost_engine_ends_a_call_that_is_being_placed(office):
    record = await create(office)
    bob = await office.bob.wait_for_call()
    office.engine.emit(EngineLost(record.sid, "killed"))
    assert await bob.ended() is EndCause.CANCELLED
    await office.quiet()
    assert record.status is CallStatus.FAILED
    assert await codes(office) == []
