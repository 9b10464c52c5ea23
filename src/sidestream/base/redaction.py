"""Personal data on its way to a log."""

import re

# Where none of this is, nothing below can match; most values are words and SIDs.
_SUSPECT = re.compile(r"(?i)sips?:|tel:|\d{7}|\d\.\d")
_KEEP = 4  # last characters of a phone number that stay readable, enough to match a complaint to a log line
_SIP_USER = re.compile(r"(?i)\b(sips?|tel):([^@;>\s]+)")
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])\+?\d{7,}(?![0-9A-Za-z])")  # not the digits inside a SID
_IPV4 = re.compile(r"\b(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}\b")


class Redacted:
    """A value whose text shows only what is fit for a log; `reveal` gives the value itself."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def reveal(self) -> object:
        return self._value

    def __str__(self) -> str:
        return redact(str(self._value))

    __repr__ = __str__


def is_suspect(text: str) -> bool:
    """Whether there may be something to redact in `text`; False only if there is nothing."""
    return _SUSPECT.search(text) is not None


def redact(text: str) -> str:
    """`text` without SIP users, phone numbers and host parts of addresses; loopback addresses stay."""
    if _SUSPECT.search(text) is None:
        return text
    text = _SIP_USER.sub(lambda m: f"{m[1]}:{_mask(m[2])}", text)
    text = _LONG_NUMBER.sub(lambda m: _mask(m[0]), text)
    return _IPV4.sub(lambda m: m[0] if m[1] == "127" else f"{m[1]}.{m[2]}.x.x", text)


def _mask(value: str) -> str:
    if value.lstrip("+").isdigit() and len(value) > 2 * _KEEP:
        return "…" + value[-_KEEP:]
    return "…"
