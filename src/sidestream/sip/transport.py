"""Where messages come from and go to: the words that the sans-IO machines and the wire share (RFC 3261 §18)."""

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """A transport protocol, spelt as in Via."""

    UDP = "UDP"
    TCP = "TCP"

    @property
    def reliable(self) -> bool:
        """True where the transport itself retransmits, so that transactions need not (RFC 3261 §17)."""
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class Peer:
    """Where bytes came from: for TCP this names the very connection. `listener` is the name of our listener."""

    transport: Transport
    host: str
    port: int
    listener: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message shall go. `host` is an IP literal (IPv6 without brackets) or a name that the wire resolves."""

    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ListenerAddress:
    """One of our listening sockets as the world sees it: what goes into Via and Contact."""

    name: str
    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes to put on the wire.

    To a `Peer` they leave by the connection (or socket) those bytes came in by, and by no other; to a `Destination` by
    an open connection to it or a new one, and for UDP by the socket of `listener`. Where that cannot be done the wire
    calls `Agent.transport_failed(transmit_id, now)`; a `transmit_id` of None asks for no such report.
    """

    data: bytes
    destination: Destination | Peer
    transmit_id: str | None = None
    listener: str = ""
