"""`<Dial>` between phones: what the caller, the called and the application see."""

import asyncio

from sidestream.calls.record import CallStatus, Direction
from sidestream.media.engine import Dtmf
from sidestream.sip.agent.events import EndCause


async def connect(office, dial='<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'):
    """Alice is connected with Bob."""
    office.twiml(dial)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    bob.answer()
    await alice.answered()
    await bob.acknowledged()
    return alice, bob


async def test_a_call_is_bridged_and_the_caller_hangs_up(office):
    alice, bob = await connect(office)
    first, second = office.live(), office.live("outbound-dial")
    assert office.engine.sessions[first.record.sid].routes == {
        first.record.sid: second.record.sid,
        second.record.sid: first.record.sid,
    }
    alice.bye()
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    parent, child = await office.records()
    assert (parent.status, parent.direction) == (CallStatus.COMPLETED, Direction.INBOUND)
    assert (child.status, child.direction) == (CallStatus.COMPLETED, Direction.OUTBOUND_DIAL)
    assert child.parent_call_sid == parent.sid
    assert office.engine.sessions == {}


async def test_the_called_hangs_up_and_the_document_goes_on_to_its_end(office):
    alice, bob = await connect(office)
    bob.bye()
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert [record.status for record in await office.records()] == [CallStatus.COMPLETED, CallStatus.COMPLETED]


async def test_the_action_url_learns_how_the_dial_ended(office):
    office.twiml("<Hangup/>", "/after")
    alice, bob = await connect(office, '<Dial action="/after" answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    child_sid = office.live("outbound-dial").record.sid
    bob.bye()
    request = await office.app.wait_for(lambda received: received.path == "/after")
    assert request.parameter("DialCallStatus") == "completed"
    assert request.parameter("DialCallSid") == child_sid
    assert request.parameter("DialBridged") == "true"
    assert request.signature_valid
    await alice.ended()


async def test_a_busy_phone_ends_the_dial_as_busy(office):
    office.twiml("<Hangup/>", "/after")
    office.twiml('<Dial action="/after" answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    (await office.bob.wait_for_call()).reject(486)
    request = await office.app.wait_for(lambda received: received.path == "/after")
    assert request.parameter("DialCallStatus") == "busy"
    assert await alice.ended() is EndCause.REJECTED
    await office.quiet()
    parent, child = await office.records()
    assert child.status is CallStatus.BUSY
    assert child.sip_response_code == 486
    assert (parent.status, alice.status) == (CallStatus.BUSY, 486)


async def test_nobody_answers_in_time(office):
    office.twiml("<Hangup/>", "/after")
    office.twiml('<Dial timeout="1" action="/after"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    request = await office.app.wait_for(lambda received: received.path == "/after")
    assert request.parameter("DialCallStatus") == "no-answer"
    assert await bob.ended() is EndCause.CANCELLED
    await alice.ended()


async def test_the_caller_gives_up_while_it_rings(office):
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    await alice.ringing()
    alice.cancel()
    assert await bob.ended() is EndCause.CANCELLED
    await office.quiet()
    assert [record.status for record in await office.records()] == [CallStatus.CANCELED, CallStatus.CANCELED]


async def test_early_media_reaches_the_caller(office):
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.early_media()
    async with asyncio.timeout(5):
        while not any(response.status == 183 for response in alice.responses):
            await asyncio.sleep(0.01)
    first, second = office.live(), office.live("outbound-dial")
    assert office.engine.sessions[first.record.sid].routes[second.record.sid] == first.record.sid
    assert first.record.status is CallStatus.RINGING
    bob.answer()
    await alice.answered()
    alice.bye()
    await office.quiet()


async def test_without_answer_on_bridge_the_caller_hears_ringing(office):
    office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    await alice.answered()
    session = office.engine.sessions[office.live().record.sid]
    async with asyncio.timeout(5):
        while not session.players:
            await asyncio.sleep(0.01)
    (player,) = session.players.values()
    assert player.loops == 0
    bob.answer()
    await bob.acknowledged()
    async with asyncio.timeout(5):
        while session.players:
            await asyncio.sleep(0.01)
    alice.bye()
    await office.quiet()


async def test_hold_and_resume_reach_the_other_side(office):
    alice, bob = await connect(office)
    first = office.live()
    await alice.hold()
    assert bob.media.is_held
    assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].send is False
    await alice.resume()
    assert not bob.media.is_held
    assert office.engine.sessions[first.record.sid].endpoints[first.record.sid].send is True
    await bob.hold()
    assert alice.media.is_held
    bob.bye()
    await alice.ended()


async def test_of_two_dialled_phones_the_first_to_answer_is_connected(office):
    office.twiml("<Dial><Sip>{bob}</Sip><Sip>{carol}</Sip></Dial>")
    alice = office.dial_in()
    bob, carol = await office.bob.wait_for_call(), await office.carol.wait_for_call()
    bob.ring()
    carol.answer()
    await carol.acknowledged()
    assert await bob.ended() is EndCause.CANCELLED
    alice.bye()
    assert await carol.ended() is EndCause.REMOTE_BYE


async def test_a_number_goes_to_the_trunk_with_the_caller_id(office):
    office.twiml('<Dial callerId="+15550100009"><Number>+15550100002</Number></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    assert bob.request.uri.user == "+15550100002"
    assert bob.request.from_.uri.user == "+15550100009"
    bob.answer()
    await alice.answered()
    bob.bye()
    await alice.ended()


async def test_star_ends_the_dialled_leg_only(office):
    alice, bob = await connect(office, '<Dial hangupOnStar="true"><Sip>{bob}</Sip></Dial><Pause length="30"/>')
    sid = office.live().record.sid
    office.engine.emit(Dtmf(sid, sid, "5", 100))
    office.engine.emit(Dtmf(sid, sid, "*", 100))
    assert await bob.ended() is EndCause.REMOTE_BYE
    assert alice.cause is None
    alice.bye()
    await office.quiet()


async def test_an_info_is_passed_on(office):
    alice, bob = await connect(office)
    with office.alice.driver.turn() as (agent, now):
        agent.request(alice.session, "INFO", body=b"Signal=5", content_type="application/dtmf-relay", now=now)
    async with asyncio.timeout(5):
        while not any(request.method == "INFO" for request in bob.requests):
            await asyncio.sleep(0.01)
    assert bob.requests[-1].body == b"Signal=5"
    alice.bye()
    await office.quiet()
