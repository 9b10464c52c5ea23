"""The text of an attribute as a value of its kind."""

import re

from sidestream.twiml.schema import Attribute, Kind

Value = str | int | bool | tuple[str, ...] | None

DIGITS_LIMIT = 32  # what Twilio documents for digits to send

_INTEGER = re.compile(r"[0-9]{1,9}")
_DIGITS = re.compile(rf"[0-9*#A-Da-dwW]{{1,{DIGITS_LIMIT}}}")
_BOOLEANS = {"true": True, "false": False}


class BadValue(Exception):
    """A value that does not fit its attribute; `expected` says what would."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected

    def __str__(self) -> str:
        return f"expected {self.expected}"


def read_value(attribute: Attribute, text: str) -> Value:
    """The value that `text` gives to the attribute. Raises BadValue."""
    if attribute.kind is Kind.TEXT:
        return text
    text = text.strip()
    match attribute.kind:
        case Kind.METHOD:
            return _choice(text.upper(), ("GET", "POST"))
        case Kind.INTEGER:
            if not _INTEGER.fullmatch(text) or not attribute.low <= int(text) <= attribute.high:
                raise BadValue(f"a whole number from {attribute.low} to {attribute.high}")
            return int(text)
        case Kind.BOOLEAN:
            return _BOOLEANS[_choice(text.lower(), tuple(_BOOLEANS))]
        case Kind.CHOICE:
            return _choice(text, attribute.choices)
        case Kind.CHOICES:
            words = tuple(dict.fromkeys(text.split()))
            if not words or any(word not in attribute.choices for word in words):
                raise BadValue("some of " + ", ".join(attribute.choices))
            return words
        case Kind.DIGITS:
            if not _DIGITS.fullmatch(text):
                raise BadValue(f"1 to {DIGITS_LIMIT} of 0-9, *, #, A-D, w and W")
        case _:
            assert attribute.kind is Kind.URL
    return text


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise BadValue(" or ".join(choices))
    return text
