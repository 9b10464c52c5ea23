"""Offers and answers between caller, platform and the called, in every order, allowed by SIP or not."""

import asyncio

import pytest

from sidestream.base.inbox import Inbox
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import CreateCall, Instructions
from sidestream.media.engine import PlayerEnded
from sidestream.sdp.formats import EVENTS, PCMA
from sidestream.sip.agent.events import (
    AckReceived,
    EndCause,
    InviteAccepted,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestAnswered,
)
from sidestream.testing.webhook_app import Reply

from .office_tools import AUDIO, SDP_TYPE, RawCall, codes, platform_uri, sdp, until
from .test_dial import connect
from .test_verbs import WAV

BRIDGED = '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'


def routes(office):
    """Of the one session, with endpoints named by direction."""
    (session,) = office.engine.sessions.values()
    calls = {call.record.sid: call.record.direction.value for call in office.services.live}
    return {calls[source]: calls[sink] for source, sink in session.routes.items()}


BOTH_WAYS = {"inbound": "outbound-dial", "outbound-dial": "inbound"}


class TestIncomingOffers:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"v=1\r\nnonsense", 400),
            (sdp(), 488),
            (sdp("m=video 4000 RTP/AVP 96"), 488),
            (sdp("m=audio 0 RTP/AVP 0"), 488),
            (sdp("m=audio 4000 RTP/SAVP 0"), 488),
            (sdp("m=audio 4000 RTP/AVP 0", connection=None), 488),
        ],
    )
    async def test_what_cannot_be_carried_is_refused_before_anybody_is_asked(self, office, body, status):
        call = RawCall(office.alice, platform_uri(office), body)
        assert await call.ended() == status
        assert await office.records() == []
        assert office.app.received == []
        assert office.engine.sessions == {}
        (alert,) = await office.alerts()
        assert alert.code == 32102
        assert "A call to " in alert.text

    async def test_who_wants_keys_by_dtls_is_told_what_there_is(self, office):
        line = ("m=audio 4000 UDP/TLS/RTP/SAVP 0", "a=setup:actpass", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32))
        assert await RawCall(office.alice, platform_uri(office), sdp(*line)).ended() == 488
        (alert,) = await office.alerts()
        assert "DTLS-SRTP" in alert.text

    async def test_a_body_of_another_type_is_refused(self, office):
        call = RawCall(office.alice, platform_uri(office), b"hello", content_type="text/plain")
        assert await call.ended() == 415

    async def test_video_beside_audio_is_refused_alone(self, office):
        office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
        office.twiml("<Play>/audio</Play>")
        body = sdp("m=video 4002 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "m=audio 4000 RTP/AVP 8 0")
        call = RawCall(office.alice, platform_uri(office), body)
        answer = (await call.until(InviteAccepted)).response.body.decode()
        assert "m=video 0 RTP/AVP 96" in answer
        assert next(line for line in answer.split("\r\n") if line.startswith("m=audio")).endswith("RTP/AVP 8")
        call.command("acknowledge")
        call.command("bye")
        await office.quiet()

    async def test_without_a_codec_of_ours_it_can_be_bridged_but_not_spoken_to(self, office):
        office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
        office.twiml("<Play>/audio</Play>")
        office.engine.fail("play", "no-format", "no G.711 format")
        body = sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2")
        call = RawCall(office.alice, platform_uri(office), body)
        await call.until(InviteAccepted)
        call.command("acknowledge")
        await call.ended()
        await office.quiet()
        assert await codes(office) == [31900]

    async def test_a_call_that_has_seen_too_many_servers_goes_no_further(self, office):
        office.twiml(BRIDGED)
        call = RawCall(office.alice, platform_uri(office), max_forwards=1)
        assert await call.ended() == 500
        await office.quiet()
        assert await codes(office) == [32011]
        assert office.bob.calls == []

    async def test_the_hops_are_counted_on(self, office):
        office.twiml(BRIDGED)
        call = RawCall(office.alice, platform_uri(office), max_forwards=10)
        bob = await office.bob.wait_for_call()
        assert bob.request.max_forwards == 9
        bob.reject(486)
        await call.ended()


class TestWithoutOffer:
    async def test_the_answer_comes_in_the_ack(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in(offer=False)
        bob = await office.bob.wait_for_call()
        bob.early_media()
        await alice.ringing()
        # RFC 3261 §13.2.1: the offer comes reliably, so not in the 183.
        assert [response.body for response in alice.responses] == [b""] * len(alice.responses)
        bob.answer()
        await alice.answered()
        await until(lambda: office.live().leg.media.is_agreed)
        assert routes(office) == BOTH_WAYS
        first = office.live()
        assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].remote.port == alice.stream.port
        alice.bye()
        await bob.ended()

    async def test_what_is_played_waits_for_it(self, office):
        office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
        office.twiml("<Play>/audio</Play>")
        call = RawCall(office.alice, platform_uri(office), b"")
        accepted = await call.until(InviteAccepted)
        assert b"m=audio" in accepted.response.body
        await asyncio.sleep(0.05)
        assert ("play",) not in {command[:1] for command in office.engine.commands}
        call.command("acknowledge", body=AUDIO, content_type=SDP_TYPE)
        (session,) = office.engine.sessions.values()
        await until(lambda: session.players)
        call.command("bye")
        await office.quiet()

    async def test_an_ack_without_the_answer_ends_the_call(self, office):
        office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
        office.twiml("<Play>/audio</Play>")
        call = RawCall(office.alice, platform_uri(office), b"")
        await call.until(InviteAccepted)
        call.command("acknowledge")
        await call.ended()
        await office.quiet()
        assert office.engine.sessions == {}
        assert office.app.to("/audio") == []

    async def test_a_reinvite_without_offer_is_answered_with_ours(self, office):
        office.twiml(BRIDGED)
        call = RawCall(office.alice, platform_uri(office))
        bob = await office.bob.wait_for_call()
        bob.answer()
        await call.until(InviteAccepted)
        call.command("acknowledge")
        await until(lambda: routes(office) == BOTH_WAYS)
        before = bob.offers_taken
        call.command("reinvite")
        accepted = await call.until(ReinviteAccepted)
        assert b"m=audio" in accepted.response.body
        held = AUDIO + b"a=sendonly\r\n"
        call.command("acknowledge", body=held, content_type=SDP_TYPE)
        first = office.live()
        endpoint = office.engine.sessions[first.record.sid].endpoints[first.record.sid]
        await until(lambda: endpoint.send is False)
        assert bob.offers_taken == before
        call.command("bye")
        await bob.ended()


class TestAnswers:
    async def raw_answers(self, office, *answers):
        """Alice, and Bob's answers: (status, body)."""
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        for status, body in answers:
            with office.bob.driver.turn() as (agent, now):
                agent.respond(bob.session, status, body=body, content_type=SDP_TYPE if body else None, now=now)
        return alice, bob

    async def test_a_200_need_not_repeat_the_answer_of_the_183(self, office):
        alice, bob = await self.raw_answers(office, (183, AUDIO), (200, b""))
        await alice.answered()
        await until(lambda: routes(office) == BOTH_WAYS)
        alice.bye()
        await bob.ended()

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 488),
            (b"v=1\r\n", 488),
            (sdp("m=audio 0 RTP/AVP 0"), 488),
            (sdp("m=audio 4000 RTP/SAVP 0"), 488),
        ],
    )
    async def test_one_that_cannot_be_used_is_no_answer(self, office, body, status):
        alice, bob = await self.raw_answers(office, (200, body))
        assert await bob.ended() is EndCause.REMOTE_BYE
        await alice.ended()
        assert alice.status == status
        await office.quiet()
        assert [record.status for record in await office.records()] == [CallStatus.FAILED, CallStatus.FAILED]

    async def test_an_unreadable_183_rings_all_the_same(self, office):
        alice, bob = await self.raw_answers(office, (183, b"v=1\r\n"), (200, AUDIO))
        await alice.answered()
        alice.bye()
        await bob.ended()

    async def test_of_two_answers_at_once_one_is_taken(self, office):
        office.twiml("<Dial><Sip>{bob}</Sip><Sip>{carol}</Sip></Dial>")
        alice = office.dial_in()
        bob, carol = await office.bob.wait_for_call(), await office.carol.wait_for_call()
        gate = office.engine.hold("configure_endpoint")
        bob.answer()
        carol.answer()
        await bob.acknowledged()
        await carol.acknowledged()
        gate.set()
        await until(lambda: (bob.cause is None) != (carol.cause is None))
        winner, loser = (bob, carol) if carol.cause is not None else (carol, bob)
        await until(lambda: len(office.services.live) == 2)
        assert routes(office) == BOTH_WAYS
        alice.bye()
        assert await winner.ended() is EndCause.REMOTE_BYE
        await office.quiet()
        ended = sorted(record.status for record in (await office.records())[1:])
        assert ended == [CallStatus.CANCELED, CallStatus.COMPLETED]
        assert loser.cause is EndCause.REMOTE_BYE

    async def test_an_answer_that_cannot_be_used_leaves_the_call_to_the_other(self, office):
        office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip><Sip>{carol}</Sip></Dial>')
        alice = office.dial_in()
        bob, carol = await office.bob.wait_for_call(), await office.carol.wait_for_call()
        with office.bob.driver.turn() as (agent, now):
            agent.respond(bob.session, 200, now=now)
        assert await bob.ended() is EndCause.REMOTE_BYE
        carol.answer()
        await alice.answered()
        await until(lambda: routes(office) == BOTH_WAYS)
        alice.bye()
        await carol.ended()

    async def test_an_answer_that_meets_the_end_of_the_dial_does_not_spoil_the_next(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        gate = office.engine.hold("configure_endpoint")
        bob.answer()
        await bob.acknowledged()
        await until(lambda: any(command == "configure_endpoint" for command, _ in office.engine.commands))
        # The answer is half carried out when the dial is over.
        document = f'<Response><Dial answerOnBridge="true"><Sip>{office.carol.uri}</Sip></Dial></Response>'
        office.live().script.start(Instructions(twiml=document))
        assert await bob.ended() is EndCause.REMOTE_BYE
        gate.set()
        carol = await office.carol.wait_for_call()
        assert alice.status is None
        carol.answer()
        await alice.answered()
        await until(lambda: routes(office) == BOTH_WAYS)
        alice.bye()
        await carol.ended()

    async def test_a_phone_that_took_one_codec_is_dialled_on_with_that_one(self, office):
        office.bob.formats = (PCMA, EVENTS)
        document = f"<Response><Dial><Sip>{office.carol.uri}</Sip></Dial></Response>"
        form = CreateCall(to=str(office.bob.uri), from_="+15550100001", instructions=Instructions(twiml=document))
        await office.front.create_call(office.account, form)
        bob = await office.bob.wait_for_call()
        bob.answer()
        carol = await office.carol.wait_for_call()
        assert b"m=audio" in carol.request.body
        line = next(line for line in carol.request.body.decode().split("\r\n") if line.startswith("m=audio"))
        assert line.split()[3:] == ["8", "0", "101"]
        carol.answer()
        await carol.acknowledged()
        bob.bye()
        await carol.ended()


class TestChanges:
    async def test_an_update_is_passed_on_like_a_reinvite(self, office):
        alice, bob = await connect(office)
        with office.alice.driver.turn() as (agent, now):
            body = alice.media.local.to_bytes().replace(b"a=sendrecv", b"a=sendonly")
            agent.request(alice.session, "UPDATE", body=body, content_type=SDP_TYPE, now=now)
        await until(lambda: bob.media.is_held)
        answered = await until(lambda: [e for e in alice.events if isinstance(e, RequestAnswered)])
        assert answered[0].response.status == 200
        assert b"recvonly" in answered[0].response.body

    async def test_an_update_while_it_rings_does_not_harm_the_offer(self, office):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        bob.ring()
        await alice.ringing()
        with office.alice.driver.turn() as (agent, now):
            agent.request(alice.session, "UPDATE", body=AUDIO, content_type=SDP_TYPE, now=now)
        answered = await until(lambda: [e for e in alice.events if isinstance(e, RequestAnswered)])
        assert answered[0].response.status == 500
        assert answered[0].response.headers.get("Retry-After")
        bob.answer()
        await alice.answered()
        first = office.live()
        assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].remote.port == alice.stream.port
        alice.bye()
        await bob.ended()

    async def pending_offer(self, office, document):
        """Alice's re-INVITE has reached Bob, who does not answer it yet."""
        office.twiml(document)
        alice = RawCall(office.alice, platform_uri(office))
        bob = await office.bob.wait_for_call()
        held = []
        bob.answer()
        await alice.until(InviteAccepted)
        alice.command("acknowledge")
        await bob.acknowledged()
        await until(lambda: routes(office) == BOTH_WAYS)
        office.bob.driver.attach(bob.session, held.append)
        alice.command("reinvite", body=AUDIO + b"a=sendonly\r\n", content_type=SDP_TYPE)
        await until(lambda: [event for event in held if isinstance(event, ReinviteReceived)])
        return alice, bob

    async def test_an_offer_that_meets_the_end_of_the_other_may_be_made_again(self, office):
        alice, bob = await self.pending_offer(office, BRIDGED + '<Pause length="600"/>')
        with office.bob.driver.turn() as (agent, now):
            agent.bye(bob.session, now=now)
        rejected = await alice.until(ReinviteRejected)
        # Neither 408 nor 481, which would end her session (RFC 3261 §12.2.1.2).
        assert rejected.response.status == 491
        await until(lambda: office.live().pairing is None)
        alice.command("reinvite", body=AUDIO + b"a=sendonly\r\n", content_type=SDP_TYPE)
        accepted = await alice.until(ReinviteAccepted)
        alice.command("acknowledge")
        assert b"recvonly" in accepted.response.body
        alice.command("bye")
        await office.quiet()

    async def test_an_offer_that_meets_the_end_of_its_maker_harms_nobody(self, office):
        alice, bob = await self.pending_offer(office, BRIDGED)
        alice.command("bye")
        await office.quiet()
        assert office.engine.sessions == {}

    async def test_an_offer_that_meets_new_instructions_is_answered(self, office):
        alice, bob = await self.pending_offer(office, BRIDGED)
        office.live().script.start(Instructions(twiml='<Response><Pause length="600"/></Response>'))
        rejected = await alice.until(ReinviteRejected)
        assert rejected.response.status == 491
        alice.command("bye")
        await office.quiet()

    @pytest.mark.parametrize(("theirs", "ours"), [(488, 488), (415, 491), (503, 503)])
    async def test_a_refusal_is_passed_on_if_it_means_the_offer(self, office, theirs, ours):
        alice, bob = await self.pending_offer(office, BRIDGED)
        offered = office.live("outbound-dial").leg.media.local
        with office.bob.driver.turn() as (agent, now):
            agent.respond(bob.session, theirs, now=now)
        rejected = await alice.until(ReinviteRejected)
        assert rejected.response.status == ours
        first = office.live()
        assert office.live("outbound-dial").leg.media.local != offered
        assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].send is True
        alice.command("bye")
        await office.quiet()

    async def test_of_offers_of_both_at_once_one_is_put_off_and_the_other_passed_on(self, office):
        office.twiml(BRIDGED)
        alice = RawCall(office.alice, platform_uri(office))
        bob = await office.bob.wait_for_call()
        bob.answer()
        await alice.until(InviteAccepted)
        alice.command("acknowledge")
        await bob.acknowledged()
        await until(lambda: routes(office) == BOTH_WAYS)
        events = []
        office.bob.driver.attach(bob.session, events.append)
        # Both have arrived before either is passed on.
        first, second = office.live().leg, office.live("outbound-dial").leg
        read = [(leg, leg.events) for leg in (first, second)]
        for leg, _ in read:
            leg.events = Inbox()
        alice.command("reinvite", body=AUDIO + b"a=sendonly\r\n", content_type=SDP_TYPE)
        with office.bob.driver.turn() as (agent, now):
            agent.reinvite(bob.session, body=AUDIO + b"a=sendonly\r\n", content_type=SDP_TYPE, now=now)
        waiting = []
        await until(
            lambda: waiting.extend((leg, event) for leg, _ in read for event in leg.events.take_all()) or waiting[1:]
        )
        for leg, inbox in read:
            leg.events = inbox
        for leg, event in waiting:
            leg.events.put_nowait(event)
        assert (await alice.until(ReinviteRejected)).response.status == 491
        offered = await alice.until(ReinviteReceived)
        assert b"a=sendonly" in offered.request.body
        alice.command("respond", 200, body=AUDIO + b"a=recvonly\r\n", content_type=SDP_TYPE)
        accepted = await until(lambda: [event for event in events if isinstance(event, ReinviteAccepted)])
        assert b"a=recvonly" in accepted[0].response.body
        alice.command("bye")
        await office.quiet()


