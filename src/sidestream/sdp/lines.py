"""The lines of a session description and the values that some of them hold (RFC 8866 §5)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError

HOLD_ADDRESSES = frozenset({"0.0.0.0", "::"})  # RFC 3264 §8.4: the older way to say "send me nothing"
BROADCAST = IPv4Address("255.255.255.255")

REMEMBERED_CONNECTIONS = 256  # values of c= lines
REMEMBERED_LENGTH = 80  # characters of one; addresses are shorter

DIRECTION_NAMES = frozenset(direction.value for direction in Direction)


class Line(NamedTuple):
    """`kind=value`. Attributes stay whole: `Line("a", "ptime:20")`.

    A tuple and no dataclass, for each call makes some hundred, and a tuple is made in half the time.
    """

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}={self.value}"

    @property
    def attribute_name(self) -> str | None:
        """`ptime` of `a=ptime:20`; None for a line that is no attribute."""
        return self.value.partition(":")[0] if self.kind == "a" else None


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line, RFC 8866 §5.2. `address` names who made the session; media never go there."""

    username: str
    session_id: int
    version: int
    address: str

    @classmethod
    def parse(cls, value: str, line: int = 0) -> "Origin":
        fields = value.split()
        numbers_fit = len(fields) == 6 and all(f.isascii() and f.isdigit() and len(f) <= 20 for f in fields[1:3])
        if not numbers_fit:
            raise SdpError(f"malformed o= line {value[:80]!r}", line=line)
        return cls(fields[0], int(fields[1]), int(fields[2]), fields[5])

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {address_type(self.address)} {self.address}"

    def with_version(self, version: int) -> "Origin":
        return Origin(self.username, self.session_id, version, self.address)


@dataclass(frozen=True, slots=True)
class Connection:
    """The `c=` line, RFC 8866 §5.7, without the TTL of a multicast address."""

    address: str

    @classmethod
    def parse(cls, value: str, line: int = 0) -> "Connection":
        connection = _connection(value) if len(value) <= REMEMBERED_LENGTH else _connection.__wrapped__(value)
        if connection is None:
            raise SdpError(f"malformed c= line {value[:80]!r}", line=line)
        return connection

    def __str__(self) -> str:
        return f"IN {address_type(self.address)} {self.address}"

    @property
    def is_hold(self) -> bool:
        return self.address in HOLD_ADDRESSES


@lru_cache(REMEMBERED_CONNECTIONS)
def connection_line(host: str) -> Line:
    """The c= line of an address of ours."""
    return Line("c", str(Connection(host)))


# Each call asks a dozen times, and calls come from few hosts.
@lru_cache(REMEMBERED_CONNECTIONS)
def _connection(value: str) -> Connection | None:
    fields = value.split()
    return Connection(fields[2].partition("/")[0]) if len(fields) == 3 and fields[0].upper() == "IN" else None


def names_group(address: str) -> bool:
    """Whether an address is one of multicast or broadcast: no audio goes to a whole network."""
    return _names_group(address) if len(address) <= REMEMBERED_LENGTH else _names_group.__wrapped__(address)


@lru_cache(REMEMBERED_CONNECTIONS)
def _names_group(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False  # a host name; what it stands for is looked at where it is looked up
    return found.is_multicast or found == BROADCAST


def address_type(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def attribute_values(lines: Iterable[Line], name: str) -> tuple[str, ...]:
    """The values of each `a=name:value`, in order; "" for a flag. Names are case-sensitive (RFC 8866 §5.13)."""
    prefix = name + ":"
    start = len(prefix)
    return tuple(
        [value[start:] for kind, value in lines if kind == "a" and (value.startswith(prefix) or value == name)]
    )


def connection_in(lines: Iterable[Line]) -> Connection | None:
    for kind, value in lines:
        if kind == "c":
            return Connection.parse(value)
    return None


def direction_in(lines: Iterable[Line]) -> Direction | None:
    for kind, value in lines:
        if kind == "a" and value.strip() in DIRECTION_NAMES:
            return Direction(value.strip())
    return None


def without_attributes(lines: Sequence[Line], names: frozenset[str]) -> tuple[Line, ...]:
    return tuple([line for line in lines if line[0] != "a" or line[1].partition(":")[0] not in names])
