"""Whatever the wire does, calls come to an end, on both sides, once, and leave nothing behind."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidestream.sip.agent.events import (
    AckReceived,
    Cancelled,
    EndCause,
    InviteAccepted,
    InviteReceived,
    RequestAnswered,
    SessionEnded,
)

FAULTY = {"delay": (0.0, 0.9)}  # beyond T1: copies overtake each other
seeds = st.integers(0, 2**32)
rates = st.floats(0.0, 0.35)
moments = st.floats(0.0, 3.0)
scenario = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@scenario
@given(seed=seeds, loss=rates, double=rates, talk=st.floats(0.0, 40.0), callee_ends=st.booleans())
def test_a_call_is_set_up_and_torn_down(
    pair_on: Callable[..., Any], seed: int, loss: float, double: float, talk: float, callee_ends: bool
) -> None:
    pair = pair_on(seed=seed, loss=loss, double=double, **FAULTY)
    session = pair.alice.call(pair.bob)
    pair.wire.run(talk)
    if callee_ends:
        for received in pair.bob.seen(InviteReceived):
            if not pair.bob.seen(SessionEnded):
                pair.bob.agent.bye(received.session, now=pair.bob.now)
    elif not pair.alice.seen(SessionEnded):
        pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run(200)
    for phone in (pair.alice, pair.bob):
        for received in phone.seen(InviteReceived) + phone.seen(InviteAccepted):
            if received.session not in {event.session for event in phone.seen(SessionEnded)}:
                phone.agent.bye(received.session, now=phone.now)
    pair.wire.run()
    pair.check_rest()


@scenario
@given(seed=seeds, double=rates, cancel_at=moments, answer_at=moments, status=st.sampled_from([200, 486]))
def test_a_cancel_races_the_answer(
    pair_on: Callable[..., Any], seed: int, double: float, cancel_at: float, answer_at: float, status: int
) -> None:
    pair = pair_on(seed=seed, loss=0.1, double=double, **FAULTY)
    alice, bob = pair.alice, pair.bob
    bob.answers = None
    session = alice.call(bob)

    def cancel() -> None:
        if not alice.seen(InviteAccepted) and not alice.seen(SessionEnded):
            alice.agent.cancel(session, now=alice.now)

    def answer() -> None:
        if bob.seen(InviteReceived) and not bob.seen(SessionEnded):
            bob.answer(bob.session(), status)

    first, second = sorted([(cancel_at, 0), (answer_at, 1)])
    for moment, pause in ((first, first[0]), (second, second[0] - first[0])):
        pair.wire.run(pause)
        (cancel, answer)[moment[1]]()
    pair.wire.run(100)
    if alice.seen(InviteAccepted) and not alice.seen(SessionEnded):
        alice.agent.bye(session, now=alice.now)
    if bob.seen(InviteReceived) and not bob.seen(SessionEnded):
        bob.agent.bye(bob.session(), now=bob.now)
    pair.wire.run()
    pair.check_rest()
    if bob.seen(Cancelled):
        assert bob.seen(SessionEnded)[0].cause is EndCause.CANCELLED
        assert not alice.seen(InviteAccepted)


@scenario
@given(seed=seeds, loss=st.floats(0.0, 0.2), double=rates)
def test_requests_inside_a_call_get_one_answer_each(
    pair_on: Callable[..., Any], seed: int, loss: float, double: float
) -> None:
    pair = pair_on(seed=seed, loss=loss, double=double, delay=(0.0, 0.2))
    session = pair.alice.call(pair.bob)
    pair.wire.run(15)
    if pair.alice.seen(SessionEnded) or not pair.bob.seen(AckReceived):
        return
    names = [
        pair.alice.agent.request(session, "INFO", body=b"Signal=1", content_type="application/dtmf-relay", now=now)
        for now in [pair.alice.now]
        for _ in range(3)
    ]
    pair.wire.run(40)
    assert sorted(event.request_id for event in pair.alice.seen(RequestAnswered)) == sorted(names)
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()
