"""One call: its record, its answers to a leg that is alone, its limits, and its end."""

import asyncio

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.destinations import Destination
from sidestream.calls.guard import Guard
from sidestream.calls.leg import Leg
from sidestream.calls.outgoing import Callbacks, place
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import Instructions
from sidestream.media.engine import Dtmf, EngineLost, PlayerEnded
from sidestream.sip.agent.events import (
    ByeReceived,
    Cancelled,
    EndCause,
    InviteAccepted,
    InviteProgress,
    InviteRejected,
    ReinviteReceived,
    SessionEnded,
)
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import PHONE, SDP, SDP_TEXT, request, response, turns

NO_AUDIO = SDP_TEXT.replace("audio 4000", "audio 0")


async def say(room, *events):
    for event in events:
        room.agent.hear(event)
    await turns()


async def alone(room):
    """A caller whose call we have answered."""
    call = await room.incoming()
    await call.ensure_answered()
    await room.acknowledge(call)
    return call


class TestAnswer:
    async def test_we_answer_the_offer_once(self, room):
        call = await room.incoming()
        await call.ensure_answered()
        await call.ensure_answered()
        (answer,) = room.agent.all("respond")
        assert answer.args == ("in", 200)
        assert call.record.status is CallStatus.IN_PROGRESS
        assert call.record.start_time == room.clock.wall()
        assert list(room.callbacks()) == ["in-progress"]
        assert call.agreed.is_set()

    async def test_a_caller_without_an_offer_answers_ours_in_the_ack(self, room):
        call = await room.incoming("")
        answering = asyncio.ensure_future(call.ensure_answered())
        await turns()
        assert not answering.done()
        await room.acknowledge(call, SDP_TEXT)
        await answering
        assert call.leg.media.is_agreed

    async def test_an_ack_without_the_answer_ends_the_call(self, room):
        call = await room.incoming("")
        answering = asyncio.ensure_future(call.ensure_answered())
        await turns()
        await room.acknowledge(call)
        assert call.over.is_set()
        answering.cancel()


class TestAlone:
    """A leg that nobody is joined with."""

    @pytest.mark.parametrize("kind", ["offer", "no offer"])
    async def test_its_reinvite_is_answered_by_us(self, room, kind):
        call = await alone(room)
        room.agent.commands.clear()
        await say(room, ReinviteReceived("in", request("INVITE", SDP_TEXT if kind == "offer" else ""), PHONE))
        (answer,) = room.agent.all("respond")
        assert answer.args == ("in", 200)
        assert b"m=audio" in answer.fields["body"]
        assert call.leg.phase is LegPhase.ESTABLISHED

    async def test_one_that_cannot_be_carried_is_488_and_the_call_goes_on(self, room):
        call = await alone(room)
        await say(room, ReinviteReceived("in", request("INVITE", NO_AUDIO), PHONE))
        assert room.agent.last("respond").args == ("in", 488)
        assert call.leg.phase is LegPhase.ESTABLISHED

    async def test_who_we_call_rings_answers_and_runs_its_instructions(self, room):
        to = Destination("b", Uri.parse("sip:b@192.0.2.7"))
        callbacks = Callbacks("http://app.example/", events=("ringing", "answered"))
        call = await place(
            room.services, room.account, to, caller="1", callbacks=callbacks, instructions=Instructions(twiml="x")
        )
        await say(room, InviteProgress("s1", response(180)))
        assert call.record.status is CallStatus.RINGING
        assert room.scripts == []
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        assert call.leg.media.is_agreed
        await say(room, InviteAccepted("s1", response(200)))
        assert [(one, what.twiml) for one, what in room.scripts] == [(call, "x")]
        assert list(room.callbacks()) == ["ringing", "in-progress"]

    @pytest.mark.parametrize("body", ["", NO_AUDIO])
    async def test_an_answer_without_audio_ends_it(self, room, body):
        call = await room.dialled(await room.incoming())
        await room.answer(call, body)
        assert call.record.status is CallStatus.FAILED
        assert call.record.sip_response_code == 488


