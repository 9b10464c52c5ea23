from datetime import UTC, datetime, timedelta

import pytest

from sidestream.calls.record import CallRecord, CallStatus, Direction

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def record(**fields):
    return CallRecord("CA1", "AC1", None, "to", "from", Direction.INBOUND, CallStatus.RINGING, START, START, **fields)


@pytest.mark.parametrize(
    ("fields", "duration"),
    [
        ({}, None),
        ({"start_time": START}, None),
        ({"end_time": START + timedelta(seconds=9)}, 0),
        ({"start_time": START, "end_time": START + timedelta(seconds=61.9)}, 61),
    ],
)
def test_the_duration_counts_from_the_answer(fields, duration):
    assert record(**fields).duration == duration


def test_which_statuses_are_final():
    assert {status for status in CallStatus if not status.is_final} == {
        CallStatus.QUEUED,
        CallStatus.RINGING,
        CallStatus.IN_PROGRESS,
    }
