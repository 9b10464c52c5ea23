"""The parameters that requests to the application carry, from plain values."""

from dataclasses import dataclass
from datetime import datetime

from sidestream.base.clock import iso_micros, rfc2822

API_VERSION = "2010-04-01"
_SECONDS_A_MINUTE = 60

Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CallParameters:
    """What every request about a call says of it. `from_` and `to` are E.164 numbers with + or SIP URIs.

    `status` is the CallStatus to report, `direction` one of inbound, outbound-api, outbound-dial.
    """

    call_sid: str
    account_sid: str
    from_: str
    to: str
    status: str
    direction: str
    forwarded_from: str | None = None
    caller_name: str | None = None
    parent_call_sid: str | None = None


@dataclass(frozen=True, slots=True)
class SipParameters:
    """What the INVITE of an incoming call adds: the domain it was sent to, its Call-ID, its sender's address.

    `headers` are the INVITE's X- headers and User-to-User, by name as received.
    """

    domain: str
    call_id: str
    source_ip: str
    headers: Parameters = ()


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """What a Dial's action request says of the dialled leg; `call_sid` is None when no leg was opened."""

    status: str  # completed, answered, busy, no-answer, failed or canceled
    call_sid: str | None = None
    duration_s: int | None = None
    bridged: bool = False
    sip_call_id: str | None = None
    sip_response_code: int | None = None


def standard_parameters(call: CallParameters) -> Parameters:
    """The standard call parameters; those that do not apply are left out."""
    return (
        ("CallSid", call.call_sid),
        ("AccountSid", call.account_sid),
        ("From", call.from_),
        ("To", call.to),
        ("CallStatus", call.status),
        ("ApiVersion", API_VERSION),
        ("Direction", call.direction),
        *_given(
            ("ForwardedFrom", call.forwarded_from),
            ("CallerName", call.caller_name),
            ("ParentCallSid", call.parent_call_sid),
        ),
    )


def voice_parameters(call: CallParameters, sip: SipParameters | None = None) -> Parameters:
    """Of a request for a TwiML document. `sip` is given for a call that came in by SIP."""
    parameters = (*standard_parameters(call), ("Called", call.to), ("Caller", call.from_))
    if sip is None:
        return parameters
    return (
        *parameters,
        ("SipDomain", sip.domain),
        ("SipCallId", sip.call_id),
        ("SipSourceIp", sip.source_ip),
        *((f"SipHeader_{name}", value) for name, value in sip.headers),
    )


def fallback_parameters(parameters: Parameters, error_code: int, error_url: str) -> Parameters:
    """`parameters` of the failed request as the fallback URL receives them."""
    return (*parameters, ("ErrorCode", str(error_code)), ("ErrorUrl", error_url))


def dial_parameters(call: CallParameters, outcome: DialOutcome) -> Parameters:
    """Of the request to a Dial's action URL."""
    return (
        *voice_parameters(call),
        ("DialCallStatus", outcome.status),
        *_given(
            ("DialCallSid", outcome.call_sid),
            ("DialCallDuration", outcome.duration_s),
            ("DialBridged", "true" if outcome.bridged else "false"),
            ("DialSipCallId", outcome.sip_call_id),
            ("DialSipResponseCode", outcome.sip_response_code),
        ),
    )


def call_progress_parameters(
    call: CallParameters,
    *,
    at: datetime,
    sequence: int,
    duration_s: int | None = None,
    sip_response_code: int | None = None,
) -> Parameters:
    """Of a call progress callback. `sequence` counts from 0 for each call; `duration_s` is given once it has ended.

    `call.status` is what the event reports: initiated, ringing, in-progress or a final status.
    """
    minutes = None if duration_s is None else -(-duration_s // _SECONDS_A_MINUTE)
    return (
        *standard_parameters(call),
        ("Called", call.to),
        ("Caller", call.from_),
        ("Timestamp", rfc2822(at)),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", str(sequence)),
        *_given(
            ("CallDuration", duration_s),
            ("Duration", minutes),
            ("SipResponseCode", sip_response_code),
        ),
    )


def siprec_parameters(
    call: CallParameters,
    *,
    siprec_sid: str,
    name: str | None,
    event: str,
    at: datetime,
    sequence: int,
    error: str | None = None,
    error_code: int | None = None,
) -> Parameters:
    """Of a Siprec status callback. `event` is siprec-started, siprec-stopped or siprec-error.

    SiprecName is left out of one without a name, SiprecError and SiprecErrorCode unless given.
    """
    return (
        *standard_parameters(call),
        ("SiprecSid", siprec_sid),
        *_given(("SiprecName", name)),
        ("SiprecEvent", event),
        ("Timestamp", iso_micros(at)),
        ("SequenceNumber", str(sequence)),
        *_given(("SiprecError", error), ("SiprecErrorCode", error_code)),
    )


def _given(*parameters: tuple[str, str | int | None]) -> Parameters:
    return tuple((name, str(value)) for name, value in parameters if value is not None)
