"""What to listen on, and what the outside is told about it."""

import socket
from dataclasses import dataclass

from sidestream.sip.transport import ListenerAddress, Transport

_WILDCARDS = frozenset({"", "0.0.0.0", "::"})
# RFC 5737, RFC 3849: addresses for documentation. Nothing is sent; the kernel only picks the source it would use.
_FAR_AWAY = {socket.AF_INET: ("198.51.100.1", 9), socket.AF_INET6: ("2001:db8::1", 9)}
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket to bind. `host` is an IP literal, without brackets. Port 0 takes any free one.

    `advertised_host` goes into Via and Contact instead of `host`; it is needed behind a NAT. Without it a wildcard is
    advertised as the address that this machine's default route leaves from. `nat`: peers may stand behind a NAT that
    their Contact and Via know nothing of; then they are answered, and reached in dialogs, where they are seen.
    `origins`: of WebSocket, the web sites (`https://phone.example.com`) whose pages may connect; programs send none.
    """

    name: str
    transport: Transport
    host: str
    port: int
    advertised_host: str | None = None
    nat: bool = False
    origins: tuple[str, ...] = ()

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_wildcard(self) -> bool:
        return self.host in _WILDCARDS

    def advertised(self, port: int) -> ListenerAddress:
        """How the agent presents this listener, bound to `port`."""
        host = self.advertised_host or (default_source(self.family) if self.is_wildcard else self.host)
        return ListenerAddress(self.name, self.transport, host, port, self.host, self.nat)


def default_source(family: socket.AddressFamily) -> str:
    """The address that packets to the wide world leave from; loopback on a machine without a route."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_FAR_AWAY[family])
        except OSError:
            return _LOOPBACK[family]
        return str(probe.getsockname()[0])
