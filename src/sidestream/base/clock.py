"""Time, as the only thing that shells read and cores are given."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_NAIVE_LENGTH = len("2025-01-09T12:34:56.123456")
RFC2822_FORMAT = "%a, %d %b %Y %H:%M:%S +0000"


class Clock(Protocol):
    """What a shell asks for the time. Cores never hold one: they are handed `now`."""

    def monotonic(self) -> float:
        """Seconds on an axis that never jumps; for deadlines."""
        ...

    def wall(self) -> datetime:
        """The current UTC time, timezone-aware; for what people read."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> datetime:
        return datetime.now(UTC)


def iso_micros(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`: 2025-01-09T12:34:56.123456Z (RFC 7865 §6.9)."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat("T", "microseconds")[:_NAIVE_LENGTH] + "Z"


def iso_seconds(moment: datetime) -> str:
    """RFC 3339 in UTC in whole seconds and `Z`: 2020-01-01T23:28:54Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc2822(moment: datetime) -> str:
    """RFC 2822 in UTC: Thu, 30 Jul 2015 20:00:00 +0000, the date of the 2010-04-01 API."""
    return moment.astimezone(UTC).strftime(RFC2822_FORMAT)


def from_unix_ns(nanoseconds: int) -> datetime:
    """A wall-clock time of the media engine (ns since 1970) as UTC; truncated to microseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
