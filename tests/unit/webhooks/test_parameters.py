from datetime import UTC, datetime

import pytest

from sidestream.webhooks.parameters import (
    CallParameters,
    DialOutcome,
    SipParameters,
    call_progress_parameters,
    dial_parameters,
    fallback_parameters,
    siprec_parameters,
    standard_parameters,
    voice_parameters,
)

CALL = CallParameters("CA1", "AC1", "+15551230001", "+15551230002", "ringing", "inbound")
STANDARD = (
    ("CallSid", "CA1"),
    ("AccountSid", "AC1"),
    ("From", "+15551230001"),
    ("To", "+15551230002"),
    ("CallStatus", "ringing"),
    ("ApiVersion", "2010-04-01"),
    ("Direction", "inbound"),
)
BOTH_ENDS = (("Called", "+15551230002"), ("Caller", "+15551230001"))
MOMENT = datetime(2025, 1, 9, 12, 34, 56, 123456, tzinfo=UTC)


def test_standard_parameters() -> None:
    assert standard_parameters(CALL) == STANDARD
    full = CallParameters("CA1", "AC1", "+15551230001", "+15551230002", "ringing", "inbound", "+3", "Alice", "CA0")
    assert standard_parameters(full) == (
        *STANDARD,
        ("ForwardedFrom", "+3"),
        ("CallerName", "Alice"),
        ("ParentCallSid", "CA0"),
    )


def test_voice_parameters() -> None:
    assert voice_parameters(CALL) == (*STANDARD, *BOTH_ENDS)
    sip = SipParameters("sip.example", "abc@host", "192.0.2.1", (("X-Team", "blue"), ("User-to-User", "00")))
    assert voice_parameters(CALL, sip) == (
        *STANDARD,
        *BOTH_ENDS,
        ("SipDomain", "sip.example"),
        ("SipCallId", "abc@host"),
        ("SipSourceIp", "192.0.2.1"),
        ("SipHeader_X-Team", "blue"),
        ("SipHeader_User-to-User", "00"),
    )


def test_the_fallback_url_is_told_what_failed() -> None:
    assert fallback_parameters(STANDARD, 11202, "https://app.example/voice") == (
        *STANDARD,
        ("ErrorCode", "11202"),
        ("ErrorUrl", "https://app.example/voice"),
    )


def test_the_outcome_of_a_dial() -> None:
    assert dial_parameters(CALL, DialOutcome("failed"))[len(STANDARD) + 2 :] == (
        ("DialCallStatus", "failed"),
        ("DialBridged", "false"),
    )
    assert dial_parameters(CALL, DialOutcome("completed", "CA2", 0, True, "x@y", 200))[len(STANDARD) + 2 :] == (
        ("DialCallStatus", "completed"),
        ("DialCallSid", "CA2"),
        ("DialCallDuration", "0"),
        ("DialBridged", "true"),
        ("DialSipCallId", "x@y"),
        ("DialSipResponseCode", "200"),
    )


def test_call_progress() -> None:
    assert call_progress_parameters(CALL, at=MOMENT, sequence=0) == (
        *STANDARD,
        *BOTH_ENDS,
        ("Timestamp", "Thu, 09 Jan 2025 12:34:56 +0000"),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", "0"),
    )


@pytest.mark.parametrize(("seconds", "minutes"), [(0, "0"), (1, "1"), (60, "1"), (61, "2")])
def test_a_call_that_ended_has_its_duration_in_seconds_and_begun_minutes(seconds: int, minutes: str) -> None:
    parameters = call_progress_parameters(CALL, at=MOMENT, sequence=3, duration_s=seconds, sip_response_code=200)
    assert parameters[-3:] == (
        ("CallDuration", str(seconds)),
        ("Duration", minutes),
        ("SipResponseCode", "200"),
    )


def test_siprec_events() -> None:
    started = siprec_parameters(CALL, siprec_sid="SR1", name="first", event="siprec-started", at=MOMENT, sequence=0)
    assert started == (
        *STANDARD,
        ("SiprecSid", "SR1"),
        ("SiprecName", "first"),
        ("SiprecEvent", "siprec-started"),
        ("Timestamp", "2025-01-09T12:34:56.123456Z"),
        ("SequenceNumber", "0"),
    )


def test_a_siprec_error_without_a_name() -> None:
    failed = dict(
        siprec_parameters(
            CALL,
            siprec_sid="SR1",
            name=None,
            event="siprec-error",
            at=MOMENT,
            sequence=1,
            error="No answer",
            error_code=32011,
        )
    )
    assert "SiprecName" not in failed
    assert failed["SiprecError"] == "No answer"
    assert failed["SiprecErrorCode"] == "32011"
