"""PRACK and UPDATE between two phones (RFC 3262, RFC 3311), on good wires and bad ones."""

from collections.abc import Callable
from typing import Any

import pytest

from sidestream.sip.agent.events import (
    AckReceived,
    EndCause,
    InviteAccepted,
    InviteProgress,
    InviteRejected,
    ProgressAcknowledged,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"
SDP_TYPE = "application/sdp"
REQUIRED = {"headers": [("Require", "100rel")]}
SEEDS = range(25)


def ring_with_answer(pair: Any) -> tuple[str, str]:
    """Alice's call to bob is at its reliable 183."""
    pair.bob.answers = None
    ours = pair.alice.call(pair.bob)
    pair.wire.run(1)
    theirs = pair.bob.session()
    pair.bob.agent.respond(theirs, 183, body=SDP, content_type=SDP_TYPE, now=pair.bob.now)
    pair.wire.run(1)
    return ours, theirs


def test_a_required_100rel_is_kept_to(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob, **REQUIRED)
    pair.wire.run(1)
    assert b"RSeq: " in pair.wire.sent("bob", "SIP/2.0 180")[0].data
    assert len(pair.wire.sent("alice", "PRACK")) == 1
    assert len(pair.bob.seen(ProgressAcknowledged)) == 1
    pair.bob.answer(pair.bob.session(), 200)
    pair.wire.run(1)
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_arrives_once_and_in_order_whatever_the_wire_does(pair_on: Callable[..., Any], seed: int) -> None:
    pair = pair_on(seed=seed, loss=0.25, double=0.2, delay=(0.01, 0.6))
    pair.bob.answers = None
    session = pair.alice.call(pair.bob, **REQUIRED)
    pair.wire.run(8)
    theirs = pair.bob.session()
    pair.bob.agent.respond(theirs, 183, body=SDP, content_type=SDP_TYPE, now=pair.bob.now)
    pair.bob.agent.respond(theirs, 181, now=pair.bob.now)
    pair.wire.run(30)
    assert [event.response.status for event in pair.alice.seen(InviteProgress)] == [180, 183, 181]
    pair.bob.answer(theirs, 200)
    pair.wire.run(20)
    assert len(pair.alice.seen(InviteAccepted)) == len(pair.bob.seen(AckReceived)) == 1
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


def test_without_pracks_the_invite_is_refused(pair: Any) -> None:
    pair.wire.drop = lambda carried: carried.start.startswith("PRACK")
    pair.bob.answers = None
    pair.alice.call(pair.bob, **REQUIRED)
    pair.wire.run()
    assert pair.bob.seen(SessionEnded)[0].cause is EndCause.NO_PRACK
    assert pair.alice.seen(InviteRejected)[0].response.status == 504
    pair.check_rest()


def test_the_answer_in_a_183_allows_updates_both_ways(pair: Any) -> None:
    ours, theirs = ring_with_answer(pair)
    for phone, session, other in ((pair.alice, ours, pair.bob), (pair.bob, theirs, pair.alice)):
        assert phone.agent.may_update(session)
        phone.agent.request(session, "UPDATE", body=SDP, content_type=SDP_TYPE, now=phone.now)
        pair.wire.run(1)
        assert phone.seen(RequestAnswered)[-1].response.status == 200
        assert other.seen(RequestReceived)[-1].request.method == "UPDATE"
    pair.bob.answer(theirs, 200)
    pair.wire.run(1)
    assert len(pair.alice.seen(InviteAccepted)) == 1


def test_updates_that_cross_are_both_told_to_wait(pair: Any) -> None:
    ours, theirs = ring_with_answer(pair)
    for phone, session in ((pair.alice, ours), (pair.bob, theirs)):
        phone.agent.request(session, "UPDATE", body=SDP, content_type=SDP_TYPE, now=phone.now)
    pair.wire.run(1)
    alice, bob = pair.alice.seen(RequestAnswered)[-1], pair.bob.seen(RequestAnswered)[-1]
    assert (alice.response.status, bob.response.status) == (491, 491)
    assert bob.retry_in <= 2.0 < 2.1 <= alice.retry_in <= 4.0


def test_a_2xx_waits_until_its_183_is_acknowledged(pair: Any) -> None:
    lost = iter([True, True, True, False])
    pair.wire.drop = lambda carried: carried.start.startswith("PRACK") and next(lost, False)
    pair.bob.answers = None
    pair.alice.call(pair.bob)
    pair.wire.run(1)
    theirs = pair.bob.session()
    pair.bob.agent.respond(theirs, 183, body=SDP, content_type=SDP_TYPE, now=pair.bob.now)
    pair.bob.answer(theirs, 200)
    pair.wire.run(0.3)
    assert pair.alice.seen(InviteAccepted) == []
    pair.wire.run(5)
    assert len(pair.alice.seen(InviteAccepted)) == 1
