import pytest

from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import PCMA, PCMU, Format
from sidestream.sip.agent.events import AckReceived, EndCause, RequestAnswered
from sidestream.testing.phone.call import CallFailed, CallState

G729 = Format(18, "G729", 8000)


async def test_a_call_rings_and_is_answered(pair) -> None:
    outgoing, incoming = pair
    incoming.ring()
    await outgoing.ringing()
    assert (outgoing.state, incoming.state) == (CallState.RINGING, CallState.RINGING)
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert [response.status for response in outgoing.responses] == [180, 200]
    assert outgoing.status == incoming.status == 200
    await outgoing.ringing()


async def test_early_media_directs_both_streams_before_the_answer(pair) -> None:
    outgoing, incoming = pair
    incoming.early_media()
    await outgoing.ringing()
    assert outgoing.media.remote.media[0].port == incoming.stream.port
    assert incoming.media.remote.media[0].port == outgoing.stream.port
    incoming.answer()
    await outgoing.answered()
    assert outgoing.responses[0].body == outgoing.responses[1].body


@pytest.mark.parametrize("status", [486, 603])
async def test_a_rejected_call_tells_the_status(pair, status: int) -> None:
    outgoing, incoming = pair
    incoming.reject(status)
    with pytest.raises(CallFailed) as failed:
        await outgoing.answered()
    assert failed.value.status == status
    assert str(status) in str(failed.value)
    assert await outgoing.ended() is EndCause.REJECTED
    assert await incoming.ended() is EndCause.REJECTED
    assert incoming.status == status


async def test_a_cancelled_call_ends_at_both(pair) -> None:
    outgoing, incoming = pair
    incoming.ring()
    await outgoing.ringing()
    outgoing.cancel()
    assert await outgoing.ended() is EndCause.CANCELLED
    assert await incoming.ended() is EndCause.CANCELLED
    assert incoming.status == 487


async def test_hold_and_resume_turn_the_direction(talking) -> None:
    outgoing, incoming = talking
    await outgoing.hold()
    assert incoming.media.is_held
    assert not outgoing.media.is_held
    assert incoming.media.local.direction(0) is Direction.RECVONLY
    await outgoing.hold(Direction.INACTIVE)
    assert incoming.media.local.direction(0) is Direction.INACTIVE
    await outgoing.resume()
    assert not incoming.media.is_held
    assert incoming.media.local.direction(0) is Direction.SENDRECV
    assert incoming.offers_taken == 3
    await incoming.peer_offered(3)
    versions = [outgoing.media.local.origin.version, incoming.media.local.origin.version]
    assert versions == [4, 4]


async def test_the_called_side_holds_too(talking) -> None:
    outgoing, incoming = talking
    await incoming.hold()
    assert outgoing.media.is_held
    await incoming.resume()
    assert not outgoing.media.is_held


async def test_a_held_phone_keeps_its_own_wish(talking) -> None:
    outgoing, incoming = talking
    await incoming.hold(Direction.SENDONLY)
    await outgoing.hold(Direction.SENDONLY)
    assert outgoing.media.local.direction(0) is Direction.SENDONLY
    assert incoming.media.local.direction(0) is Direction.INACTIVE
    await outgoing.resume()
    assert incoming.media.local.direction(0) is Direction.SENDONLY


async def test_an_offer_that_does_not_fit_is_refused_with_488(make_phone) -> None:
    alice, bob = await make_phone("alice", formats=(G729,)), await make_phone("bob")
    outgoing = alice.call(bob.uri)
    (await bob.wait_for_call()).answer()
    assert await outgoing.ended() is EndCause.REJECTED
    assert outgoing.status == 488


async def test_an_invite_without_an_offer_is_answered_in_the_ack(make_phone) -> None:
    alice, bob = await make_phone("alice"), await make_phone("bob")
    outgoing = alice.call(bob.uri, offer=False)
    incoming = await bob.wait_for_call()
    with pytest.raises(ValueError, match="no offer"):
        incoming.early_media()
    incoming.answer()
    await incoming.acknowledged()
    assert outgoing.media.remote.media[0].port == incoming.stream.port
    assert incoming.media.remote.media[0].port == outgoing.stream.port


