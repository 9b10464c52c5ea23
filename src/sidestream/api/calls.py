"""The Call resource: place, list, read, redirect, end, delete."""

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import Response

from sidestream.api import answers, fields, pages
from sidestream.api.addresses import caller, destination
from sidestream.api.answers import bad_parameter
from sidestream.api.fields import INVALID_URL
from sidestream.api.forms import Form
from sidestream.api.inquiry import Inquiry
from sidestream.api.shapes import call_shape, calls_path
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import TWIML_INLINE_LIMIT, CreateCall, Instructions, UpdateCall

if TYPE_CHECKING:
    from sidestream.calls.front import CallFront

LIST_KEY = "calls"
TIMEOUT_DEFAULT = 60  # seconds
TIMEOUT_LIMIT = 600  # seconds
TIME_LIMIT_MAXIMUM = 86_400  # seconds; a call lasts a day at most
SEND_DIGITS_LIMIT = 32  # characters
TWIML_TOO_LONG = 32018
INVALID_APPLICATION = 21218
INVALID_SEND_DIGITS = 21206
_EVENTS = ("initiated", "ringing", "answered", "completed")
_DIGITS = frozenset("0123456789*#wWABCDabcd")


class CallsResource:
    def __init__(self, front: "CallFront") -> None:
        self._front = front

    async def create(self, inquiry: Inquiry) -> Response:
        call = await self._front.create_call(inquiry.account, create_call(await inquiry.form()))
        return answers.resource(call_shape(call), status=201)

    async def list(self, inquiry: Inquiry) -> Response:
        query = inquiry.query()
        wanted = pages.page_request(query)
        found = await self._front.list_calls(inquiry.account, call_filter(query), wanted.offset, wanted.limit)
        path = calls_path(inquiry.account.sid)
        return answers.resource(pages.page(LIST_KEY, path, wanted, [call_shape(call) for call in found]))

    async def fetch(self, inquiry: Inquiry) -> Response:
        return answers.resource(call_shape(await self._front.fetch_call(inquiry.account, inquiry.call_sid)))

    async def update(self, inquiry: Inquiry) -> Response:
        """Give a live call new instructions, or end it."""
        await self._front.fetch_call(inquiry.account, inquiry.call_sid)
        wanted = update_call(await inquiry.form())
        return answers.resource(call_shape(await self._front.update_call(inquiry.account, inquiry.call_sid, wanted)))

    async def delete(self, inquiry: Inquiry) -> Response:
        await self._front.delete_call(inquiry.account, inquiry.call_sid)
        return answers.deleted()


def create_call(form: Form) -> CreateCall:
    """The create form; raises `Refusal` for the first field that is wrong, in the order of the documentation."""
    to, from_ = destination(form), caller(form)
    instructions = _instructions(form)
    if instructions is None:
        if form.text("ApplicationSid") is not None:
            raise Refusal(400, INVALID_APPLICATION, "ApplicationSid names no application of this account")
        raise Refusal(400, INVALID_URL, "Url or Twiml is required")
    return CreateCall(
        to=to,
        from_=from_,
        instructions=replace(instructions, digits=_send_digits(form)),
        caller_id=form.text("CallerId"),
        timeout=fields.integer(form, "Timeout", 1, TIMEOUT_LIMIT) or TIMEOUT_DEFAULT,
        time_limit=fields.integer(form, "TimeLimit", 1, TIME_LIMIT_MAXIMUM),
        status_callback=fields.url(form, "StatusCallback"),
        status_callback_method=fields.method(form, "StatusCallbackMethod") or "POST",
        status_callback_events=_events(form),
        sip_auth_username=form.text("SipAuthUsername"),
        sip_auth_password=form.text("SipAuthPassword"),
    )


def update_call(form: Form) -> UpdateCall:
    """The update form; nothing is required. Raises `Refusal`."""
    status = form.text("Status")
    if status is not None and status not in (CallStatus.COMPLETED, CallStatus.CANCELED):
        raise bad_parameter(f"Status must be completed or canceled, not {status}")
    return UpdateCall(
        status=None if status is None else CallStatus(status),
        instructions=_instructions(form),
        status_callback=fields.url(form, "StatusCallback"),
        status_callback_method=fields.method(form, "StatusCallbackMethod"),
        time_limit=fields.integer(form, "TimeLimit", 1, TIME_LIMIT_MAXIMUM),
    )


def call_filter(query: Form) -> CallFilter:
    status = query.text("Status")
    if status is not None and status not in [known.value for known in CallStatus]:
        raise bad_parameter(f"Status must be one of {', '.join(CallStatus)}, not {status}")
    started_before, started_after = fields.moments(query, "StartTime")
    ended_before, ended_after = fields.moments(query, "EndTime")
    return CallFilter(
        to=query.text("To"),
        from_=query.text("From"),
        parent_call_sid=query.text("ParentCallSid"),
        status=None if status is None else CallStatus(status),
        started_before=started_before,
        started_after=started_after,
        ended_before=ended_before,
        ended_after=ended_after,
    )


def _instructions(form: Form) -> Instructions | None:
    """Url and Twiml with what belongs to them, None if neither is given; of both the call takes Url, with a warning."""
    location, twiml = fields.url(form, "Url"), form.text("Twiml")
    method, fallback_method = fields.method(form, "Method"), fields.method(form, "FallbackMethod")
    fallback_url = fields.url(form, "FallbackUrl")
    if location is None and twiml is None:
        return None
    if location is None and twiml is not None and len(twiml) > TWIML_INLINE_LIMIT:
        raise Refusal(400, TWIML_TOO_LONG, f"Twiml is longer than {TWIML_INLINE_LIMIT} characters")
    instructions = Instructions(url=location, fallback_url=fallback_url, twiml=twiml)
    if method is not None:
        instructions = replace(instructions, method=method)
    if fallback_method is not None:
        instructions = replace(instructions, fallback_method=fallback_method)
    return instructions


def _events(form: Form) -> tuple[str, ...]:
    """StatusCallbackEvent, repeated or blank-separated. Unknown events are left out, as the original does."""
    wanted = {event.lower() for value in form.all("StatusCallbackEvent") for event in value.split()}
    return tuple(event for event in _EVENTS if event in wanted) or ("completed",)


def _send_digits(form: Form) -> str | None:
    digits = form.text("SendDigits") or None
    if digits is not None and (len(digits) > SEND_DIGITS_LIMIT or not set(digits) <= _DIGITS):
        raise Refusal(
            400,
            INVALID_SEND_DIGITS,
            f"SendDigits must be at most {SEND_DIGITS_LIMIT} of the characters 0-9 A-D * # w W",
        )
    return digits
