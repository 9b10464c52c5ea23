import asyncio

import pytest

from sidestream.sip.agent.events import EndCause, RequestAnswered
from sidestream.sip.errors import MessageError
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.phone.call import CallState


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_one_phone_calls_another(make_phone, transport: Transport) -> None:
    alice, bob = await make_phone("alice", transport=transport), await make_phone("bob", transport=transport)
    outgoing = alice.call(str(bob.uri), headers=(("X-Order", "4716"),))
    incoming = await bob.wait_for_call()
    assert incoming.request.headers.get("X-Order") == "4716"
    assert incoming.request.from_.uri.user == "alice"
    assert incoming.request.uri.user == "bob"
    assert incoming.request.via.transport == transport
    incoming.answer()
    await outgoing.answered()
    assert alice.calls == [outgoing]
    assert bob.calls == [incoming]
    outgoing.bye()
    assert await incoming.ended() is EndCause.REMOTE_BYE
    assert await outgoing.ended() is EndCause.LOCAL_BYE


async def test_calls_are_given_out_in_their_order(make_phone) -> None:
    alice, bob = await make_phone("alice"), await make_phone("bob")
    waiting = asyncio.create_task(bob.wait_for_call())
    for number in "12":
        alice.call(bob.uri, headers=(("X-Number", number),))
    first, second = await waiting, await bob.wait_for_call()
    assert [one.request.headers.get("X-Number") for one in (first, second)] == ["1", "2"]
    with pytest.raises(TimeoutError):
        await bob.wait_for_call(timeout=0)


async def test_a_phone_that_goes_ends_its_calls(make_phone) -> None:
    bob = await make_phone("bob")
    alice = await make_phone("alice")
    outgoing = alice.call(bob.uri)
    incoming = await bob.wait_for_call()
    incoming.answer()
    await outgoing.answered()
    await alice.close()
    assert await incoming.ended() is EndCause.REMOTE_BYE
    assert outgoing.stream.rtp.fileno() == -1


async def test_a_malformed_target_costs_no_ports(make_phone) -> None:
    alice = await make_phone("alice")
    with pytest.raises(MessageError):
        alice.call("sip:")
    assert alice.calls == []


async def test_other_requests_are_refused(make_phone) -> None:
    alice, bob = await make_phone("alice"), await make_phone("bob")
    answered: asyncio.Future[RequestAnswered] = asyncio.get_running_loop().create_future()
    alice.driver.default_sink = answered.set_result
    with alice.driver.turn() as (agent, now):
        agent.request(None, "MESSAGE", now=now, target=bob.uri, from_=NameAddr(None, Uri.sip("alice", "127.0.0.1")))
    assert (await answered).response.status == 405


async def test_a_call_to_nobody_ends(make_phone) -> None:
    alice = await make_phone("alice", transport=Transport.TCP)
    gone = await make_phone("gone", transport=Transport.TCP)
    uri = gone.uri
    await gone.driver.close()
    call = alice.call(uri)
    assert await call.ended() is EndCause.FAILED
    assert call.state is CallState.ENDED
