"""Two calls that hear each other: what passes between their legs, and what the engine is told."""

import asyncio

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.events import Info
from sidestream.calls.negotiation import OfferRefused
from sidestream.calls.pairing import OFFER_ATTEMPTS, Pairing
from sidestream.calls.record import CallStatus
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    AckReceived,
    EndCause,
    InviteProgress,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.testing.call_room import PHONE, SDP_TEXT, request, response, turns

NO_AUDIO = SDP_TEXT.replace("audio 4000", "audio 0")
HELD = SDP_TEXT + "a=sendonly\r\n"


async def say(room, *events):
    for event in events:
        room.agent.hear(event)
    await turns()


async def dialling(room, offer=SDP_TEXT, *, alone=True):
    first = await room.incoming(offer)
    second = await room.dialled(first)
    second.pairing, second.partner = Pairing(first, second, room.engine, alone=alone), first
    return first, second


def routes(room, first):
    return room.engine.sessions[first.record.sid].routes


def statuses(room):
    return [one.args for one in room.agent.all("respond")]


class TestBeforeTheAnswer:
    async def test_ringing_is_passed_on_without_sound(self, room):
        first, second = await dialling(room)
        await say(room, InviteProgress("s1", response(180)))
        assert statuses(room) == [("in", 180)]
        assert routes(room, first) == {}
        assert not second.pairing.audible.is_set()

    async def test_early_media_is_heard_one_way(self, room):
        first, second = await dialling(room)
        await say(room, InviteProgress("s1", response(180, SDP_TEXT)))
        assert statuses(room) == [("in", 183)]  # RFC 3960 §3
        assert room.agent.last("respond").fields["body"]
        assert routes(room, first) == {second.record.sid: first.record.sid}
        assert (first.pairing, first.partner) == (second.pairing, second)

    async def test_a_caller_without_an_offer_gets_ours_in_the_200_alone(self, room):
        first, second = await dialling(room, "")
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        assert room.agent.last("respond").fields["body"] == b""
        await room.answer(second)
        assert (statuses(room)[-1], bool(room.agent.last("respond").fields["body"])) == (("in", 200), True)
        await say(room, AckReceived("in", request("ACK", SDP_TEXT)))
        assert routes(room, first) == {first.record.sid: second.record.sid, second.record.sid: first.record.sid}

    async def test_of_several_nobody_is_heard_before_the_answer(self, room):
        first, _ = await dialling(room, alone=False)
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        assert statuses(room) == [("in", 180)]
        assert routes(room, first) == {}

    async def test_an_update_before_the_answer_is_answered_by_us(self, room):
        first, second = await dialling(room)
        await say(room, RequestReceived("r1", "in", request("UPDATE", SDP_TEXT), PHONE))
        # The caller is not joined yet, and answered as a leg that is alone.
        assert room.agent.last("answer").args == ("r1", 200)
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        for body, status in ((SDP_TEXT, 200), (NO_AUDIO, 488)):
            await say(room, RequestReceived("r2", "s1", request("UPDATE", body), PHONE))
            assert room.agent.last("answer").args == ("r2", status)
        assert room.agent.all("reinvite") == []
        assert second.leg.phase is LegPhase.CALLING


class TestAnswer:
    async def test_both_hear_each_other(self, room):
        first, second = await room.bridged()
        assert routes(room, first) == {first.record.sid: second.record.sid, second.record.sid: first.record.sid}
        assert statuses(room) == [("in", 200)]
        assert second.pairing.audible.is_set()
        assert first.record.status is second.record.status is CallStatus.IN_PROGRESS

    async def test_the_answer_of_the_183_counts_where_the_200_has_none(self, room):
        first, second = await dialling(room)
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        await room.answer(second, "")
        assert statuses(room)[-1] == ("in", 200)
        assert len(routes(room, first)) == 2

    @pytest.mark.parametrize("body", ["", NO_AUDIO])
    async def test_an_answer_without_audio_ends_who_answered(self, room, body):
        first, second = await dialling(room)
        await room.answer(second, body)
        assert (second.record.sip_response_code, second.record.status) == (488, CallStatus.FAILED)
        assert (first.pairing, first.partner) == (None, None), "another one may still answer"
        assert first.leg.phase is LegPhase.WAITING

    async def test_a_broken_engine_ends_who_answered(self, room):
        first, second = await dialling(room)
        room.engine.fail("set_route")
        await room.answer(second)
        assert second.record.sip_response_code == 500

    async def test_only_the_first_to_answer_is_joined(self, room):
        first, second = await dialling(room, alone=False)
        third = await room.dialled(first)
        third.pairing, third.partner = Pairing(first, third, room.engine, alone=False), first
        await room.answer(second)
        await room.answer(third)
        assert first.partner is second
        assert third.over.is_set()

    async def test_nobody_is_joined_after_it_was_parted(self, room):
        first, second = await dialling(room)
        await second.pairing.part()
        second.pairing = Pairing(first, second, room.engine, alone=True)
        await second.pairing.part()
        await room.answer(second)
        assert first.pairing is None
        assert first.leg.phase is LegPhase.WAITING

    async def test_a_caller_that_was_answered_before_is_joined(self, room):
        first = await room.incoming()
        await first.ensure_answered()
        await room.acknowledge(first)
        second = await room.dialled(first)
        second.pairing, second.partner = Pairing(first, second, room.engine, alone=True), first
        await say(room, InviteProgress("s1", response(183, SDP_TEXT)))
        assert second.pairing.audible.is_set()
        await room.answer(second)
        assert len(routes(room, first)) == 2
        assert len(room.agent.all("respond")) == 1


