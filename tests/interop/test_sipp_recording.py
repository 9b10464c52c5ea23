"""SIPREC toward recording servers that SIPp plays."""

import pytest

from .conftest import RECORD_OUT, RECORD_SPARE, Stage

pytestmark = pytest.mark.interop


def test_recording_server_gets_what_the_standard_demands(stage: Stage) -> None:
    with stage.play("srs_records", stage.srs, transport="tcp"), stage.play("callee_answers", stage.callee):
        stage.call("caller_hangs_up", RECORD_OUT).run()


def test_recording_server_hears_of_hold(stage: Stage) -> None:
    with stage.play("srs_is_told_of_hold", stage.srs, transport="tcp"), stage.play("callee_is_held", stage.callee):
        stage.call("caller_holds_and_resumes", RECORD_OUT).run()


def test_busy_recording_server_is_replaced_by_the_next(stage: Stage) -> None:
    with (
        stage.play("srs_is_busy", stage.srs, transport="tcp"),
        stage.play("srs_records", stage.spare_srs, transport="tcp"),
        stage.play("callee_answers", stage.callee),
    ):
        stage.call("caller_hangs_up", RECORD_SPARE).run()


def test_absent_recording_server_is_replaced_by_the_next(stage: Stage) -> None:
    with (
        stage.play("srs_records", stage.spare_srs, transport="tcp"),
        stage.play("callee_answers", stage.callee),
    ):
        stage.call("caller_hangs_up", RECORD_SPARE).run()


def test_call_lives_without_any_recording_server(stage: Stage) -> None:
    with stage.play("callee_answers", stage.callee):
        stage.call("caller_hangs_up", RECORD_OUT).run()
    call = stage.server.calls(to=RECORD_OUT)[0]
    (siprec,) = stage.server.get(f"/sidestream/v1/Calls/{call['sid']}")["siprecs"]
    assert (call["status"], siprec["status"]) == ("completed", "stopped")
    assert siprec["error_code"] is not None
