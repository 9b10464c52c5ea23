"""What a SIP message reads as, whole and field by field: the native codec and the reference have to agree on it."""

from collections.abc import Callable

from sidestream.sip.errors import MessageError, SipError
from sidestream.sip.fields import PARSERS
from sidestream.sip.message import Message, Request, Response, parse_in_python, parse_message

ATTRIBUTES = (
    "vias",
    "via",
    "from_",
    "to",
    "call_id",
    "cseq",
    "max_forwards",
    "contacts",
    "routes",
    "record_routes",
    "require",
    "proxy_require",
    "supported",
    "unsupported",
    "allow",
    "accept",
    "content_type",
    "content_disposition",
    "expires",
    "retry_after",
    "session_expires",
    "min_se",
    "rseq",
    "rack",
)
Reading = dict[str, object]


def readings(data: bytes) -> tuple[Reading, Reading]:
    """What `parse_message`, by the native codec where it is there, and then what the reference makes of `data`."""
    return reading(parse_message, data), reading(parse_in_python, data)


def reading(parse: Callable[[bytes], Message], data: bytes) -> Reading:
    """Everything that can be seen of the message, in the order in which it is likely to tell something."""
    try:
        message = parse(data)
    except MessageError as error:
        return {"refused": _refusal(error)}
    seen: Reading = {"start": _start(message), "headers": message.headers.items(), "body": message.body}
    for name in ATTRIBUTES:
        seen[name] = _attempt(lambda name=name: getattr(message, name))  # type: ignore[misc]
    seen["check"] = _attempt(message.check)
    seen["elements"] = [message.headers.values(name) for name in PARSERS]
    seen["texts"] = [(message.headers.get(name), name in message.headers) for name in PARSERS]
    seen["written"] = _attempt(message.to_bytes)
    if isinstance(message, Request):
        request = message
        seen["answer"] = _attempt(lambda: request.response(200, to_tag="t").to_bytes())
        request.note_source("192.0.2.1", 5062)
        seen["noted"] = (request.headers.items(), repr(request.vias))
    return seen


def _start(message: Message) -> object:
    if isinstance(message, Response):
        return message.status, message.reason
    return message.method, repr(message.uri), hash(message.uri), message.uri


def _attempt(read: Callable[[], object]) -> object:
    """The value and how it is written, or the error."""
    try:
        value = read()
    except MessageError as error:
        return _refusal(error)
    except SipError as error:
        return repr(error)
    return value, repr(value)


def _refusal(error: MessageError) -> object:
    return error.status, error.reason, error.answer and error.answer.to_bytes()