class TestEngineTrouble:
    @pytest.mark.parametrize("command", ["open_session", "open_endpoint", "configure_endpoint"])
    async def test_before_the_answer_the_caller_is_refused(self, office, command):
        office.engine.fail(command)
        office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
        alice = office.dial_in()
        await alice.ended()
        assert alice.status == 503
        await office.quiet()
        assert office.engine.sessions == {}
        assert await codes(office) == [31900]
        assert (await office.records())[0].status is CallStatus.FAILED

    @pytest.mark.parametrize("command", ["configure_endpoint", "set_route"])
    async def test_at_the_answer_of_the_dialled_the_call_ends(self, office, command):
        office.twiml(BRIDGED)
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        office.engine.fail(command)
        bob.answer()
        assert await bob.ended() is EndCause.REMOTE_BYE
        await alice.ended()
        await office.quiet()
        assert office.engine.sessions == {}

    @pytest.mark.parametrize("command", ["close_session", "close_endpoint", "set_route"])
    async def test_at_the_end_it_does_not_keep_the_call(self, office, command):
        alice, bob = await connect(office)
        office.engine.fail(command, times=9)
        alice.bye()
        await bob.ended()
        await office.quiet()
        assert [record.status for record in await office.records()] == [CallStatus.COMPLETED, CallStatus.COMPLETED]

    async def test_a_hold_that_the_engine_refuses_is_refused(self, office):
        alice, bob = await connect(office)
        office.engine.fail("configure_endpoint")
        with pytest.raises(Exception, match="turned to"):
            await alice.hold()
        assert alice.cause is None
        alice.bye()
        await bob.ended()

    async def test_a_ringing_tone_that_cannot_be_played_is_no_reason_to_fail(self, office):
        office.engine.fail("play")
        office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
        alice = office.dial_in()
        bob = await office.bob.wait_for_call()
        bob.answer()
        await bob.acknowledged()
        await until(lambda: routes(office) == BOTH_WAYS)
        assert not any(isinstance(event, AckReceived) for event in alice.events)
        alice.bye()
        await bob.ended()

    async def test_a_player_that_ends_for_nobody_is_ignored(self, office):
        alice, bob = await connect(office)
        sid = office.live().record.sid
        office.engine.emit(PlayerEnded(sid, "unknown", True))
        assert alice.cause is None
        alice.bye()
        await bob.ended()
