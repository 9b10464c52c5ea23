from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidestream.storage.times import from_micros, to_micros


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(2025, 1, 9, 12, 34, 56, 123456, tzinfo=UTC), 1736426096123456),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 253402300799999999),
        (None, None),
    ],
)
def test_a_moment_is_whole_microseconds_and_back(moment: datetime | None, micros: int | None) -> None:
    assert to_micros(moment) == micros
    assert from_micros(micros) == moment


def test_a_zone_is_turned_into_utc() -> None:
    moment = datetime(2025, 1, 9, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert from_micros(to_micros(moment)).isoformat() == "2025-01-09T12:00:00+00:00"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        to_micros(datetime(2025, 1, 9))
