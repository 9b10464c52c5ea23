"""SIP requests and responses: bytes to object and back (RFC 3261 §7, §18.3)."""

import hashlib
import re
from dataclasses import dataclass, field

from sidestream.sip import grammar
from sidestream.sip.codec import native
from sidestream.sip.errors import LocalError, MessageError, malformed
from sidestream.sip.fields import TypedFields
from sidestream.sip.headers import MAX_FIELD_LENGTH, Headers, parse_fields
from sidestream.sip.reasons import reason_phrase
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

# One UDP datagram carries no more, and no SIPREC INVITE comes near it; TCP peers are held to the same.
MAX_MESSAGE_SIZE = 65535

_REQUEST_LINE = re.compile(rf"({grammar.TOKEN}) ([^ \t]++) SIP/2\.0", re.IGNORECASE)
# A lone CR or LF in the reason would become a line break of its own where we pass it on.
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*+))?+", re.IGNORECASE)
_OTHER_VERSION = re.compile(r".* SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_LOOKS_TAGGED = re.compile(r";[ \t]*+tag[ \t]*+=", re.IGNORECASE)
_SENDABLE = re.compile(rf"{grammar.TOKEN} [^\x00-\x20\x7f]++ SIP/2\.0\r\n")


@dataclass(slots=True)
class Response(TypedFields):
    """An answer. `body` is exactly what follows the empty line; Content-Length is written by `to_bytes`."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """The message on the wire. Raises LocalError when the reason holds a line break."""
        if "\r" in self.reason or "\n" in self.reason:
            raise LocalError("line break in a reason phrase")
        return _to_bytes(f"SIP/2.0 {self.status} {self.reason}\r\n", self.headers, self.body)


@dataclass(slots=True)
class Request(TypedFields):
    """A request. `body` is exactly what follows the empty line; Content-Length is written by `to_bytes`."""

    method: str
    uri: Uri
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """The message on the wire. Raises LocalError when method or URI cannot stand in a request line."""
        start_line = f"{self.method} {self.uri} SIP/2.0\r\n"
        if not _SENDABLE.fullmatch(start_line) or not self.uri.scheme:
            raise LocalError(f"no request line can hold {self.method!r} {str(self.uri)!r}")
        return _to_bytes(start_line, self.headers, self.body)

    def response(self, status: int, reason: str | None = None, *, to_tag: str | None = None) -> Response:
        """A response to this request with the fields that RFC 3261 §8.2.6.2 repeats; the caller adds the rest.

        `to_tag` is set on To unless it has a tag. Via values are repeated as the request object now has them, so note
        the source in the topmost one first (`Via.with_source`).
        """
        headers = self.headers.repeated()
        if to_tag is not None and self.to.tag is None:
            headers.replace("To", f"{headers.get('To')};tag={to_tag}")
        return Response(status, reason_phrase(status) if reason is None else reason, headers)

    def note_source(self, host: str, port: int) -> None:
        """Fill `received` and `rport` of the topmost Via with the address the request came from (RFC 3581 §4)."""
        vias = self.vias
        noted = vias[0].with_source(host, port)
        if noted is not vias[0]:
            self.headers.replace("Via", *[str(via) for via in (noted, *vias[1:])])


Message = Request | Response


def parse_message(data: bytes) -> Message:
    """Read one whole message: a datagram, or what `framing.StreamFramer` cut out of a stream.

    Start line, field syntax, body length and the five fields that every message needs (Via, From, To, Call-ID, CSeq)
    are checked here; every other typed field when it is asked for, or all at once by `check`.
    Raises MessageError, with `answer` filled in for a request that can be answered.
    """
    if native is not None:
        # It answers None to what is malformed or unusual.
        message: Message | None = native.parse_message(data)
        if message is not None:
            return message
    return parse_in_python(data)


def parse_in_python(data: bytes) -> Message:
    """`parse_message` without the native codec, which has to do the same."""
    if len(data) > MAX_MESSAGE_SIZE:
        raise MessageError(513, "Message Too Large")
    # RFC 3261 §7.5: empty lines before the start line are ignored.
    head, separator, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator and head.endswith(b"\r\n"):
        head = head[:-2]
    # Octets that are not UTF-8 survive as the surrogates U+DC80 to U+DCFF and go out again as they came.
    start_line, _, rest = head.decode("utf-8", "surrogateescape").partition("\r\n")
    headers, problem = parse_fields(rest)
    if start_line[:4].upper() == "SIP/":
        if problem is not None:
            raise problem
        return _response(start_line, headers, body)
    try:
        if problem is not None:
            raise problem
        return _request(start_line, headers, body)
    except MessageError as error:
        error.answer = _answer(start_line, headers, error)
        raise


def answer_unparsed(head: bytes, error: MessageError) -> MessageError:
    """`error` with the answer to the request that begins with `head`, for when its end cannot be found."""
    start_line, _, rest = head.decode("utf-8", "surrogateescape").partition("\r\n")
    if start_line[:4].upper() != "SIP/":
        error.answer = _answer(start_line, parse_fields(rest)[0], error)
    return error


def _request(start_line: str, headers: Headers, body: bytes) -> Request:
    if len(start_line) > MAX_FIELD_LENGTH:
        raise MessageError(414, reason_phrase(414))
    match = _REQUEST_LINE.fullmatch(start_line)
    if match is None:
        if _OTHER_VERSION.fullmatch(start_line) and not start_line.upper().endswith(" SIP/2.0"):
            raise MessageError(505, reason_phrase(505))
        raise malformed("request line")
    method = match[1]
    uri = Uri.parse(match[2])
    # RFC 3261 §19.1.1, table 1: no headers in a Request-URI.
    if uri.headers:
        raise malformed("Request-URI")
    request = Request(method, uri, headers, _framed(headers, body))
    # RFC 3261 §8.1.1.5: the CSeq method is the request's.
    if _essentials(request) != method:
        raise MessageError(400, "CSeq Method Mismatch")
    return request


def _response(start_line: str, headers: Headers, body: bytes) -> Response:
    match = _STATUS_LINE.fullmatch(start_line)
    if match is None:
        raise malformed("status line")
    response = Response(int(match[1]), match[2] or "", headers, _framed(headers, body))
    _essentials(response)
    return response


def _essentials(message: Message) -> str:
    """Read the fields without which a message cannot be matched to anything; returns the CSeq method."""
    _ = message.vias, message.from_, message.to, message.call_id
    return message.cseq.method


def _framed(headers: Headers, body: bytes) -> bytes:
    """The part of `body` that Content-Length says is one (RFC 3261 §18.3)."""
    length = content_length(headers)
    if length is None or length == len(body):
        return body
    if length > len(body):
        raise MessageError(400, "Body Shorter Than Content-Length")
    return body[:length]


def content_length(headers: Headers) -> int | None:
    """The agreed value of the Content-Length fields, or None. Raises MessageError when they are bad or differ."""
    values = headers.get_all("Content-Length")
    if not values:
        return None
    # RFC 4475 §3.3.9: several equal ones do no harm, different ones leave the end of the message unknown.
    if len(values) > 1 and len(set(values)) > 1:
        raise MessageError(400, "Conflicting Content-Length")
    return grammar.parse_decimal(values[0], MAX_MESSAGE_SIZE, "Content-Length")


def _answer(start_line: str, headers: Headers, error: MessageError) -> Response | None:
    # RFC 3261 §17: an ACK is never answered. Via and CSeq are what a client matches an answer by.
    if start_line.startswith("ACK ") or "Via" not in headers or "CSeq" not in headers:
        return None
    answer = Response(error.status, error.reason, headers.repeated())
    to = headers.get("To")
    if to is not None and not _is_tagged(to):
        # RFC 3261 §8.2.7: a stateless answer needs the same tag for each copy of the request.
        seed = "\0".join([headers.get(name) or "" for name in ("Call-ID", "CSeq", "Via")])
        tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        answer.headers.replace("To", f"{to};tag={tag}")
    return answer


def _is_tagged(to: str) -> bool:
    try:
        return NameAddr.parse(to).tag is not None
    except MessageError:
        return _LOOKS_TAGGED.search(to) is not None


def _to_bytes(start_line: str, headers: Headers, body: bytes) -> bytes:
    data = headers.to_bytes(start_line, body)
    if data is not None:
        return data
    # Octets that were not UTF-8 go out as they came.
    lines = [f"{name}: {value}\r\n" for name, value in headers if name != "Content-Length"]
    text = f"{start_line}{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
    try:
        return text.encode("utf-8", "surrogateescape") + body
    except UnicodeEncodeError:
        raise LocalError("a header field holds half a surrogate pair") from None
