"""Calls through the platform, placed and taken by SIPp."""

import pytest

from .conftest import DIAL, DIAL_BRIEFLY, DIAL_CARRIER, DIAL_TCP, REJECT, Stage

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("number", "callee_transport"), [(DIAL, "udp"), (DIAL_TCP, "tcp")])
def test_caller_hangs_up(stage: Stage, transport: str, number: str, callee_transport: str) -> None:
    with stage.play("callee_answers", stage.callee, transport=callee_transport):
        stage.call("caller_hangs_up", number, transport=transport).run()


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("caller_is_hung_up", "callee_hangs_up"),
        ("caller_hears_busy", "callee_is_busy"),
        ("caller_cancels", "callee_rings_until_cancelled"),
        ("caller_hears_early_media", "callee_plays_early_media"),
        ("caller_holds_and_resumes", "callee_is_held"),
        ("caller_is_held", "callee_holds_and_resumes"),
        ("caller_sends_info", "callee_gets_info"),
        ("caller_offers_late", "callee_answers"),
    ],
)
def test_what_one_side_does_reaches_the_other(stage: Stage, caller: str, callee: str) -> None:
    with stage.play(callee, stage.callee):
        stage.call(caller, DIAL).run()


def test_busy_is_how_the_call_is_listed(stage: Stage) -> None:
    with stage.play("callee_is_busy", stage.callee):
        stage.call("caller_hears_busy", DIAL).run()
    assert stage.server.calls(to=DIAL)[0]["status"] == "busy"


def test_callee_that_does_not_answer_is_cancelled(stage: Stage) -> None:
    with stage.play("callee_rings_until_cancelled", stage.callee):
        stage.call("caller_is_rejected", DIAL_BRIEFLY).run()


def test_carrier_gets_the_credentials_it_asks_for(stage: Stage) -> None:
    with stage.play("callee_asks_for_credentials", stage.carrier):
        stage.call("caller_hangs_up", DIAL_CARRIER).run()


def test_reject_is_busy(stage: Stage) -> None:
    stage.call("caller_hears_busy", REJECT).run()


def test_unknown_number(stage: Stage) -> None:
    stage.call("caller_hears_no_such_number", "nobody").run()


def test_repeated_invite_is_one_call(stage: Stage) -> None:
    before = len(stage.server.calls(to=DIAL))
    with stage.play("callee_answers", stage.callee) as callee:
        stage.call("caller_repeats_its_invite", DIAL, options=["-pause_msg_ign"]).run()
    assert callee.received("INVITE") == 1
    assert len(stage.server.calls(to=DIAL)) == before + 1


def test_answer_is_repeated_until_it_is_acknowledged(stage: Stage) -> None:
    with stage.play("callee_answers", stage.callee):
        caller = stage.call("caller_is_slow_to_acknowledge", DIAL).run()
    # RFC 3261 §13.3.1.4: after T1 and after twice that, so at least two of them in 1.7 s without ACK.
    assert caller.received("SIP/2.0 200") >= 4  # the first, two more, and the one for BYE


def test_fifty_calls_at_ten_a_second(stage: Stage) -> None:
    before = len(stage.server.calls(to=DIAL))
    with stage.play("callee_answers", stage.callee, calls=50):
        stage.call("caller_hangs_up", DIAL, calls=50, rate=10).run()
    calls = stage.server.calls(to=DIAL)
    assert len(calls) == before + 50
    assert {call["status"] for call in calls[:50]} == {"completed"}


@pytest.mark.long
def test_calls_survive_a_line_that_loses_messages(stage: Stage) -> None:
    """A tenth of what the callers send and are sent gets lost; whoever waits in vain repeats itself."""
    with stage.play("callee_answers", stage.callee, calls=30, seconds=40) as callee:
        stage.call("caller_hangs_up_by_a_bad_line", DIAL, calls=30, rate=15, seconds=40, options=["-lost", "10"]).run()
    assert callee.received("INVITE") == 30
