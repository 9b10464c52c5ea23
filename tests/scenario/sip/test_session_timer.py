"""Session timers (RFC 4028) between two phones, hours in a moment."""

from collections.abc import Callable
from typing import Any

import pytest

from sidestream.sip.agent.events import (
    EndCause,
    InviteAccepted,
    Refreshed,
    ReinviteAccepted,
    ReinviteReceived,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.session_timer import SessionTimerPolicy

HOUR = 3600.0
TIMER = SessionTimerPolicy()


def said(phone: Any) -> list[Any]:
    kinds = (ReinviteReceived, ReinviteAccepted, RequestReceived, Refreshed, SessionEnded)
    return [event for event in phone.node.events if isinstance(event, kinds)]


def refreshes(pair: Any) -> list[str]:
    starts = [carried.start.split()[0] for carried in pair.wire.log if carried.at > 1100]
    return [start for start in starts if not start.startswith("SIP")]


@pytest.fixture
def timed(pair_with: Callable[..., Any]) -> Any:
    return pair_with({"session_timer": TIMER}, {"session_timer": TIMER})


def test_a_call_is_refreshed_by_update_for_hours_and_nobody_is_woken(timed: Any) -> None:
    ours, theirs = timed.talk()
    timed.wire.run(10 * HOUR)
    assert refreshes(timed) == ["UPDATE"] * 40
    assert said(timed.alice) == said(timed.bob) == []
    timed.alice.agent.bye(ours, now=timed.alice.now)
    timed.wire.run()
    timed.check_rest()


def test_it_survives_a_wire_that_loses_a_quarter(pair_with: Callable[..., Any]) -> None:
    for seed in range(5):
        pair = pair_with({"session_timer": TIMER}, {"session_timer": TIMER}, seed=seed)
        pair.talk()
        pair.wire.loss = 0.25
        pair.wire.run(3 * HOUR)
        assert said(pair.alice) == said(pair.bob) == []


def test_a_peer_that_knows_no_timers_is_refreshed_by_us_alone(pair_with: Callable[..., Any]) -> None:
    pair = pair_with({"session_timer": TIMER}, {"allow": ("INVITE", "ACK", "BYE", "CANCEL")})
    pair.talk()
    pair.wire.run(HOUR)
    assert refreshes(pair) == ["INVITE", "ACK"] * 4
    assert said(pair.alice) == said(pair.bob) == []


def test_a_reinvite_refresh_between_two_that_know_timers_wakes_nobody(pair_with: Callable[..., Any]) -> None:
    no_update = {"session_timer": TIMER, "allow": ("INVITE", "ACK", "BYE", "CANCEL")}
    pair = pair_with(no_update, no_update)
    pair.talk()
    pair.wire.run(HOUR)
    assert refreshes(pair) == ["INVITE", "ACK"] * 4
    assert said(pair.alice) == said(pair.bob) == []


def test_the_side_that_waits_for_a_refresh_in_vain_hangs_up(timed: Any) -> None:
    timed.talk()
    start = timed.alice.now
    timed.wire.drop = lambda carried: carried.source == "alice"
    timed.wire.run(HOUR)
    (ended,) = timed.bob.seen(SessionEnded)
    assert ended.cause is EndCause.LAPSED
    byes = timed.wire.sent("bob", "BYE")
    assert 1760 < byes[0].at - start < 1800 - 32 + 1  # RFC 4028 §10
    assert timed.alice.seen(SessionEnded)[0].cause is EndCause.LOST


def test_a_422_is_obeyed(pair_with: Callable[..., Any]) -> None:
    pair = pair_with({"session_timer": TIMER}, {"session_timer": SessionTimerPolicy(7200, 3600)})
    pair.talk()
    assert len(pair.alice.seen(InviteAccepted)) == 1
    (refused,) = pair.wire.sent("bob", "SIP/2.0 422")
    assert b"Min-SE: 3600" in refused.data
    pair.wire.run(2 * HOUR)
    assert refreshes(pair) == ["UPDATE"] * 4
    assert said(pair.alice) == said(pair.bob) == []


def test_two_refreshes_by_reinvite_that_cross_are_sorted_out(pair_with: Callable[..., Any]) -> None:
    no_update = {"session_timer": TIMER, "allow": ("INVITE", "ACK", "BYE", "CANCEL")}
    pair = pair_with(no_update, no_update)
    ours, theirs = pair.talk()
    pair.wire.run(895)
    # Bob makes an offer of his own just when Alice refreshes.
    body, kind = b"v=0\r\no=- 1 2 IN IP4 10.0.0.2\r\ns=-\r\nt=0 0\r\n", "application/sdp"
    pair.wire.delay = (1.0, 1.0)
    pair.wire.run(0.1)
    pair.bob.agent.reinvite(theirs, body=body, content_type=kind, now=pair.bob.now)
    pair.wire.run(30)
    assert pair.wire.sent("bob", "SIP/2.0 491") or pair.wire.sent("alice", "SIP/2.0 491")
    pair.wire.run(HOUR)
    assert pair.alice.seen(SessionEnded) == pair.bob.seen(SessionEnded) == []
