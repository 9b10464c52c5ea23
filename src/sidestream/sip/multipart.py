"""Multipart bodies: a reader that takes what SIPREC products send and a strict writer (RFC 2046 §5.1, RFC 5621)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sidestream.sip.errors import LocalError, MessageError, malformed
from sidestream.sip.headers import Headers, parse_fields
from sidestream.sip.values import ContentType, Disposition

# SIPREC bodies have two or three parts; a bound keeps a body of bare delimiters cheap.
MAX_PARTS = 32
# RFC 5621 §5.3 wants nested multiparts read; mixed around alternative around related is the deepest that makes sense.
MAX_NESTING = 4

# RFC 2046 §5.1.1: what a boundary may consist of.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_BREAK = re.compile(rb"\r?\n")
_BEHIND_DELIMITER = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")
_FIRST_DELIMITER = re.compile(rb"(?:\A|\n)--([^\r\n]+)")

# RFC 2046 §5.1: a part without Content-Type.
_PLAIN_TEXT = ContentType("text", "plain")


@dataclass(slots=True)
class Part:
    """One part: `headers` are its fields without Content-Type; `body` are its octets, unchanged."""

    content_type: ContentType
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def disposition(self) -> Disposition | None:
        """What the part is for; None when it does not say so in a readable way."""
        value = self.headers.get("Content-Disposition")
        try:
            return Disposition.parse(value) if value else None
        except MessageError:
            return None


def parse_multipart(content_type: ContentType, body: bytes) -> tuple[Part, ...]:
    """The parts of a multipart body, in order; nested multiparts stay one part (see `leaves`).

    Takes CRLF and bare LF, blanks behind a delimiter, preamble, epilogue, a missing final delimiter and a missing
    boundary parameter; part header lines that make no sense are skipped. Raises MessageError 400 when the type is not
    multipart, no delimiter is found or there are more than MAX_PARTS parts.
    """
    if content_type.type != "multipart":
        raise malformed("multipart type")
    delimiter = _delimiter(content_type, body)
    parts: list[Part] = []
    start: int | None = None  # of the part that the last delimiter opened
    position = body.find(delimiter)
    while position >= 0:
        behind = _BEHIND_DELIMITER.match(body, position + len(delimiter))
        if behind is None or (position > 0 and body[position - 1 : position] != b"\n"):
            position = body.find(delimiter, position + 1)
            continue
        if start is not None:
            parts.append(_part(body[start : _before_line_break(body, start, position)]))
        start = behind.end()
        if behind[1]:
            start = len(body)  # what follows the final delimiter is no part
            break
        if len(parts) == MAX_PARTS:
            raise malformed("multipart body")
        position = body.find(delimiter, start)
    if start is not None and start < len(body):
        parts.append(_part(body[start:]))
    if not parts:
        raise malformed("multipart body")
    return tuple(parts)


def leaves(content_type: ContentType, body: bytes) -> tuple[Part, ...]:
    """A body as its innermost parts, whether it is multipart or not; a body of another type is one part."""
    return tuple(_leaves(Part(content_type, body=body), 0))


def find_part(parts: Sequence[Part], *media_types: str) -> Part | None:
    """The first part whose type is one of `media_types` (lower case, without parameters)."""
    for part in parts:
        if part.content_type.media_type in media_types:
            return part
    return None


def build_multipart(parts: Sequence[Part], boundary: str, subtype: str = "mixed") -> tuple[str, bytes]:
    """The Content-Type value and the octets of a multipart body.

    Raises LocalError for a boundary that the grammar forbids or that occurs in a part: then ask for another one.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise LocalError(f"not a boundary: {boundary!r}")
    if not parts:
        raise LocalError("a multipart body needs a part")
    delimiter = b"--" + boundary.encode("ascii")
    chunks = []
    for part in parts:
        if delimiter in part.body:
            raise LocalError(f"the boundary {boundary!r} occurs in a part")
        lines = [f"Content-Type: {part.content_type}\r\n", *[f"{name}: {value}\r\n" for name, value in part.headers]]
        chunks.append(delimiter + b"\r\n" + "".join(lines).encode("utf-8", "surrogateescape"))
        chunks.append(b"\r\n" + part.body + b"\r\n")
    chunks.append(delimiter + b"--\r\n")
    return f'multipart/{subtype};boundary="{boundary}"', b"".join(chunks)


def _leaves(part: Part, depth: int) -> Iterator[Part]:
    if part.content_type.type != "multipart":
        yield part
        return
    if depth >= MAX_NESTING:
        raise MessageError(400, "Multipart Nested Too Deeply")
    for inner in parse_multipart(part.content_type, part.body):
        yield from _leaves(inner, depth + 1)


def _delimiter(content_type: ContentType, body: bytes) -> bytes:
    boundary = content_type.param("boundary")
    if boundary:
        # RFC 2046 §5.1.1: no boundary ends in a blank, yet some products declare one so.
        return b"--" + boundary.rstrip(" ").encode("utf-8", "surrogateescape")
    match = _FIRST_DELIMITER.search(body)
    if match is None:
        raise malformed("multipart body")
    return b"--" + match[1].rstrip(b" \t")


def _before_line_break(body: bytes, start: int, position: int) -> int:
    """Where the part ends that began at `start` and has a delimiter line at `position`."""
    end = position - 1 if position > start else position
    return end - 1 if end > start and body[end - 1 : end] == b"\r" else end


def _part(data: bytes) -> Part:
    first = _LINE_BREAK.match(data)
    if first is not None:
        head, body = b"", data[first.end() :]
    else:
        blank = _BLANK_LINE.search(data)
        head, body = (data[: blank.start()], data[blank.end() :]) if blank is not None else (data, b"")
    text = _LINE_BREAK.sub(b"\r\n", head).decode("utf-8", "surrogateescape")
    headers, _ = parse_fields(text)
    content_type = _content_type(headers.get("Content-Type"))
    headers.remove("Content-Type")
    return Part(content_type, headers, body)


def _content_type(value: str | None) -> ContentType:
    try:
        return ContentType.parse(value) if value else _PLAIN_TEXT
    except MessageError:
        return ContentType("application", "octet-stream")
