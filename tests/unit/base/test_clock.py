from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidestream.base.clock import SystemClock, from_unix_ns, iso_micros, iso_seconds, rfc2822

MOMENT = datetime(2026, 3, 2, 10, 15, 4, 218733, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (iso_micros, "2026-03-02T09:15:04.218733Z"),
        (iso_seconds, "2026-03-02T09:15:04Z"),
        (rfc2822, "Mon, 02 Mar 2026 09:15:04 +0000"),
    ],
)
def test_times_are_written_in_utc(form, text):
    assert form(MOMENT) == text


def test_whole_seconds_keep_their_six_digits():
    assert iso_micros(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_engine_time_keeps_microseconds():
    assert from_unix_ns(1_772_442_904_218_733_999) == datetime(2026, 3, 2, 9, 15, 4, 218733, tzinfo=UTC)


def test_the_system_clock_is_aware_and_monotonic():
    clock = SystemClock()
    assert clock.wall().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()
