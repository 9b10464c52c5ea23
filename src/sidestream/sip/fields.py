"""The header fields that Sidestream reads, as typed values: parsed when first asked for and then kept."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sidestream.sip import grammar
from sidestream.sip.codec import native
from sidestream.sip.errors import MessageError, malformed
from sidestream.sip.headers import Headers
from sidestream.sip.values import ContentType, CSeq, Disposition, NameAddr, Via

T = TypeVar("T")

# RFC 3261 §20.22: 0 to 255.
MAX_MAX_FORWARDS = 255
# RFC 3261 §20.19: seconds, a 32-bit number.
MAX_EXPIRES = 2**32 - 1
# RFC 3261 §20.8 leaves it open; longer ones only serve to fill our tables.
MAX_CALL_ID = 1024


def _one(values: Sequence[str], name: str) -> str:
    """The value of a field that has to be there exactly once."""
    if len(values) != 1:
        raise MessageError(400, f"Missing {name}" if not values else f"More than one {name}")
    return values[0]


def _optional(name: str, parse: Callable[[str], T]) -> Callable[[Sequence[str]], T | None]:
    """A parser for a field that may be there once."""
    return lambda values: parse(_one(values, name)) if values else None


def _vias(values: Sequence[str]) -> tuple[Via, ...]:
    if not values:
        raise MessageError(400, "Missing Via")
    return tuple([Via.parse(element) for value in values for element in grammar.split_list(value)])


def _from(values: Sequence[str]) -> NameAddr:
    return NameAddr.parse(_one(values, "From"), "From")


def _to(values: Sequence[str]) -> NameAddr:
    return NameAddr.parse(_one(values, "To"), "To")


def _call_id(values: Sequence[str]) -> str:
    value = _one(values, "Call-ID")
    if not value or len(value) > MAX_CALL_ID or " " in value or "\t" in value:
        raise malformed("Call-ID")
    return value


def _cseq(values: Sequence[str]) -> CSeq:
    return CSeq.parse(_one(values, "CSeq"))


def _addresses(name: str) -> Callable[[Sequence[str]], tuple[NameAddr, ...]]:
    def parse(values: Sequence[str]) -> tuple[NameAddr, ...]:
        return tuple([NameAddr.parse(element, name) for value in values for element in grammar.split_list(value)])

    return parse


def _elements(values: Sequence[str]) -> tuple[str, ...]:
    return tuple([element for value in values for element in grammar.split_list(value) if element])


def _lower_tokens(values: Sequence[str]) -> tuple[str, ...]:
    return tuple([element.lower() for element in _elements(values)])


def _accept(values: Sequence[str]) -> tuple[str, ...] | None:
    if not values:
        return None
    return tuple([element.partition(";")[0].strip(" \t").lower() for element in _elements(values)])


def _parse_max_forwards(value: str) -> int:
    return grammar.parse_decimal(value, MAX_MAX_FORWARDS, "Max-Forwards")


def _parse_expires(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise malformed("Expires")
    digits = value.lstrip("0")[:11] or "0"
    return min(int(digits), MAX_EXPIRES)


def _parse_session_expires(value: str) -> tuple[int, str | None]:
    seconds, semicolon, params = value.partition(";")
    refresher = grammar.find_param(grammar.parse_params(semicolon + params, "Session-Expires"), "refresher")
    return _number32(seconds.strip(" \t"), "Session-Expires"), refresher.lower() if refresher else None


def _parse_min_se(value: str) -> int:
    return _number32(value.partition(";")[0].strip(" \t"), "Min-SE")


def _number32(text: str, name: str) -> int:
    return grammar.parse_decimal(text, MAX_EXPIRES, name)


def _parse_rseq(value: str) -> int:
    return _number32(value, "RSeq")


def _parse_rack(value: str) -> tuple[int, CSeq]:
    number, _, cseq = value.partition(" ")
    return _number32(number, "RAck"), CSeq.parse(cseq.strip(" \t"))


def _retry_after(values: Sequence[str]) -> int | None:
    # RFC 3261 §20.33: a comment and parameters may follow the number.
    digits = values[0].partition(";")[0].partition("(")[0].strip(" \t") if values else ""
    try:
        return grammar.parse_decimal(digits, MAX_EXPIRES, "Retry-After")
    except MessageError:
        return None


_max_forwards = _optional("Max-Forwards", _parse_max_forwards)
_expires = _optional("Expires", _parse_expires)
_session_expires = _optional("Session-Expires", _parse_session_expires)
_min_se = _optional("Min-SE", _parse_min_se)
_rseq = _optional("RSeq", _parse_rseq)
_rack = _optional("RAck", _parse_rack)
_content_type = _optional("Content-Type", ContentType.parse)
_content_disposition = _optional("Content-Disposition", Disposition.parse)
_contacts = _addresses("Contact")
_routes = _addresses("Route")
_record_routes = _addresses("Record-Route")


def field(name: str, parse: Callable[[Sequence[str]], T]) -> T:
    """An attribute of messages that is what `parse` makes of their fields called `name`; to the type checker a T."""
    if native is not None:
        attribute: Any = native.Field(name, parse)
    else:
        attribute = property(lambda message: message.headers.parsed(name, parse))
    return attribute  # type: ignore[no-any-return]


class TypedFields:
    """The accessors that Request and Response share. Each raises MessageError when its field is malformed."""

    __slots__ = ()

    headers: Headers

    # All Via values, topmost first; never empty.
    vias = field("Via", _vias)

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return self.vias[0]

    from_ = field("From", _from)
    to = field("To", _to)
    call_id = field("Call-ID", _call_id)
    cseq = field("CSeq", _cseq)
    # Hops left; None when the field is missing (RFC 2543).
    max_forwards = field("Max-Forwards", _max_forwards)
    # All Contact values; `Contact: *` is one with the URI values.STAR.
    contacts = field("Contact", _contacts)
    routes = field("Route", _routes)
    record_routes = field("Record-Route", _record_routes)
    # Option tags, lower case.
    require = field("Require", _lower_tokens)
    # Option tags, lower case.
    proxy_require = field("Proxy-Require", _lower_tokens)
    # Option tags, lower case.
    supported = field("Supported", _lower_tokens)
    # Option tags, lower case.
    unsupported = field("Unsupported", _lower_tokens)
    # Method names, as written (methods are case-sensitive).
    allow = field("Allow", _elements)
    # Media ranges, lower case, without parameters; None when there is no Accept, which is not an empty one.
    accept = field("Accept", _accept)
    content_type = field("Content-Type", _content_type)
    content_disposition = field("Content-Disposition", _content_disposition)
    # Seconds; an overlarge number counts as the largest allowed one.
    expires = field("Expires", _expires)
    # Seconds to wait before another attempt; None when missing or unreadable.
    retry_after = field("Retry-After", _retry_after)
    # Session interval in seconds and the refresher, uac or uas, if named (RFC 4028 §4).
    session_expires = field("Session-Expires", _session_expires)
    # Smallest session interval in seconds (RFC 4028 §5).
    min_se = field("Min-SE", _min_se)
    # The number of a reliable provisional response (RFC 3262 §7.1).
    rseq = field("RSeq", _rseq)
    # What a PRACK acknowledges: the RSeq, then the CSeq of the response (RFC 3262 §7.2).
    rack = field("RAck", _rack)

    def check(self) -> None:
        """Read the fields above that the message has, so that a malformed one is found now. Raises MessageError."""
        self.headers.parse_all(PARSERS)


# By canonical name, in the order in which a message is checked. The native codec does the work of these where it can.
PARSERS: dict[str, Callable[[Sequence[str]], object]] = {
    "Via": _vias,
    "From": _from,
    "To": _to,
    "Call-ID": _call_id,
    "CSeq": _cseq,
    "Max-Forwards": _max_forwards,
    "Contact": _contacts,
    "Route": _routes,
    "Record-Route": _record_routes,
    "Require": _lower_tokens,
    "Proxy-Require": _lower_tokens,
    "Supported": _lower_tokens,
    "Unsupported": _lower_tokens,
    "Allow": _elements,
    "Accept": _accept,
    "Content-Type": _content_type,
    "Content-Disposition": _content_disposition,
    "Expires": _expires,
    "Session-Expires": _session_expires,
    "Min-SE": _min_se,
    "RSeq": _rseq,
    "RAck": _rack,
}
