"""Reliable progress, UPDATE, session timers, forks and what crosses on the way, played by SIPp."""

import pytest

from .conftest import DIAL, Stage

pytestmark = pytest.mark.interop


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("caller_requires_prack", "callee_answers"),
        ("caller_hangs_up", "callee_requires_prack"),
        ("caller_requires_prack", "callee_requires_prack"),
        ("caller_hears_early_media", "callee_plays_early_media_reliably"),
        ("caller_acknowledges_early_media", "callee_plays_early_media"),
        ("caller_updates_before_the_answer", "callee_plays_early_media"),
        ("caller_holds_by_update", "callee_is_held"),
        ("caller_agrees_on_a_session_timer", "callee_answers"),
        ("caller_hangs_up", "callee_wants_a_longer_session"),
        ("caller_hears_early_media", "callee_is_two"),
        ("caller_holds_and_resumes", "callee_meets_an_offer_with_its_own"),
        ("caller_crosses_an_offer", "callee_holds_and_resumes"),
        ("caller_asks_for_an_offer", "callee_answers"),
        ("caller_cancels_too_late", "callee_answers"),
        ("caller_hangs_up", "callee_hangs_up_at_the_same_time"),
        ("caller_hears_why_it_ends", "callee_says_why_it_ends"),
        ("caller_says_why_it_cancels", "callee_hears_why_it_is_cancelled"),
        ("caller_hangs_up", "callee_has_forgotten_the_call"),
        ("caller_is_brief", "callee_answers"),
        ("caller_asks_in_the_call", "callee_answers"),
        ("caller_is_merged", "callee_rings_until_cancelled"),
    ],
)
def test_call(stage: Stage, caller: str, callee: str) -> None:
    with stage.play(callee, stage.callee):
        stage.call(caller, DIAL).run()


def test_reliable_progress_is_repeated_until_its_prack(stage: Stage) -> None:
    with stage.play("callee_rings_until_cancelled", stage.callee):
        caller = stage.call("caller_is_slow_to_prack", DIAL).run()
    # RFC 3262 §3: after T1 and after twice that, so at least two copies in 1.7 s.
    assert caller.received("SIP/2.0 180") >= 3
