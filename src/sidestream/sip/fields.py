"""The header fields that Sidestream reads, as typed values: parsed when first asked for and then kept."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sidestream.sip import grammar
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


class TypedFields:
    """The accessors that Request and Response share. Each raises MessageError when its field is malformed."""

    __slots__ = ()

    headers: Headers

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via values, topmost first; never empty."""
        return self.headers.parsed("Via", _vias)

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return self.headers.parsed("Via", _vias)[0]

    @property
    def from_(self) -> NameAddr:
        return self.headers.parsed("From", _from)

    @property
    def to(self) -> NameAddr:
        return self.headers.parsed("To", _to)

    @property
    def call_id(self) -> str:
        return self.headers.parsed("Call-ID", _call_id)

    @property
    def cseq(self) -> CSeq:
        return self.headers.parsed("CSeq", _cseq)

    @property
    def max_forwards(self) -> int | None:
        """Hops left; None when the field is missing (RFC 2543)."""
        return self.headers.parsed("Max-Forwards", _max_forwards)

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """All Contact values; `Contact: *` is one with the URI values.STAR."""
        return self.headers.parsed("Contact", _contacts)

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        return self.headers.parsed("Route", _routes)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        return self.headers.parsed("Record-Route", _record_routes)

    @property
    def require(self) -> tuple[str, ...]:
        """Option tags, lower case."""
        return self.headers.parsed("Require", _lower_tokens)

    @property
    def proxy_require(self) -> tuple[str, ...]:
        """Option tags, lower case."""
        return self.headers.parsed("Proxy-Require", _lower_tokens)

    @property
    def supported(self) -> tuple[str, ...]:
        """Option tags, lower case."""
        return self.headers.parsed("Supported", _lower_tokens)

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Option tags, lower case."""
        return self.headers.parsed("Unsupported", _lower_tokens)

    @property
    def allow(self) -> tuple[str, ...]:
        """Method names, as written (methods are case-sensitive)."""
        return self.headers.parsed("Allow", _elements)

    @property
    def accept(self) -> tuple[str, ...] | None:
        """Media ranges, lower case, without parameters; None when there is no Accept, which is not an empty one."""
        return self.headers.parsed("Accept", _accept)

    @property
    def content_type(self) -> ContentType | None:
        return self.headers.parsed("Content-Type", _content_type)

    @property
    def content_disposition(self) -> Disposition | None:
        return self.headers.parsed("Content-Disposition", _content_disposition)

    @property
    def expires(self) -> int | None:
        """Seconds; an overlarge number counts as the largest allowed one."""
        return self.headers.parsed("Expires", _expires)

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait before another attempt; None when missing or unreadable."""
        return self.headers.parsed("Retry-After", _retry_after)

    @property
    def session_expires(self) -> tuple[int, str | None] | None:
        """Session interval in seconds and the refresher, uac or uas, if named (RFC 4028 §4)."""
        return self.headers.parsed("Session-Expires", _session_expires)

    @property
    def min_se(self) -> int | None:
        """Smallest session interval in seconds (RFC 4028 §5)."""
        return self.headers.parsed("Min-SE", _min_se)

    @property
    def rseq(self) -> int | None:
        """The number of a reliable provisional response (RFC 3262 §7.1)."""
        return self.headers.parsed("RSeq", _rseq)

    @property
    def rack(self) -> tuple[int, CSeq] | None:
        """What a PRACK acknowledges: the RSeq, then the CSeq of the response (RFC 3262 §7.2)."""
        return self.headers.parsed("RAck", _rack)

    def check(self) -> None:
        """Read every field above that the message has, so that a malformed one is found now. Raises MessageError."""
        for name, parse in _PARSERS.items():
            if name in self.headers:
                self.headers.parsed(name, parse)


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

_PARSERS: dict[str, Callable[[Sequence[str]], object]] = {
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
    "Content-Type": _content_type,
    "Content-Disposition": _content_disposition,
    "Expires": _expires,
    "Session-Expires": _session_expires,
    "Min-SE": _min_se,
    "RSeq": _rseq,
    "RAck": _rack,
}
