"""To and From of a call: phone numbers and SIP URIs."""

import re

from sidestream.api.forms import Form
from sidestream.calls.refusal import Refusal
from sidestream.sip.errors import MessageError
from sidestream.sip.uri import Uri

TO_REQUIRED = 21201
TO_INVALID = 21211
FROM_INVALID = 21212
FROM_REQUIRED = 21213
URI_LIMIT = 255  # characters; the limit documented for SIP addresses

# Visual separators (RFC 3966 §3), which people type and no network wants.
_SEPARATORS = str.maketrans("", "", " -().")
_NUMBER = re.compile(r"\+?[0-9]{2,20}")  # E.164 has 15 digits; extensions and national forms may have more or no plus


def destination(form: Form) -> str:
    """To, as number or SIP URI; raises `Refusal`."""
    value = form.text("To")
    if value is None:
        raise Refusal(400, TO_REQUIRED, "To is required")
    address = _address(value)
    if address is None:
        raise Refusal(400, TO_INVALID, f"To is neither a phone number nor a SIP URI: {value}")
    return address


def caller(form: Form) -> str:
    """From, as number or SIP URI; raises `Refusal`."""
    value = form.text("From")
    if value is None:
        raise Refusal(400, FROM_REQUIRED, "From is required")
    address = _address(value)
    if address is None:
        raise Refusal(400, FROM_INVALID, f"From is neither a phone number nor a SIP URI: {value}")
    return address


def _address(value: str) -> str | None:
    value = value.strip()
    if value.lower().startswith(("sip:", "sips:")):
        return value if len(value) <= URI_LIMIT and _is_uri(value) else None
    number = value.translate(_SEPARATORS)
    return number if _NUMBER.fullmatch(number) else None


def _is_uri(value: str) -> bool:
    try:
        Uri.parse(value)
    except MessageError:
        return False
    return True