class TestEnd:
    @pytest.mark.parametrize(
        ("status", "becomes"),
        [
            (486, CallStatus.BUSY),
            (600, CallStatus.BUSY),
            (408, CallStatus.NO_ANSWER),
            (480, CallStatus.NO_ANSWER),
            (603, CallStatus.NO_ANSWER),
            (487, CallStatus.CANCELED),
            (404, CallStatus.FAILED),
            (302, CallStatus.FAILED),
        ],
    )
    async def test_what_a_refusal_makes_of_it(self, room, status, becomes):
        call = await room.dialled(await room.incoming())
        session = call.leg.session
        await say(room, InviteRejected(session, response(status)), SessionEnded(session, EndCause.REJECTED))
        assert (call.record.status, call.record.sip_response_code) == (becomes, status)
        assert call.record.duration == 0

    async def test_the_reason_of_the_other_side_is_kept(self, room):
        call = await alone(room)
        bye = request("BYE", extra="Reason: Q.850;cause=16\r\n")
        await say(room, ByeReceived("in", bye), SessionEnded("in", EndCause.REMOTE_BYE))
        assert call.end_reason == "Q.850;cause=16"
        assert call.record.status is CallStatus.COMPLETED

    @pytest.mark.parametrize("by", ["cancel", "bye"])
    async def test_a_caller_that_gives_up_has_cancelled(self, room, by):
        call = await room.incoming()
        if by == "cancel":
            await say(room, Cancelled("in", request("CANCEL")), SessionEnded("in", EndCause.CANCELLED))
        else:
            await say(room, ByeReceived("in", request("BYE")), SessionEnded("in", EndCause.REMOTE_BYE))
        assert call.record.status is CallStatus.CANCELED

    async def test_who_ends_it_first_says_what_becomes_of_it(self, room):
        call = await room.incoming()
        call.hang_up(CallStatus.NO_ANSWER)
        call.hang_up(CallStatus.FAILED)
        await turns()
        assert call.record.status is CallStatus.NO_ANSWER
        assert room.agent.all("respond")[0].args == ("in", 603)

    async def test_the_last_dialled_legs_reason_goes_with_it(self, room):
        call = await alone(room)
        call.farewell = "Q.850;cause=17"
        call.hang_up()
        assert room.agent.last("bye").fields["headers"] == [("Reason", "Q.850;cause=17")]

    async def test_also_with_a_refusal(self, room):
        call = await room.incoming()
        call.farewell = "Q.850;cause=17"
        call.refuse(486, "Busy Here", CallStatus.BUSY)
        assert room.agent.last("respond").fields["headers"] == [("Reason", "Q.850;cause=17")]

    async def test_giving_up_tells_the_caller_to_try_elsewhere(self, room):
        call = await room.incoming()
        call.give_up(CallStatus.FAILED)
        await turns()
        assert room.agent.last("respond").args == ("in", 503)
        assert call.record.status is CallStatus.FAILED

    async def test_its_media_is_given_back(self, room):
        call = await alone(room)
        call.hang_up()
        await turns()
        assert room.engine.sessions == {}
        assert len(room.services.live) == 0

    async def test_an_engine_that_fails_then_changes_nothing(self, room):
        call = await alone(room)
        room.engine.fail("close_session")
        call.hang_up()
        await turns()
        assert call.over.is_set()
        assert call.record.status is CallStatus.COMPLETED

    async def test_a_store_that_fails_does_not_keep_it_from_ending(self, room):
        call = await alone(room)
        room.stores.calls.save = None
        call.hang_up()
        await turns()
        assert call.over.is_set()
        assert await room.codes() == [20500]
        del room.stores.calls.save

    async def test_a_defect_ends_this_call_alone(self, room):
        call, other = await alone(room), await room.incoming(session="other")
        call.media_changed = None
        await say(room, ReinviteReceived("in", request("INVITE", SDP_TEXT), PHONE))
        assert call.over.is_set()
        assert not other.over.is_set()
        assert await room.codes() == [20500]


