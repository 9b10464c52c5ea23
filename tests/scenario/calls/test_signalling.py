"""Across the bridge: reasons, forks, redirections, glare, PRACK and UPDATE before the answer."""

import asyncio

import pytest

from sidestream.calls.record import CallStatus
from sidestream.sdp.direction import Direction
from sidestream.sip.agent import compose
from sidestream.sip.agent.events import (
    ByeReceived,
    Cancelled,
    EndCause,
    InviteAccepted,
    InviteProgress,
    ProgressAcknowledged,
    ReinviteReceived,
    RequestAnswered,
)
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Trunk, TrunkBook

from .office_tools import AUDIO, BRIDGED, HOST, SDP_TYPE, RawCall, change, codes, connect, platform_uri, until

REASON = 'Q.850;cause=16;text="Terminated"'


def end_with_reason(call, command="bye"):
    with call._driver.turn() as (agent, now):
        getattr(agent, command)(call.session, headers=[("Reason", REASON)], now=now)


def reason_in(call, kind):
    (event,) = [event for event in call.events if isinstance(event, kind)]
    return event.request.headers.get("Reason")


class TestReason:
    async def test_the_callers_goes_to_the_called(self, office):
        alice, bob = await connect(office)
        end_with_reason(alice)
        await bob.ended()
        assert reason_in(bob, ByeReceived) == REASON

    async def test_the_calleds_goes_to_the_caller(self, office):
        alice, bob = await connect(office)
        end_with_reason(bob)
        await alice.ended()
        assert reason_in(alice, ByeReceived) == REASON

    async def test_it_is_gone_once_the_document_went_on(self, office):
        alice, bob = await connect(office, BRIDGED + '<Pause length="0"/>')
        end_with_reason(bob)
        await alice.ended()
        assert reason_in(alice, ByeReceived) is None

    async def test_that_of_a_cancel_goes_on(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        bob.ring()
        await alice.ringing()
        end_with_reason(alice, "cancel")
        await bob.ended()
        assert reason_in(bob, Cancelled) == REASON

    async def test_that_of_a_refusal_goes_back(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        with office.bob.driver.turn() as (agent, now):
            agent.respond(bob.session, 486, headers=[("Reason", REASON)], now=now)
        await alice.ended()
        assert alice.status == 486
        assert alice.responses[-1].headers.get("Reason") == REASON


class TestRedirections:
    NUMBER = '<Dial answerOnBridge="true"><Number>+15550100002</Number></Dial>'

    def follow(self, office, count):
        trunk = Trunk("carrier", outbound=Uri.sip("", HOST, office.bob.port), follow_redirects=count)
        change(office, trunks=TrunkBook([trunk]))

    def redirect(self, office, bob):
        with office.bob.driver.turn() as (agent, now):
            session = bob.session
            agent.respond(session, 302, now=now, headers=[("X-Where", "carol")])

    @pytest.fixture
    def moved(self, office, monkeypatch):
        """Bob's phone answers 302 with Carol's address."""
        written = compose.Composer.response  # the agent writes Contact itself, so the answer gets it on its way out

        def response(composer, request, status, **fields):
            message = written(composer, request, status, **fields)
            if status == 302:
                message.headers.add("Contact", f"<{office.carol.uri}>;q=0.7, <sip:nobody@{HOST}:9>;q=0.1")
            return message

        monkeypatch.setattr(compose.Composer, "response", response)

    async def test_a_trunk_that_may_is_followed(self, office, moved):
        self.follow(office, 2)
        office.twiml(self.NUMBER)
        alice = office.dial_in()
        self.redirect(office, await office.bob.wait_for_call())
        carol = await office.carol.wait_for_call()
        carol.answer()
        await alice.answered()
        alice.bye()
        assert await carol.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        assert [record.status for record in await office.records()] == [CallStatus.COMPLETED] * 2

    async def test_others_are_not(self, office, moved):
        office.twiml(self.NUMBER)
        alice = office.dial_in()
        self.redirect(office, await office.bob.wait_for_call())
        await alice.ended()
        assert not office.carol.calls
        await office.quiet()
        assert [record.sip_response_code for record in await office.records()][1] == 302


class TestGlare:
    async def test_a_hold_that_met_one_of_the_other_side_is_tried_again(self, office):
        alice, bob = await connect(office)
        refused = []
        answer = bob._answer_reinvite

        def refuse_once(request):
            if refused:
                answer(request)
                return
            refused.append(request)
            with office.bob.driver.turn() as (agent, now):
                agent.respond(bob.session, 491, now=now)

        bob._answer_reinvite = refuse_once
        async with asyncio.timeout(8):
            await alice.hold()
        assert bob.media.is_held
        assert len([event for event in bob.events if isinstance(event, ReinviteReceived)]) == 2
        alice.bye()
        await bob.ended()

    async def test_holds_of_both_sides_at_once_are_both_made_in_the_end(self, office):
        alice, bob = await connect(office)
        async with asyncio.timeout(20):
            await asyncio.gather(alice.hold(Direction.SENDONLY), bob.hold(Direction.SENDONLY))
        assert alice.media.is_held or bob.media.is_held
        alice.bye()
        await bob.ended()


class TestBeforeTheAnswer:
    async def ring_with_media(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        bob.early_media()
        await until(lambda: any(response.status == 183 for response in alice.responses))
        return alice, bob

    async def test_early_media_is_acknowledged_on_each_leg(self, office):
        alice, bob = await self.ring_with_media(office)
        await until(lambda: any(isinstance(event, ProgressAcknowledged) for event in bob.events))
        (progress,) = [response for response in alice.responses if response.status == 183]
        assert progress.require == ("100rel",)
        bob.answer()
        await alice.answered()
        alice.bye()
        await bob.ended()

    async def test_the_callee_moves_its_early_media(self, office):
        alice, bob = await self.ring_with_media(office)
        await until(lambda: any(isinstance(event, ProgressAcknowledged) for event in bob.events))
        offer = bob.media.local.to_bytes().replace(str(bob.stream.port).encode(), b"6002")
        with office.bob.driver.turn() as (agent, now):
            assert agent.may_update(bob.session)
            agent.request(bob.session, "UPDATE", body=offer, content_type=SDP_TYPE, now=now)
        (answered,) = await until(lambda: [event for event in bob.events if isinstance(event, RequestAnswered)])
        assert answered.response.status == 200
        first, second = office.live(), office.live("outbound-dial")
        endpoint = office.engine.sessions[first.record.sid].endpoints[second.record.sid]
        assert endpoint.remote.port == 6002
        assert endpoint.remote.host == HOST
        bob.bye()
        await alice.ended()

    async def test_the_caller_moves_its_ear(self, office):
        alice, bob = await self.ring_with_media(office)
        offer = alice.media.local.to_bytes().replace(str(alice.stream.port).encode(), b"6004")
        with office.alice.driver.turn() as (agent, now):
            agent.request(alice.session, "UPDATE", body=offer, content_type=SDP_TYPE, now=now)
        (answered,) = await until(lambda: [event for event in alice.events if isinstance(event, RequestAnswered)])
        assert answered.response.status == 200
        first = office.live()
        assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].remote.port == 6004
        bob.answer()
        await alice.answered()
        alice.bye()
        await bob.ended()

    async def test_a_caller_that_requires_100rel_is_rung_reliably(self, office):
        office.twiml(BRIDGED)
        alice = RawCall(office.alice, platform_uri(office), AUDIO, headers=[("Require", "100rel")])
        bob = await office.bob.wait_for_call()
        await alice.until(InviteProgress)
        first = next(event for event in alice.events if isinstance(event, InviteProgress))
        assert first.response.rseq is not None
        alice.command("cancel")
        await bob.ended()

    async def test_a_caller_without_offer_gets_ours_when_the_called_answers(self, office):
        office.twiml(BRIDGED)
        alice = RawCall(office.alice, platform_uri(office), b"")
        bob = await office.bob.wait_for_call()
        assert b"m=audio" in bob.request.body  # RFC 3261 §13.2.1: B is made an offer of our own
        bob.answer()
        accepted = await alice.until(InviteAccepted)
        assert b"m=audio" in accepted.response.body
        alice.command("acknowledge", body=AUDIO, content_type=SDP_TYPE)
        await bob.acknowledged()
        first, second = office.live(), office.live("outbound-dial")
        await until(lambda: office.engine.sessions[first.record.sid].routes.get(second.record.sid) == first.record.sid)
        alice.command("bye")
        await bob.ended()


async def test_hops_are_counted_across_the_bridge(office):
    office.twiml(BRIDGED)
    alice = RawCall(office.alice, platform_uri(office), max_forwards=5)
    bob = await office.bob.wait_for_call()
    assert bob.request.max_forwards == 4
    alice.command("cancel")
    await bob.ended()


@pytest.mark.parametrize("hops", [3, 6])
async def test_a_call_that_comes_back_to_us_again_and_again_ends_with_its_hops(office, hops):
    """RFC 3261 §16.3 has branches to know a loop by; behind a B2BUA nothing of a call is the same but its hops."""
    uri = platform_uri(office)
    office.twiml(f'<Dial answerOnBridge="true"><Sip>{uri}</Sip></Dial>')
    call = RawCall(office.alice, uri, max_forwards=hops)
    assert await call.ended() == 500
    await office.quiet()
    assert len(await office.records()) == 2 * hops - 1
    assert await codes(office) == [32011]
    assert office.engine.sessions == {}
