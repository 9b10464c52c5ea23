"""The lexical rules that every SIP header field shares (RFC 3261 §25.1).

Quantifiers are possessive where text comes from a peer, so that no input makes a match take more than linear time.
"""

import re
from collections.abc import Iterable

from sidestream.sip.errors import LocalError, malformed

Param = tuple[str, str | None]
Params = tuple[Param, ...]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
QUOTED = r'"(?:[^"\\]++|\\.)*+"'
HOST = r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++)"  # underscore: not a host name by the RFC, but common in test beds

_TOKEN = re.compile(TOKEN)
# Values are any run without a separator: more than the grammar has, but products send unquoted boundaries with `=`.
# The last group takes the rest of the text from where it is no parameter, so that one findall both splits and checks.
_PARAM = re.compile(rf"[ \t]*+;[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+({QUOTED}|[^ \t;,\"<>]++)[ \t]*+)?+|(.++)", re.DOTALL)
# An opening quote or bracket without its mate takes the rest of the text along; the element's own parser refuses it.
_ELEMENT = re.compile(rf'(?:[^,"<]++|{QUOTED}|<[^<>]*+>|["<].*+)++', re.DOTALL)
_ESCAPED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_BACKSLASH = re.compile(r'(["\\])')
_DECIMAL = re.compile(r"(?=[0-9])0*+([0-9]{0,10})")


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def split_list(text: str) -> list[str]:
    """The elements of a comma list, stripped; commas inside quotes and angle brackets do not split.

    Empty elements are kept: it is the caller's field that allows or forbids them.
    """
    if "," not in text:
        return [text.strip(" \t")]
    if '"' not in text and "<" not in text:
        return [element.strip(" \t") for element in text.split(",")]
    elements = []
    position = 0
    while True:
        match = _ELEMENT.match(text, position)
        if match is None:
            elements.append("")
        else:
            elements.append(match[0].strip(" \t"))
            position = match.end()
        if position == len(text):
            return elements
        position += 1  # the comma


def parse_params(text: str, what: str) -> Params:
    """`;name=value;name…` as pairs in order, values as written (quotes included), None where there is no value.

    Raises MessageError naming `what` when anything else is in the text.
    """
    params = []
    for name, value, junk in _PARAM.findall(text):
        if junk:
            raise malformed(what)
        params.append((name, value or None))
    return tuple(params)


def format_params(params: Iterable[Param]) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def find_param(params: Params, name: str) -> str | None:
    """The unquoted value of the parameter `name` (given in lower case); "" if it has none, None if it is absent."""
    for key, value in params:
        if key == name or key.lower() == name:
            if value is None:
                return ""
            return unquote(value) if value[:1] == '"' else value
    return None


def replace_param(params: Params, name: str, value: str | None) -> Params:
    """`params` with `name` (lower case) set: in place if it is there, else at the end."""
    for position, (key, _) in enumerate(params):
        if key.lower() == name:
            return (*params[:position], (key, value), *params[position + 1 :])
    return (*params, (name, value))


def without_param(params: Params, name: str) -> Params:
    """`params` without `name` (lower case)."""
    return tuple(param for param in params if param[0].lower() != name)


def unquote(text: str) -> str:
    """The text inside a quoted-string, escapes resolved; anything else unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return _ESCAPED_PAIR.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def quote(text: str) -> str:
    """`text` as a quoted-string. Raises LocalError on line breaks, which no quoted-string can hold."""
    if "\r" in text or "\n" in text:
        raise LocalError("a quoted string cannot hold a line break")
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\1", text) + '"'


def parse_decimal(text: str, limit: int, what: str) -> int:
    """A decimal number from 0 to `limit`, leading zeros allowed. Raises MessageError naming `what`."""
    match = _DECIMAL.fullmatch(text)
    number = int(match[1] or 0) if match else limit + 1
    if number > limit:
        raise malformed(what)
    return number