class TestOffers:
    async def test_an_offer_of_one_is_made_to_the_other_and_the_answer_goes_back(self, room):
        first, second = await room.bridged()
        await say(room, ReinviteReceived("in", request("INVITE", HELD), PHONE))
        assert b"a=sendonly" in room.agent.last("reinvite").fields["body"]
        assert statuses(room) == [("in", 200)], "the first answer; the second waits"
        await say(room, ReinviteAccepted("s1", response(200, SDP_TEXT + "a=recvonly\r\n")))
        assert statuses(room)[-1] == ("in", 200)
        assert b"a=recvonly" in room.agent.last("respond").fields["body"]

    async def test_one_without_a_description_is_answered_with_ours(self, room):
        await room.bridged()
        await say(room, ReinviteReceived("in", request("INVITE"), PHONE))
        assert room.agent.all("reinvite") == []
        answered = SessionDescription.parse(room.agent.last("respond").fields["body"])
        assert answered.media[0].media == "audio"

    @pytest.mark.parametrize(
        ("refused", "told"), [(488, 488), (606, 606), (481, 491), (408, 491), (401, 491), (415, 491)]
    )
    async def test_a_refusal_goes_back_unless_it_means_only_us(self, room, refused, told):
        first, second = await room.bridged()
        before = second.leg.media.local
        await say(room, ReinviteReceived("in", request("INVITE", HELD), PHONE))
        await say(room, ReinviteRejected("s1", response(refused)))
        assert statuses(room)[-1] == ("in", told)
        assert second.leg.media.local == before
        assert first.leg.phase is LegPhase.ESTABLISHED

    async def test_one_that_has_met_another_is_tried_again(self, room):
        await room.bridged()
        await say(room, ReinviteReceived("in", request("INVITE", HELD), PHONE))
        for _ in range(OFFER_ATTEMPTS - 1):
            await say(room, ReinviteRejected("s1", response(491), 0.0))
        assert len(room.agent.all("reinvite")) == OFFER_ATTEMPTS
        await say(room, ReinviteRejected("s1", response(491), 0.0))
        assert statuses(room)[-1] == ("in", 491)
        assert len(room.agent.all("reinvite")) == OFFER_ATTEMPTS

    @pytest.mark.parametrize("whose", ["offer", "answer"])
    async def test_one_that_cannot_be_carried_is_488_and_the_calls_go_on(self, room, whose):
        first, second = await room.bridged()
        await say(room, ReinviteReceived("in", request("INVITE", NO_AUDIO if whose == "offer" else HELD), PHONE))
        if whose == "answer":
            await say(room, ReinviteAccepted("s1", response(200, NO_AUDIO)))
        assert statuses(room)[-1] == ("in", 488)
        assert {first.leg.phase, second.leg.phase} == {LegPhase.ESTABLISHED}

    async def test_a_defect_on_the_way_ends_the_call_that_asked(self, room):
        first, _ = await room.bridged()
        room.agent.raises["reinvite"] = ZeroDivisionError()
        await say(room, ReinviteReceived("in", request("INVITE", HELD), PHONE))
        assert first.over.is_set()
        assert 20500 in await room.codes()

    async def test_parting_answers_who_waits(self, room):
        first, second = await room.bridged()
        await say(room, ReinviteReceived("in", request("INVITE", HELD), PHONE))
        await first.pairing.part()
        assert statuses(room)[-1] == ("in", 491)
        assert (first.pairing, second.pairing, first.partner, second.partner) == (None,) * 4
        assert routes(room, first) == {}

    async def test_an_info_reaches_the_other(self, room):
        first, second = await room.bridged()
        await first.pairing.pass_on(second, Info("application/dtmf-relay", b"Signal=5"))
        one = room.agent.last("request")
        assert (one.args, one.fields["body"]) == (("in", "INFO"), b"Signal=5")


class TestParting:
    async def test_one_that_hangs_up_leaves_the_other_to_its_instructions(self, room):
        first, second = await room.bridged()
        await say(room, SessionEnded("s1", EndCause.REMOTE_BYE))
        assert second.over.is_set()
        assert first.leg.phase is LegPhase.ESTABLISHED

    async def test_an_engine_that_fails_then_does_no_harm(self, room):
        first, second = await room.bridged()
        room.engine.fail("set_route", times=2)
        await first.pairing.part()
        assert first.leg.phase is LegPhase.ESTABLISHED

    async def test_who_had_no_media_has_nothing_to_be_cut(self, room):
        first, second = await dialling(room)
        await room.stores.calls.flush()
        second.leg.media.ports = None
        await second.pairing.part()


class TestRenewal:
    async def test_the_other_side_is_offered_the_newcomers_description(self, room):
        first, second = await room.bridged()
        renewing = asyncio.ensure_future(first.pairing.renew(second))
        await turns()
        await room.take_offer(first)
        await renewing
        assert room.agent.last("reinvite").args == ("in",)

    async def test_if_it_refuses_it_keeps_what_it_had(self, room):
        first, second = await room.bridged()
        before = first.leg.media.local
        renewing = asyncio.ensure_future(first.pairing.renew(second))
        await turns()
        await say(room, ReinviteRejected("in", response(488)))
        with pytest.raises(OfferRefused):
            await renewing
        assert first.leg.media.local == before

    async def test_nothing_is_offered_once_they_are_parted(self, room):
        first, second = await room.bridged()
        pairing = first.pairing
        await pairing.part()
        await pairing.renew(second)
        assert room.agent.all("reinvite") == []
