"""Reports become alerts and log lines."""

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from sidestream.base.ids import Ids
from sidestream.base.logs import configure_logs
from sidestream.debugger.alert import Alert, AlertStore, Level
from sidestream.debugger.catalog import UnknownCode
from sidestream.debugger.debugger import BURST_LIMIT, BURST_WINDOW_S, Debugger

CALL = "CA" + "0123456789abcdef" * 2
SIPREC = "SR" + "0123456789abcdef" * 2


class ListStore:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def add(self, alert: Alert) -> None:
        self.alerts.append(alert)


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)


@pytest.fixture
def store() -> ListStore:
    return ListStore()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def debugger(store: ListStore, clock: HandClock) -> Debugger:
    return Debugger(cast(AlertStore, store), Ids(random.Random(1)), clock)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    yield stream
    configure_logs()


def test_a_report_is_stored_whole(debugger: Debugger, store: ListStore, clock: HandClock) -> None:
    alert = debugger.report(
        31940,
        account_sid="AC1",
        resource_sid=SIPREC,
        call_sid=CALL,
        text="No connector +15551234567",
        request_method="POST",
        request_url="https://a.example/cb",
        details={"status": "404"},
    )
    assert store.alerts == [alert]
    assert alert.sid.startswith("NO")
    assert alert == Alert(
        sid=alert.sid,
        account_sid="AC1",
        resource_sid=SIPREC,
        code=31940,
        level=Level.ERROR,
        text="No connector +15551234567",
        at=clock.wall(),
        call_sid=CALL,
        request_method="POST",
        request_url="https://a.example/cb",
        details={"status": "404"},
    )


def test_the_resource_is_the_call_unless_given(debugger: Debugger) -> None:
    assert debugger.report(12200, account_sid="AC1", call_sid=CALL, text="x").resource_sid == CALL
    assert debugger.report(12200, account_sid="AC1", text="x").resource_sid is None


def test_the_log_line_is_redacted_and_names_the_call(debugger: Debugger, log: io.StringIO) -> None:
    debugger.report(32011, account_sid="AC1", call_sid=CALL, resource_sid=SIPREC, text="sip:bob@192.0.2.7 is silent")
    line = log.getvalue()
    assert "! sip:…@192.0.x.x is silent" in line
    assert CALL in line
    assert SIPREC in line
    assert "32011" in line
    assert "warning" in line
    assert "bob" not in line


def test_errors_are_logged_as_errors(debugger: Debugger, log: io.StringIO) -> None:
    debugger.report(31940, account_sid="AC1", text="x")
    assert "error" in log.getvalue()


def test_a_code_outside_the_catalogue_is_refused(debugger: Debugger, store: ListStore) -> None:
    with pytest.raises(UnknownCode):
        debugger.report(1, account_sid="AC1", text="x")
    assert store.alerts == []


def test_a_flood_reaches_the_store_only_up_to_a_bound(debugger: Debugger, store: ListStore, clock: HandClock) -> None:
    for _ in range(BURST_LIMIT + 5):
        debugger.report(12200, account_sid="AC1", text="x")
    assert len(store.alerts) == BURST_LIMIT
    assert debugger.dropped == 5
    clock.now += BURST_WINDOW_S
    debugger.report(12200, account_sid="AC1", text="x")
    assert len(store.alerts) == BURST_LIMIT + 1
    assert debugger.dropped == 5
