"""Calls and Siprecs as JSON: exactly the documented keys, since strict clients refuse others."""

import re
from datetime import datetime
from typing import Any

from sidestream.base.clock import rfc2822
from sidestream.calls.record import CallRecord
from sidestream.recording.siprec import Siprec

API_VERSION = "2010-04-01"
_NORTH_AMERICAN = re.compile(r"\+1(\d{3})(\d{3})(\d{4})")
_CALL_SUBRESOURCES = {
    "notifications": "Notifications.json",
    "recordings": "Recordings.json",
    "payments": "Payments.json",
    "events": "Events.json",
    "siprec": "Siprec.json",
    "streams": "Streams.json",
    "transcriptions": "Transcriptions.json",
    "user_defined_message_subscriptions": "UserDefinedMessageSubscriptions.json",
    "user_defined_messages": "UserDefinedMessages.json",
}


def calls_path(account_sid: str) -> str:
    return f"/{API_VERSION}/Accounts/{account_sid}/Calls.json"


def siprecs_path(account_sid: str, call_sid: str) -> str:
    return f"/{API_VERSION}/Accounts/{account_sid}/Calls/{call_sid}/Siprec.json"


def call_shape(call: CallRecord) -> dict[str, Any]:
    """The Call resource. What this platform does not know (price, answered_by, queue_time …) is null."""
    base = f"/{API_VERSION}/Accounts/{call.account_sid}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "date_created": rfc2822(call.date_created),
        "date_updated": rfc2822(call.date_updated),
        "parent_call_sid": call.parent_call_sid,
        "account_sid": call.account_sid,
        "to": call.to,
        "to_formatted": formatted(call.to),
        "from": call.from_,
        "from_formatted": formatted(call.from_),
        "phone_number_sid": None,
        "status": call.status.value,
        "start_time": _date(call.start_time),
        "end_time": _date(call.end_time),
        "duration": None if call.duration is None else str(call.duration),
        "price": None,
        "price_unit": None,
        "direction": call.direction.value,
        "answered_by": None,
        "api_version": API_VERSION,
        "forwarded_from": call.forwarded_from,
        "group_sid": None,
        "caller_name": call.caller_name,
        "queue_time": None,
        "trunk_sid": None,
        "uri": f"{base}.json",
        "subresource_uris": {name: f"{base}/{file}" for name, file in _CALL_SUBRESOURCES.items()},
    }


def siprec_shape(siprec: Siprec) -> dict[str, Any]:
    """The Siprec resource: seven keys; the uri names the SID also after a stop by name."""
    return {
        "sid": siprec.sid,
        "account_sid": siprec.account_sid,
        "call_sid": siprec.call_sid,
        "name": siprec.name,
        "status": siprec.status.value,
        "date_updated": rfc2822(siprec.date_updated),
        "uri": f"/{API_VERSION}/Accounts/{siprec.account_sid}/Calls/{siprec.call_sid}/Siprec/{siprec.sid}.json",
    }


def formatted(address: str) -> str:
    """A number of the North American plan as people write it: (415) 555-0142; any other address as it is."""
    match = _NORTH_AMERICAN.fullmatch(address)
    return address if match is None else f"({match[1]}) {match[2]}-{match[3]}"


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else rfc2822(moment)
