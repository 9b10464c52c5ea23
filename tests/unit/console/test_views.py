from datetime import timedelta

import pytest

from sidestream.calls.record import CallEvent, CallStatus
from sidestream.console.views import (
    Badge,
    call_badge,
    callback_view,
    duration,
    event_detail,
    siprec_view,
    without_secrets,
)
from sidestream.recording.siprec import SiprecStatus
from sidestream.webhooks.ports import Delivery, DeliveryState

from .conftest import BEGAN, Recordings, call_record, callback_of, siprec_of


@pytest.mark.parametrize(
    ("status", "tone"),
    [
        (CallStatus.QUEUED, "live"),
        (CallStatus.RINGING, "live"),
        (CallStatus.IN_PROGRESS, "live"),
        (CallStatus.COMPLETED, "good"),
        (CallStatus.FAILED, "bad"),
        (CallStatus.BUSY, "plain"),
    ],
)
def test_calls_show_their_status(status: CallStatus, tone: str) -> None:
    assert call_badge(call_record(status=status)) == Badge(status.value, tone)


@pytest.mark.parametrize(
    ("changes", "badge"),
    [
        ({}, Badge("starting", "live")),
        ({"accepted_at": BEGAN}, Badge("recording", "live")),
        ({"accepted_at": BEGAN, "status": SiprecStatus.STOPPED}, Badge("stopped", "good")),
        ({"status": SiprecStatus.STOPPED}, Badge("stopped", "plain")),
        ({"status": SiprecStatus.STOPPED, "error_code": 32011}, Badge("error 32011", "bad")),
    ],
)
def test_siprecs_show_their_state(changes: dict[str, object], badge: Badge) -> None:
    assert siprec_view(siprec_of(call_record(), **changes), None).badge == badge


def test_a_siprec_links_to_its_recording_and_names_its_packets() -> None:
    view = siprec_view(
        siprec_of(call_record(), sip_call_id="rs@sidestream", packets_sent={"outbound": 2, "inbound": 1}), Recordings()
    )
    assert view.recording == "/recordings/RE1"
    assert view.packets == (("inbound", 1), ("outbound", 2))
    assert view.title == "Without a name"
    assert siprec_view(siprec_of(call_record(), name="n"), Recordings()).recording is None
    assert siprec_view(siprec_of(call_record(), name="n"), Recordings()).title == "n"


@pytest.mark.parametrize(
    ("delivery", "badge"),
    [
        (None, Badge("pending", "live")),
        (Delivery(DeliveryState.PENDING, BEGAN, 0), Badge("pending", "live")),
        (Delivery(DeliveryState.DELIVERED, BEGAN, 1, status_code=204), Badge("204", "good")),
        (Delivery(DeliveryState.DELIVERED, BEGAN, 1, status_code=500), Badge("500", "bad")),
        (Delivery(DeliveryState.DELIVERED, BEGAN, 1), Badge("delivered", "good")),
        (Delivery(DeliveryState.FAILED, BEGAN, 2, error_code=11205), Badge("failed, 11205", "bad")),
        (Delivery(DeliveryState.FAILED, BEGAN, 2), Badge("failed", "bad")),
    ],
)
def test_callbacks_show_how_their_delivery_ended(delivery: Delivery | None, badge: Badge) -> None:
    view = callback_view(callback_of(call_record()), delivery)
    assert view.badge == badge
    assert view.attempts == (0 if delivery is None else delivery.attempts)


def test_callbacks_are_named_by_their_event() -> None:
    call = call_record()
    assert (
        callback_view(callback_of(call, SiprecEvent="siprec-started", CallStatus="x"), None).event == "siprec-started"
    )
    assert callback_view(callback_of(call, CallStatus="ringing"), None).event == "ringing"
    assert callback_view(callback_of(call), None).event == "siprec"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@app.example:8443/cb?key=1#rc=2", "https://app.example:8443/cb?…"),
        ("GET http://a.example/x failed", "GET http://a.example/x failed"),
        ("two: http://a@b/ and https://c@d/?e", "two: http://b/ and https://d/?…"),
        ("broken http://[::1 here", "broken … here"),
        ("sip:ada@example.com", "sip:ada@example.com"),
    ],
)
def test_urls_are_cut_to_the_place_they_name(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_details_that_say_nothing_are_left_out() -> None:
    event = CallEvent("CA1", BEGAN, "k", {"a": 1, "b": None, "c": "", "d": 0, "e": "http://u:p@h/"})
    assert event_detail(event) == (("a", "1"), ("d", "0"), ("e", "http://h/"))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0, "0:00"), (61, "1:01"), (timedelta(hours=2).seconds + 5, "2:00:05")]
)
def test_lengths(seconds: int | None, shown: str) -> None:
    assert duration(seconds) == shown
