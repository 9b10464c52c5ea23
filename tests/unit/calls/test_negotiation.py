"""Offers under way: one each way, each answered once."""

import asyncio

import pytest

from sidestream.calls.negotiation import BUSY_WAIT_S, Negotiation, OfferRefused
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.testing.call_room import SDP
from sidestream.testing.recording_agent import RecordingAgent


@pytest.fixture
def agent():
    return RecordingAgent()


@pytest.fixture
def negotiation(agent):
    return Negotiation(agent, "CA1")


async def offering(negotiation):
    offer = asyncio.ensure_future(negotiation.offer("s1", SDP))
    await asyncio.sleep(0)
    return offer


async def test_an_offer_returns_its_answer(negotiation, agent):
    offer = await offering(negotiation)
    negotiation.settle(SDP)
    negotiation.settle(OfferRefused(488))  # too late to matter
    assert await offer == SDP
    assert (agent.last("reinvite").args, agent.last("reinvite").fields["body"]) == (("s1",), SDP.to_bytes())


async def test_or_raises_the_refusal(negotiation):
    offer = await offering(negotiation)
    negotiation.settle(OfferRefused(491, 2.5))
    with pytest.raises(OfferRefused, match="refused with 491") as refused:
        await offer
    assert refused.value.retry_in == 2.5


async def test_nobody_answers(negotiation, monkeypatch):
    monkeypatch.setattr("sidestream.calls.negotiation.OFFER_TIMEOUT_S", 0.0)
    with pytest.raises(OfferRefused) as refused:
        await negotiation.offer("s1", SDP)
    assert (refused.value.status, refused.value.retry_in) == (408, None)


async def test_a_second_one_meanwhile_is_refused_here(negotiation, agent):
    offer = await offering(negotiation)
    with pytest.raises(OfferRefused) as refused:
        await negotiation.offer("s1", SDP)
    assert (refused.value.status, refused.value.retry_in) == (491, None)
    offer.cancel()
    await asyncio.wait([offer])
    assert len(agent.all("reinvite")) == 1


@pytest.mark.parametrize(("asked", "retry_in"), [(False, BUSY_WAIT_S), (True, None)])
async def test_while_the_agent_is_busy_it_is_worth_a_wait_unless_the_peer_waits_for_us(
    negotiation, agent, asked, retry_in
):
    agent.may_offer = False
    if asked:
        negotiation.asked()
    with pytest.raises(OfferRefused) as refused:
        await negotiation.offer("s1", SDP)
    assert refused.value.retry_in == retry_in


def test_nothing_is_settled_where_nothing_was_offered(negotiation):
    negotiation.settle(SDP)


@pytest.mark.parametrize(("update_id", "command"), [(None, "respond"), ("r1", "answer")])
def test_the_peers_offer_is_answered_once(negotiation, agent, update_id, command):
    negotiation.asked(update_id)
    negotiation.answer("s1", 200, SDP)
    negotiation.answer("s1", 488)
    assert [(one.name, one.args) for one in agent.commands] == [(command, (update_id or "s1", 200))]
    assert agent.commands[0].fields["body"] == SDP.to_bytes()


@pytest.mark.parametrize("how", ["withdrawn", "over", "late"])
def test_an_offer_that_is_gone_is_not_answered(negotiation, agent, how):
    negotiation.asked("r1" if how == "late" else None)
    if how == "withdrawn":
        negotiation.withdrawn()
    if how == "late":
        agent.raises["answer"] = UnknownRequest("r1")
    negotiation.answer(None if how == "over" else "s1", 200, SDP)
    assert agent.commands == []
