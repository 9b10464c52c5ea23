"""SIPREC toward recording servers that SIPp plays."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sidestream.testing.comparison import compare
from sidestream.testing.g711 import decode
from sidestream.testing.speech import SAMPLE_RATE, read_channels

from .conftest import RECORD_OUT, RECORD_SPARE, Stage
from .sipp_process import SPEECH

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


def test_bundled_recording_server_keeps_what_sipp_spoke(stage: Stage, recorded_call: Callable[[], Path]) -> None:
    folder = recorded_call()
    sent = decode((stage.directory / SPEECH).read_bytes(), "PCMU")
    spoken, echoed = read_channels(folder / "recording.wav")
    for channel in (spoken, echoed):
        result = compare(channel, sent)
        assert result.whole, result
        assert result.compared > 2 * SAMPLE_RATE
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert [stream["lost"] for stream in manifest["streams"]] == [0, 0]
    assert manifest["problems"] == []
