"""What REST, console and TwiML may ask of a call, as typed values. Values are raw text where a check needs the call."""

from dataclasses import dataclass

from sidestream.calls.record import CallStatus

TWIML_INLINE_LIMIT = 4000  # characters; the limit Twilio documents for inline TwiML (error 32018)


@dataclass(frozen=True, slots=True)
class Instructions:
    """Where a call's TwiML comes from: `url` wins over `twiml` (warning 32019). `digits` are dialled before it runs."""

    url: str | None = None
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    twiml: str | None = None
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class CreateCall:
    """`POST Calls.json`. `timeout` and `time_limit` in seconds."""

    to: str
    from_: str
    instructions: Instructions
    caller_id: str | None = None
    timeout: int = 60
    time_limit: int | None = None
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
    sip_auth_username: str | None = None
    sip_auth_password: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateCall:
    """`POST Calls/{Sid}.json`: end the call (`status` completed or canceled) or give it new instructions."""

    status: CallStatus | None = None
    instructions: Instructions | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    time_limit: int | None = None


@dataclass(frozen=True, slots=True)
class StartSiprec:
    """`POST Siprec.json` or `<Start><Siprec>`. Everything optional; `track` and method are checked by the call.

    `connector_name` None means the connector `Default`; `track` None both tracks; the method None POST.
    """

    name: str | None = None
    connector_name: str | None = None
    track: str | None = None
    status_callback: str | None = None
    status_callback_method: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
