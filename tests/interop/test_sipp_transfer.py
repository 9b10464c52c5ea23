"""Transfers and redirections, played by SIPp."""

import pytest

from .conftest import DIAL, DIAL_CARRIER, Stage
from .server_process import HOST

pytestmark = pytest.mark.interop


def at_carrier(stage: Stage, key: str) -> list[tuple[str, str]]:
    """A keyword of a scenario that stands for the carrier's address."""
    return [(key, f"{HOST}:{stage.carrier}")]


def test_callee_transfers_the_caller(stage: Stage) -> None:
    with (
        stage.play("callee_is_transferred_to", stage.carrier),
        stage.play("callee_transfers", stage.callee, values=at_carrier(stage, "carol")),
    ):
        stage.call("caller_is_sent_on", DIAL).run()


def test_caller_transfers_the_callee(stage: Stage) -> None:
    with (
        stage.play("callee_is_transferred_to", stage.carrier),
        stage.play("callee_is_sent_on_and_hangs_up", stage.callee),
    ):
        stage.call("caller_transfers", DIAL, values=at_carrier(stage, "carol")).run()


def test_transfer_to_somebody_busy_changes_nothing(stage: Stage) -> None:
    with (
        stage.play("callee_is_busy", stage.carrier),
        stage.play("callee_transfers_in_vain", stage.callee, values=at_carrier(stage, "carol")),
    ):
        stage.call("caller_hangs_up_later", DIAL).run()


def test_call_goes_on_at_another_phone(stage: Stage) -> None:
    with stage.play("callee_is_sent_on", stage.callee):
        stage.call("caller_replaces_its_own_call", DIAL).run()


def test_redirection_is_not_followed_where_nobody_asked_for_that(stage: Stage) -> None:
    with stage.play("callee_has_moved", stage.callee, values=at_carrier(stage, "moved_to")):
        stage.call("caller_hears_of_a_failure", DIAL).run()


def test_redirection_by_a_trunk_is_followed(stage: Stage) -> None:
    moved = [("moved_to", f"{HOST}:{stage.callee}")]
    with (
        stage.play("callee_has_moved", stage.carrier, values=moved),
        stage.play("callee_answers", stage.callee),
    ):
        stage.call("caller_hangs_up", DIAL_CARRIER).run()
