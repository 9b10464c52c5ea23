"""What stands in header fields, as typed values: Via, name-addr, CSeq, Content-Type and the like.

Each class has `parse(text)`, which raises MessageError 400, and `str()`, which gives wire text. Parameters are kept as
written, in order; `param(name)` takes a lower-case name and gives the unquoted value ("" without a value, None absent).
"""

import re
from dataclasses import dataclass

from sidestream.sip import grammar
from sidestream.sip.errors import malformed
from sidestream.sip.grammar import Params
from sidestream.sip.uri import MAX_PORT, Uri

# RFC 3261 §8.1.1.7: the start of every branch that identifies a transaction.
BRANCH_COOKIE = "z9hG4bK"
# RFC 3261 §8.1.1.5: a CSeq number is a 32-bit unsigned integer.
MAX_CSEQ = 2**32 - 1

_VIA = re.compile(
    rf"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+({grammar.TOKEN})[ \t]++({grammar.HOST})"
    r"[ \t]*+(?::[ \t]*+([0-9]{1,5}+)[ \t]*+)?+(;.*+)?+",
    re.IGNORECASE | re.DOTALL,
)
# An unquoted display name should be tokens; whatever cannot be mistaken for something else is taken.
_NAME_ADDR = re.compile(rf'(?:({grammar.QUOTED})|([^"<>,;]*+))[ \t]*+<([^<>]*+)>[ \t]*+(;.*+)?+', re.DOTALL)
_CSEQ = re.compile(rf"([0-9]++)[ \t]++({grammar.TOKEN})")
_MEDIA_TYPE = re.compile(rf"({grammar.TOKEN})[ \t]*+/[ \t]*+({grammar.TOKEN})[ \t]*+(;.*+)?+", re.DOTALL)
_WORD_AND_PARAMS = re.compile(rf"({grammar.TOKEN})[ \t]*+(;.*+)?+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop of the path a response travels back (RFC 3261 §20.42). `transport` is upper case; IPv6 in brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    @staticmethod
    def parse(text: str) -> "Via":
        match = _VIA.fullmatch(text)
        if match is None:
            raise malformed("Via")
        transport, host, digits, params = match.groups()
        port = int(digits) if digits else None
        if port is not None and port > MAX_PORT:
            raise malformed("Via")
        return Via(transport.upper(), host, port, grammar.parse_params(params, "Via") if params else ())

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{grammar.format_params(self.params)}"

    @property
    def branch(self) -> str | None:
        return grammar.find_param(self.params, "branch")

    @property
    def is_transaction_id(self) -> bool:
        """Whether the branch is unique by RFC 3261 §8.1.1.7: the cookie and something behind it."""
        branch = self.branch
        return branch is not None and len(branch) > len(BRANCH_COOKIE) and branch.startswith(BRANCH_COOKIE)

    @property
    def address(self) -> str:
        """The sent-by host without the brackets of an IPv6 literal."""
        return self.host.strip("[]")

    @property
    def received(self) -> str | None:
        """The source address that the receiver noted (RFC 3261 §18.2.1), without IPv6 brackets."""
        value = self.param("received")
        return value.strip("[]") if value else None

    @property
    def wants_rport(self) -> bool:
        """Whether the sender asked for its source port (RFC 3581 §3)."""
        return self.param("rport") is not None

    @property
    def rport(self) -> int | None:
        """The source port that the receiver noted; None while it is only asked for, or unreadable."""
        value = self.param("rport")
        return int(value) if value and value.isdecimal() and value.isascii() and len(value) <= 5 else None

    def param(self, name: str) -> str | None:
        return grammar.find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> "Via":
        return Via(self.transport, self.host, self.port, grammar.replace_param(self.params, name, value))

    def with_source(self, host: str, port: int) -> "Via":
        """This Via as a server keeps it: `received` and, if asked for, `rport` filled in.

        `host` and `port` are where the request came from.
        """
        # RFC 3581 §4: with rport, received is added even when it equals the sent-by host.
        if self.wants_rport:
            params = grammar.replace_param(self.params, "received", host)
            return Via(self.transport, self.host, self.port, grammar.replace_param(params, "rport", str(port)))
        # RFC 3261 §18.2.1: received is added when the sent-by host is a name or another address. One that is there
        # already is the sender's own; answers would go wherever it says.
        if self.address.lower() != host.lower() or self.param("received") is not None:
            return self.with_param("received", host)
        return self


@dataclass(frozen=True, slots=True)
class NameAddr:
    """An address with its parameters, as in From, To, Contact, Route (RFC 3261 §20.10).

    `params` are the header field's (tag, q, expires …); the URI has its own. `display_name` is plain text.
    """

    display_name: str | None
    uri: Uri
    params: Params = ()

    @staticmethod
    def parse(text: str, what: str = "address") -> "NameAddr":
        """Read one address; `what` is the field named in the error."""
        match = _NAME_ADDR.fullmatch(text)
        if match is None:
            return _parse_addr_spec(text, what)
        quoted, plain, uri, params = match.groups()
        name: str | None = grammar.unquote(quoted) if quoted is not None else plain.rstrip(" \t") or None
        return NameAddr(name, Uri.parse(uri), grammar.parse_params(params, what) if params else ())

    def __str__(self) -> str:
        if not self.uri.scheme:
            return "*"
        name = "" if self.display_name is None else grammar.quote(self.display_name) + " "
        return f"{name}<{self.uri}>{grammar.format_params(self.params) if self.params else ''}"

    @property
    def tag(self) -> str | None:
        return grammar.find_param(self.params, "tag")

    def with_tag(self, tag: str) -> "NameAddr":
        return self.with_param("tag", tag)

    def param(self, name: str) -> str | None:
        return grammar.find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> "NameAddr":
        return NameAddr(self.display_name, self.uri, grammar.replace_param(self.params, name, value))

    def without_param(self, name: str) -> "NameAddr":
        return NameAddr(self.display_name, self.uri, grammar.without_param(self.params, name))


# RFC 3261 §20.10: `Contact: *` stands alone in a REGISTER and means every binding.
STAR = Uri("", opaque="*")


def _parse_addr_spec(text: str, what: str) -> NameAddr:
    if text == "*":
        return NameAddr(None, STAR)
    # RFC 3261 §20.10: without brackets, everything behind the first semicolon belongs to the header field, and a URI
    # with a question mark or comma has to be in brackets.
    address, semicolon, params = text.partition(";")
    address = address.rstrip(" \t")
    if "?" in address or "," in address or "<" in address:
        raise malformed(what)
    return NameAddr(None, Uri.parse(address), grammar.parse_params(semicolon + params, what) if semicolon else ())


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number and method (RFC 3261 §20.16)."""

    number: int
    method: str

    @staticmethod
    def parse(text: str) -> "CSeq":
        match = _CSEQ.fullmatch(text)
        if match is None:
            raise malformed("CSeq")
        return CSeq(grammar.parse_decimal(match[1], MAX_CSEQ, "CSeq"), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type with parameters (RFC 3261 §20.15); `type` and `subtype` are lower case."""

    type: str
    subtype: str
    params: Params = ()

    @staticmethod
    def parse(text: str) -> "ContentType":
        match = _MEDIA_TYPE.fullmatch(text)
        if match is None:
            raise malformed("Content-Type")
        params = grammar.parse_params(match[3], "Content-Type") if match[3] else ()
        return ContentType(match[1].lower(), match[2].lower(), params)

    def __str__(self) -> str:
        return self.media_type + grammar.format_params(self.params)

    @property
    def media_type(self) -> str:
        """`type/subtype`, lower case, without parameters."""
        return f"{self.type}/{self.subtype}"

    def param(self, name: str) -> str | None:
        return grammar.find_param(self.params, name)


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a body is for (RFC 3261 §20.11); `value` is lower case, such as session or recording-session."""

    value: str
    params: Params = ()

    @staticmethod
    def parse(text: str) -> "Disposition":
        match = _WORD_AND_PARAMS.fullmatch(text)
        if match is None:
            raise malformed("Content-Disposition")
        return Disposition(match[1].lower(), grammar.parse_params(match[2], "Content-Disposition") if match[2] else ())

    def __str__(self) -> str:
        return self.value + grammar.format_params(self.params)

    @property
    def is_optional(self) -> bool:
        """Whether a receiver may ignore the body it does not understand (`handling=optional`)."""
        return (self.param("handling") or "").lower() == "optional"

    def param(self, name: str) -> str | None:
        return grammar.find_param(self.params, name)
