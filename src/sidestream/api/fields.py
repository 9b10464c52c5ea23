"""Form fields as typed values; each function raises `Refusal` with the field's name and the code that is its own."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from sidestream.api.answers import bad_parameter
from sidestream.api.forms import Form
from sidestream.calls.refusal import Refusal

URL_LIMIT = 4000  # characters
INVALID_URL = 21205
INVALID_METHOD = 21209
PARAMETER_COUNT = 99  # Parameter1 … Parameter99
METHODS = ("GET", "POST")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CONTROL_OR_BLANK = re.compile(r"[\x00-\x20\x7f]")


def url(form: Form, name: str) -> str | None:
    """An absolute http or https URL; None if absent."""
    value = form.text(name)
    if value is None:
        return None
    if len(value) > URL_LIMIT:
        raise Refusal(400, INVALID_URL, f"{name} is longer than {URL_LIMIT} characters")
    if not _is_absolute_http(value):
        raise Refusal(400, INVALID_URL, f"{name} is not an absolute http or https URL: {value}")
    return value


def method(form: Form, name: str) -> str | None:
    """GET or POST in any case; None if absent."""
    value = form.text(name)
    if value is None:
        return None
    if value.upper() not in METHODS:
        raise Refusal(400, INVALID_METHOD, f"{name} must be GET or POST, not {value}")
    return value.upper()


def integer(form: Form, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`; None if absent."""
    value = form.text(name)
    if value is None:
        return None
    # The length keeps a hostile number from being converted at all.
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and low <= int(value) <= high):
        raise bad_parameter(f"{name} must be a whole number from {low} to {high}")
    return int(value)


def parameters(form: Form) -> tuple[tuple[str, str], ...]:
    """Parameter1.Name, Parameter1.Value … in the order of their numbers; a missing value is empty text."""
    found = []
    for number in range(1, PARAMETER_COUNT + 1):
        name, value = f"Parameter{number}.Name", f"Parameter{number}.Value"
        label = form.text(name)
        if label is not None:
            found.append((label, form.text(value) or ""))
        elif form.text(value) is not None:
            raise bad_parameter(f"{value} is given without {name}")
    return tuple(found)


def moments(form: Form, name: str) -> tuple[datetime | None, datetime | None]:
    """The filters `name`, `name<` and `name>` as (not after, not before); dates are midnight UTC.

    On the wire they read `StartTime=…`, `StartTime<=…` and `StartTime>=…`; `name` alone is that day or that second.
    """
    exact, not_after, not_before = form.text(name), form.text(f"{name}<"), form.text(f"{name}>")
    if exact is not None:
        start = _moment(exact, name)
        span = timedelta(days=1) if _DATE.fullmatch(exact) else timedelta(seconds=1)
        return start + span - timedelta(microseconds=1), start
    return (
        None if not_after is None else _moment(not_after, f"{name}<"),
        None if not_before is None else _moment(not_before, f"{name}>"),
    )


def _moment(value: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        # The neighbours of the first and last year cannot be computed with.
        if not 1900 <= moment.year <= 9000:
            raise ValueError(value)
    except (ValueError, OverflowError):
        raise bad_parameter(f"{name} must be a date (YYYY-MM-DD) or a time of ISO 8601, not {value}") from None
    return moment


def _is_absolute_http(value: str) -> bool:
    if _CONTROL_OR_BLANK.search(value):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
