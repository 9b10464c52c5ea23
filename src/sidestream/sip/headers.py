"""The header fields of a message, in order, under any spelling of their names."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sidestream.sip import grammar
from sidestream.sip.codec import native
from sidestream.sip.errors import LocalError, MessageError, malformed

T = TypeVar("T")

# A SIPREC INVITE has some 25 fields; one that crossed many proxies three times as many.
MAX_FIELDS = 256
# Long enough for a token in Identity or Authorization; each field may be copied into answers and logs.
MAX_FIELD_LENGTH = 8192

# RFC 3261 §7.3.3 and the extension RFCs: the one-letter forms.
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
_KNOWN = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "Call-ID",
    "Call-Info",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Diversion",
    "Error-Info",
    "Event",
    "Expires",
    "From",
    "History-Info",
    "Identity",
    "Identity-Info",
    "In-Reply-To",
    "Info-Package",
    "Join",
    "Max-Forwards",
    "MIME-Version",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Asserted-Identity",
    "P-Charging-Vector",
    "P-Early-Media",
    "P-Preferred-Identity",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Reject-Contact",
    "Remote-Party-ID",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Require",
    "Retry-After",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Session-ID",
    "SIP-ETag",
    "SIP-If-Match",
    "Subject",
    "Subscription-State",
    "Supported",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "User-to-User",
    "Via",
    "Warning",
    "WWW-Authenticate",
)
# Every spelling worth a dictionary look-up: canonical, lower case, upper case, compact.
_CANONICAL: dict[str, str] = {
    **{spelling: name for name in _KNOWN for spelling in (name, name.lower(), name.upper())},
    **{spelling: name for letter, name in _COMPACT.items() for spelling in (letter, letter.upper())},
}


# RFC 3261 §8.2.6.2: what a response repeats from its request behind all of its Via fields.
_REPEATED = ("From", "To", "Call-ID", "CSeq")


def canonical_name(name: str) -> str:
    """The long name in its usual case; an unknown name as it is given. Raises LocalError when it is no token."""
    known = _CANONICAL.get(name) or _CANONICAL.get(name.lower())
    if known is not None:
        return known
    if not grammar.is_token(name):
        raise LocalError(f"not a header field name: {name!r}")
    return name


def _key(name: str) -> str:
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower()) or name.lower()


class PythonHeaders:
    """An ordered list of (name, value) fields; names match without regard to case or compact form. Known as `Headers`.

    A value with CR or LF is refused with LocalError whichever way it comes in, so no value can make a field of its own.
    """

    __slots__ = ("_index", "_items", "_parsed")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = [checked_field(name, value) for name, value in items]
        self._index: dict[str, tuple[str, ...]] | None = None
        self._parsed: dict[str, Any] = {}

    @classmethod
    def from_wire(cls, items: list[tuple[str, str]]) -> "PythonHeaders":
        """Take over fields whose names are canonical and whose values hold no line break: what the parser made."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._index = None
        headers._parsed = {}
        return headers

    def get(self, name: str) -> str | None:
        """The value of the first field called `name`, or None."""
        values = self._lookup(name)
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """The values of all fields called `name`, one per field, lists not taken apart."""
        return list(self._lookup(name))

    def values(self, name: str) -> list[str]:
        """The elements of the comma lists of all fields called `name`; empty elements are left out."""
        return [element for value in self._lookup(name) for element in grammar.split_list(value) if element]

    def parsed(self, name: str, parse: Callable[[Sequence[str]], T]) -> T:
        """What `parse` makes of the values of `name` (canonical), kept until they change. One parser a name."""
        try:
            result: T = self._parsed[name]
        except KeyError:
            result = self._parsed[name] = parse(self._lookup(name))
        return result

    def parse_all(self, parsers: Mapping[str, Callable[[Sequence[str]], object]]) -> None:
        """Call `parsed` for each name of `parsers` that a field here has."""
        for name, parse in parsers.items():
            if self._lookup(name):
                self.parsed(name, parse)

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        field = checked_field(name, value)
        self._items.append(field)
        if self._index is None:  # so nothing has been parsed either
            return
        key = _key(field[0])
        self._forget(key)
        self._index[key] = (*self._index.get(key, ()), field[1])

    def insert_first(self, name: str, value: str) -> None:
        """Put a field before all others: how a Via or Record-Route is added."""
        field = checked_field(name, value)
        self._items.insert(0, field)
        key = _key(field[0])
        self._forget(key)
        if self._index is not None:
            self._index[key] = (field[1], *self._index.get(key, ()))

    def replace(self, name: str, *values: str) -> None:
        """Make `values` the only fields called `name`, where the first of them stood, else at the end."""
        fields = [checked_field(name, value) for value in values]
        key = _key(name)
        position = len(self._items)
        for index, (other, _) in enumerate(self._items):
            if _key(other) == key:
                position = index
                break
        rest = [item for item in self._items[position:] if _key(item[0]) != key]
        self._items[position:] = fields + rest
        self._forget(key)
        if self._index is not None:
            self._index[key] = tuple([value for _, value in fields])

    def remove(self, name: str) -> None:
        """Drop every field called `name`."""
        self.replace(name)

    def items(self) -> list[tuple[str, str]]:
        """All fields in order, as (canonical name, value)."""
        return list(self._items)

    def repeated(self) -> "PythonHeaders":
        """The fields of a response to a request with these (RFC 3261 §8.2.6.2)."""
        items = [("Via", value) for value in self._lookup("Via")]
        items += [(name, values[0]) for name in _REPEATED if (values := self._lookup(name))]
        return PythonHeaders.from_wire(items)

    def to_bytes(self, start_line: str, body: bytes) -> bytes | None:
        """The message with these fields, and with the Content-Length of `body`; `start_line` has its line break.

        None when a text is one that UTF-8 cannot hold.
        """
        lines = [f"{name}: {value}\r\n" for name, value in self._items if name != "Content-Length"]
        text = f"{start_line}{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        try:
            return text.encode() + body
        except UnicodeEncodeError:
            return None

    def copy(self) -> "PythonHeaders":
        return PythonHeaders.from_wire(list(self._items))

    def __contains__(self, name: str) -> bool:
        return bool(self._lookup(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (PythonHeaders, Headers)) and self._items == other.items()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"

    def _forget(self, key: str) -> None:
        self._parsed.pop(key, None)
        if key not in _CANONICAL:  # it may be there under several spellings
            for name in [name for name in self._parsed if name.lower() == key]:
                del self._parsed[name]

    def _lookup(self, name: str) -> Sequence[str]:
        index = self._index
        if index is None:
            index = self._index = {}
            for field, value in self._items:
                key = _CANONICAL.get(field) or field.lower()
                # Tuples of text are no work for the garbage collector, lists would be, and messages live for a while.
                index[key] = (*index[key], value) if key in index else (value,)
        # Nearly always the name is given as it stands in the index.
        values = index.get(name)
        return values if values is not None else index.get(_key(name), ())


# Both are the same class to whoever uses them: a test sees to it.
if TYPE_CHECKING:
    Headers = PythonHeaders
else:
    Headers = PythonHeaders if native is None else native.Headers

_FOLD = re.compile(r"[ \t]*+\r\n[ \t]++")


def parse_fields(text: str) -> tuple[PythonHeaders, MessageError | None]:
    """Read header lines, without the empty one at their end.

    Bad lines are left out and the first of them makes the error, so that the readable rest can still make an answer.
    """
    # RFC 3261 §7.3.1: a line that begins with a blank continues the one before.
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    items: list[tuple[str, str]] = []
    problem: MessageError | None = None
    lines = text.split("\r\n") if text else []
    if len(lines) > MAX_FIELDS:
        problem = MessageError(400, "Too Many Header Fields")
        lines = lines[:MAX_FIELDS]
    if len(text) > MAX_FIELD_LENGTH and any(len(line) > MAX_FIELD_LENGTH for line in lines):
        problem = MessageError(400, "Header Field Too Long")
        lines = [line for line in lines if len(line) <= MAX_FIELD_LENGTH]
    canonical = _CANONICAL.get
    for line in lines:
        name, colon, value = line.partition(":")
        known = canonical(name)
        if known is None:
            known = _wire_name(name) if colon else None
        # A lone CR or LF would become a line break of its own where we pass the value on.
        if known is None or "\n" in value or "\r" in value:
            problem = problem or malformed("header field")
        else:
            items.append((known, value.strip(" \t")))
    return PythonHeaders.from_wire(items), problem


def _wire_name(text: str) -> str | None:
    """The canonical form of a name as a peer wrote it, blanks before the colon allowed; None when it is no name."""
    name = text.rstrip(" \t")
    return _CANONICAL.get(name) or _CANONICAL.get(name.lower()) or (name if grammar.is_token(name) else None)


def checked_field(name: str, value: str) -> tuple[str, str]:
    """Canonical name and stripped value. Raises LocalError when they cannot make one field."""
    if "\r" in value or "\n" in value:
        raise LocalError(f"line break in the value of {name}")
    return _CANONICAL.get(name) or canonical_name(name), value.strip(" \t")