async def test_an_offer_in_the_200_that_does_not_fit_ends_the_call(make_phone) -> None:
    alice, bob = await make_phone("alice"), await make_phone("bob", formats=(G729,))
    outgoing = alice.call(bob.uri, offer=False)
    incoming = await bob.wait_for_call()
    incoming.answer()
    assert await outgoing.ended() is EndCause.LOCAL_BYE
    assert await incoming.ended() is EndCause.REMOTE_BYE


async def test_the_first_common_codec_of_the_peers_list_is_spoken(make_phone) -> None:
    alice, bob = await make_phone("alice", formats=(G729, PCMA, PCMU)), await make_phone("bob", formats=(PCMU, PCMA))
    outgoing = alice.call(bob.uri)
    (await bob.wait_for_call()).answer()
    await outgoing.answered()
    assert bob.calls[0].media.local.media[0].formats == ("8", "0")


async def test_requests_within_the_call_are_kept_and_answered(talking) -> None:
    outgoing, incoming = talking
    with outgoing._driver.turn() as (agent, now):
        agent.request(outgoing.session, "INFO", now=now, body=b"Signal=5\r\n", content_type="application/dtmf-relay")
    await outgoing._until(
        lambda: any(type(one).__name__ == "RequestAnswered" for one in outgoing.events), 5, "answered"
    )
    assert [(one.method, one.body) for one in incoming.requests] == [("INFO", b"Signal=5\r\n")]


async def test_an_update_with_a_description_is_answered_with_one(talking) -> None:
    outgoing, incoming = talking
    outgoing.media.wanted = Direction.SENDONLY
    with outgoing._driver.turn() as (agent, now):
        agent.request(outgoing.session, "UPDATE", now=now, body=outgoing.media.offer(), content_type="application/sdp")
    await incoming.peer_offered(1)
    assert incoming.media.is_held


async def test_a_description_that_is_none_is_refused(talking) -> None:
    outgoing, _ = talking
    with outgoing._driver.turn() as (agent, now):
        agent.reinvite(outgoing.session, now=now, body=b"no description", content_type="application/sdp")
    await outgoing._until(lambda: outgoing._reinvite is False, 5, "refused")
    assert outgoing.events[-1].response.status == 488
    assert outgoing.state is CallState.ANSWERED


async def test_waiting_too_long_says_what_was_waited_for(pair) -> None:
    outgoing, _ = pair
    with pytest.raises(TimeoutError, match="not answered within 0 s, but NEW"):
        await outgoing.answered(timeout=0)
    with pytest.raises(TimeoutError, match="not at 1 packets"):
        await outgoing.heard(1, timeout=0)
    with pytest.raises(TimeoutError, match="not at the digits 1"):
        await outgoing.heard_digits("1", timeout=0)


async def test_events_are_kept_in_order(talking) -> None:
    _, incoming = talking
    assert [type(one) for one in incoming.events] == [AckReceived]


async def test_an_answer_that_cannot_be_read_ends_the_call(pair) -> None:
    outgoing, incoming = pair
    with incoming._driver.turn() as (agent, now):
        agent.respond(incoming.session, 183, now=now, body=b"junk", content_type="application/sdp")
        agent.respond(incoming.session, 200, now=now, body=b"junk", content_type="application/sdp")
    assert await outgoing.ended() is EndCause.LOCAL_BYE
    assert await incoming.ended() is EndCause.REMOTE_BYE


async def test_an_update_that_is_no_description_is_refused(talking) -> None:
    outgoing, incoming = talking
    with outgoing._driver.turn() as (agent, now):
        agent.request(outgoing.session, "UPDATE", now=now, body=b"junk", content_type="application/sdp")
    await outgoing._until(lambda: isinstance(outgoing.events[-1], RequestAnswered), 5, "answered")
    assert outgoing.events[-1].response.status == 488
    assert incoming.offers_taken == 0


async def test_a_refused_hold_raises(talking) -> None:
    outgoing, incoming = talking
    incoming.media.formats = ()
    with pytest.raises(CallFailed, match="turned to sendonly"):
        await outgoing.hold()
    assert outgoing.state is CallState.ANSWERED


async def test_a_re_invite_without_an_offer_is_answered_with_one(talking) -> None:
    outgoing, incoming = talking
    with outgoing._driver.turn() as (agent, now):
        agent.reinvite(outgoing.session, now=now)
    await outgoing._until(lambda: outgoing._reinvite, 5, "answered")
    await incoming._until(lambda: len(incoming.events) == 3, 5, "acknowledged")
    assert incoming.events[-1].request.body == outgoing.media.local.to_bytes()
