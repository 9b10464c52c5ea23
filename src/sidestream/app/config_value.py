"""One value of the configuration, from TOML or from an environment variable, checked against its key."""

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from sidestream.app.config_schema import Key, Kind

Value = str | int | float | bool | Path | tuple[str, ...] | None

HOST_LIMIT = 253  # octets of a host name (RFC 1035 §2.3.4 less the root)

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class BadValue(Exception):
    """A value that its key cannot have."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


def read_value(key: Key, raw: object) -> Value:
    """The value that TOML's `raw` gives to the key. Raises BadValue, whose text never repeats a secret."""
    match key.kind:
        case Kind.BOOLEAN:
            if not isinstance(raw, bool):
                raise BadValue("must be true or false")
            return raw
        case Kind.INTEGER | Kind.NUMBER:
            return _number(key, raw)
        case Kind.TEXTS | Kind.CHOICES:
            items = [raw] if isinstance(raw, str) else raw
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise BadValue("must be a list of texts")
            if key.required and not items:
                raise BadValue("must not be empty")
            if key.kind is Kind.CHOICES:
                items = [_choice(item, key.choices) for item in items]
            return tuple(items)
    if not isinstance(raw, str):
        raise BadValue("must be a text in quotes")
    return _text(key, raw)


def from_environment(key: Key, text: str) -> object:
    """The text of an environment variable as TOML would have given it: lists have commas, booleans may be words."""
    match key.kind:
        case Kind.BOOLEAN:
            return _WORDS.get(text.strip().lower(), text)
        case Kind.INTEGER if re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
            return int(text)
        case Kind.NUMBER if re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", text.strip()):
            return float(text)
        case Kind.TEXTS | Kind.CHOICES:
            return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _number(key: Key, raw: object) -> int | float:
    whole = key.kind is Kind.INTEGER
    if isinstance(raw, bool) or not isinstance(raw, int if whole else int | float):
        raise BadValue(f"must be a {'whole ' if whole else ''}number")
    if not key.low <= raw <= key.high:
        raise BadValue(f"must be from {key.low:g} to {key.high:g}")
    return raw


def _text(key: Key, text: str) -> str | Path:
    if key.kind is Kind.CHOICE:
        return _choice(text, key.choices)
    if not text.strip() and (key.required or key.kind in (Kind.HOST, Kind.ADDRESS, Kind.URL, Kind.PATH)):
        raise BadValue("must not be empty")
    if key.kind is Kind.ADDRESS or (key.kind is Kind.HOST and ":" in text):
        try:
            ip_address(text)
        except ValueError:
            raise BadValue(f"{text!r} is not an IP address") from None
    elif key.kind is Kind.HOST and (len(text) > HOST_LIMIT or not _HOST.fullmatch(text)):
        raise BadValue(f"{text!r} is neither a host name nor an IP address")
    elif key.kind is Kind.URL and not _is_url(text):
        raise BadValue(f"{text!r} is not an absolute http or https URL")
    return Path(text) if key.kind is Kind.PATH else text


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise BadValue(f"{text!r} is not one of {', '.join(choices)}")
    return text


def _is_url(text: str) -> bool:
    if any(c.isspace() or not c.isprintable() for c in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
