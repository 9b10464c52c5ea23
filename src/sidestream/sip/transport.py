"""Where messages come from and go to: the words that the sans-IO machines and the wire share (RFC 3261 §18)."""

from dataclasses import dataclass
from enum import StrEnum

from sidestream.sip.uri import DEFAULT_PORT, DEFAULT_TLS_PORT


class Transport(StrEnum):
    """A transport protocol, spelt as in Via."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"  # over TCP
    WS = "WS"  # RFC 7118
    WSS = "WSS"

    @property
    def reliable(self) -> bool:
        """True where the transport itself retransmits, so that transactions need not (RFC 3261 §17)."""
        return self is not Transport.UDP

    @property
    def secure(self) -> bool:
        """True over TLS."""
        return self in (Transport.TLS, Transport.WSS)

    @property
    def can_be_opened(self) -> bool:
        """False where only the peer can connect: to a WebSocket we are the server."""
        return self not in (Transport.WS, Transport.WSS)

    @property
    def param(self) -> str:
        """As `transport=` in a URI (RFC 7118 §5.2: for both kinds of WebSocket alike)."""
        return "ws" if self is Transport.WSS else self.lower()

    @property
    def default_port(self) -> int:
        """The port of a host that names none (RFC 3261 §18.2.2, RFC 3263 §4.2)."""
        return _DEFAULT_PORTS[self]


_DEFAULT_PORTS = {
    Transport.UDP: DEFAULT_PORT,
    Transport.TCP: DEFAULT_PORT,
    Transport.TLS: DEFAULT_TLS_PORT,
    # RFC 7118 §5.5
    Transport.WS: 80,
    Transport.WSS: 443,
}


@dataclass(frozen=True, slots=True)
class Peer:
    """Where bytes came from: for TCP this names the very connection. `listener` is the name of our listener."""

    transport: Transport
    host: str
    port: int
    listener: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message shall go. `host` is an IP literal, IPv6 without brackets.

    `name` is the host that the URI named: what a TLS certificate has to be for (RFC 5922 §7.1). Empty: the address.
    """

    transport: Transport
    host: str
    port: int
    name: str = ""

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host


@dataclass(frozen=True, slots=True)
class ListenerAddress:
    """One of our listening sockets as the world sees it: what goes into Via and Contact.

    `bound` is the IP literal that the socket is bound to, if `host` is another. `nat`: those who call in may stand
    behind a NAT that their Contact and Via know nothing of.
    """

    name: str
    transport: Transport
    host: str
    port: int
    bound: str = ""
    nat: bool = False

    @property
    def is_ipv6(self) -> bool:
        return ":" in (self.bound or self.host)


@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes to put on the wire.

    To a `Peer` they leave by the connection (or socket) those bytes came in by, and by no other; to a `Destination` by
    an open connection to it or a new one, and for UDP by the socket of `listener`. Where that cannot be done the wire
    calls `Agent.transport_failed(transmit_id, now, reason)`; a `transmit_id` of None asks for no such report.
    """

    data: bytes
    destination: Destination | Peer
    transmit_id: str | None = None
    listener: str = ""
