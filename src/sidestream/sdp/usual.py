"""Descriptions as nearly everybody writes them, read in large pieces; `session` reads all others line by line.

Calls of one phone differ in the numbers of o= and in the ports. So a description is the texts around these, and what
one of them says is remembered for the next call.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import cast

from sidestream.sdp.content import REMEMBERED_CONTENTS, MediaContent
from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import Connection, Line
from sidestream.sdp.media import HIGHEST_PORT, MediaDescription

REMEMBERED_LENGTH = 2048  # characters of one text: a phone with a dozen codecs writes half of that

_HEAD = "v=0\r\no="
_VERSION = Line("v", "0")
_ORIGIN = re.compile(r"[!-~]+ [0-9]{1,20} [0-9]{1,20}(?: [!-~]+){3}")
_TOKENS = re.compile(r"[!-~]+(?: [!-~]+){2,}")
_LINE = re.compile(r"([A-Za-lnp-z])=([^\r\n]*)(?:\r\n|\Z)")
_LINES = re.compile(r"(?:[A-Za-lnp-z]=[^\r\n]*(?:\r\n(?!\Z)|\Z))*")
# A secret or a person, who have to go with their call, or what no other call will say: a port of RTCP, an SSRC …
_PASSING = re.compile(
    r"(?:\A|\n)(?:[kep]=|a=(?:[^:\r\n]*(?:key|crypt|pwd|passw|secret|candidate)|ice-|fingerprint|tls-id|ssrc|msid|rtcp:))",
    re.IGNORECASE,
)

_new_line = cast("Callable[[tuple[str, str]], Line]", partial(tuple.__new__, Line))  # without a call in Python


class _Unusual(Exception):
    """The text is not of the usual form, or is wrong."""


class _Passing(Exception):
    """The text is of one call alone."""


def parts(text: str) -> tuple[tuple[Line, ...], tuple[MediaDescription, ...]] | None:
    """The lines of the session and the m-lines; None for a text that is unusual or wrong."""
    if not (text.startswith(_HEAD) and text.endswith("\r\n")):
        return None
    head, *sections = text[len(_HEAD) : -2].split("\r\nm=")
    origin, _, others = head.partition("\r\n")
    if _ORIGIN.fullmatch(origin) is None:
        return None
    try:
        lines = (_VERSION, Line("o", origin), *_session_lines(others))
        return lines, tuple([_media(section) for section in sections])
    except (_Unusual, SdpError):
        return None


def _session_lines(text: str) -> tuple[Line, ...]:
    try:
        return _lasting_lines(text)
    except _Passing:
        return _lines(text)


def _media(section: str) -> MediaDescription:
    fields = section.split(" ", 2)
    if len(fields) < 3:
        raise _Unusual
    media, port, rest = fields
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= HIGHEST_PORT):
        raise _Unusual
    try:
        content = _lasting_content(media, rest)
    except _Passing:
        content = _content(media, rest, is_lasting=False)
    return MediaDescription.of(content, int(port))


# Neither remembers anything when it raises.
@lru_cache(REMEMBERED_CONTENTS)
def _lasting_lines(text: str) -> tuple[Line, ...]:
    _check_lasting(text)
    return _lines(text)


@lru_cache(REMEMBERED_CONTENTS)
def _lasting_content(media: str, rest: str) -> MediaContent:
    _check_lasting(rest)
    return _content(media, rest, is_lasting=True)


def _check_lasting(text: str) -> None:
    if len(text) > REMEMBERED_LENGTH or _PASSING.search(text) is not None:
        raise _Passing


def _content(media: str, rest: str, *, is_lasting: bool) -> MediaContent:
    """Of the m-line's first field and of all that is behind its port."""
    m_line, _, lines = rest.partition("\r\n")
    if _TOKENS.fullmatch(f"{media} {m_line}") is None:
        raise _Unusual
    protocol, *formats = m_line.split(" ")
    return MediaContent(media, protocol, tuple(formats), _lines(lines), is_lasting)


def _lines(text: str) -> tuple[Line, ...]:
    """Lines without m= and o=, which are not looked for here; `text` is without the last CRLF."""
    if _LINES.fullmatch(text) is None:
        raise _Unusual
    lines = tuple(map(_new_line, _LINE.findall(text)))
    for kind, value in lines:
        if kind == "c":
            Connection.parse(value)
    return lines