class TestLimits:
    async def test_nobody_answered_in_time(self, room):
        call = await room.dialled(await room.incoming())
        call.limit_time(answer_s=60)
        call.limit_time(answer_s=0)
        await asyncio.sleep(0.01)
        assert call.record.status is CallStatus.NO_ANSWER

    async def test_an_answer_in_time_goes_on(self, room):
        call = await alone(room)
        call.limit_time(answer_s=0)
        await asyncio.sleep(0.01)
        assert not call.over.is_set()

    async def test_the_time_to_talk_begins_with_the_answer(self, room):
        call = await room.incoming()
        call.limit_time(talk_s=0)
        await asyncio.sleep(0.01)
        assert not call.over.is_set()
        await call.ensure_answered()
        await asyncio.sleep(0.01)
        assert call.over.is_set()

    async def test_a_limit_set_later_counts_what_was_talked(self, room):
        call = await alone(room)
        call.limit_time(talk_s=3600)
        room.wait(30)
        call.limit_time(talk_s=20)
        await asyncio.sleep(0.01)
        assert call.over.is_set()
        assert call.record.duration == 30


class TestMediaEvents:
    async def test_a_digit_is_noted_and_a_star_ends_a_dial(self, room):
        call = await alone(room)
        sid = call.record.sid
        for endpoint, digit in ((sid, "5"), ("other", "*")):
            room.engine.emit(Dtmf(sid, endpoint, digit, 100))
        assert not call.star_pressed.is_set()
        room.engine.emit(Dtmf(sid, sid, "*", 100))
        assert call.star_pressed.is_set()
        assert (await room.timeline(call)).count("dtmf") == 2

    async def test_a_player_has_ended(self, room):
        call = await alone(room)
        call.players["p"] = asyncio.Event()
        room.engine.emit(PlayerEnded(call.record.sid, "p", completed=True))
        assert call.players["p"].is_set()

    async def test_without_an_engine_the_call_ends(self, room):
        call = await room.incoming()
        room.engine.emit(EngineLost(call.record.sid, "died"))
        await turns()
        assert room.agent.last("respond").args == ("in", 503)
        assert call.record.status is CallStatus.FAILED

    async def test_the_dialled_call_hears_by_its_parent(self, room):
        first, second = await room.bridged()
        heard = []
        second.streams.take_media_event = heard.append
        room.engine.emit(Dtmf(first.record.sid, second.record.sid, "1", 100))
        assert len(heard) == 1


async def test_a_leg_can_be_lost_to_another_call(room):
    call = await alone(room)
    leg = call.leg
    call.lose_leg()
    await turns()
    assert call.over.is_set()
    assert leg.phase is LegPhase.ESTABLISHED
    assert call.leg is not leg


def newcomer(room, call, session):
    """A leg that is established, in the place of the call's."""
    leg = Leg(room.services.driver, call.leg.media, Guard(room.services, call.party, call.record.sid))
    leg.adopt(session, request("INVITE", SDP_TEXT))
    assert leg.accept(SDP)
    return leg


async def test_another_party_means_another_session_of_the_same_group(room):
    first, second = await room.bridged()
    before = first.recorded, second.recorded
    room.wait(5)
    second.change_party(newcomer(room, second, "n1"), first.party)
    assert first.recorded.group_id == second.recorded.group_id is not None
    assert {first.recorded.session_id, second.recorded.session_id}.isdisjoint({one.session_id for one in before})
    assert (first.recorded.joined_at, second.recorded.joined_at) == (None, room.clock.wall())
    group = first.recorded.group_id
    second.change_party(newcomer(room, second, "n2"), first.party)
    assert first.recorded.group_id == group


async def test_after_it_the_call_listens_to_the_newcomer_alone(room):
    _, second = await room.bridged()
    left = second.leg.session
    second.change_party(newcomer(room, second, "n1"), second.party)
    await say(room, SessionEnded(left, EndCause.LOCAL_BYE))
    assert not second.over.is_set()
    await say(room, ByeReceived("n1", request("BYE")), SessionEnded("n1", EndCause.REMOTE_BYE))
    assert second.over.is_set()
