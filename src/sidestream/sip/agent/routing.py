"""Where a request goes next: from URI and Route to hops (RFC 3261 §8.1.2, §18.1.1; RFC 3263 §4)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr


@dataclass(frozen=True, slots=True)
class Hop:
    """One way to send a request. `settled`: not to be changed for another transport because of its size."""

    target: Destination | Peer
    listener: ListenerAddress
    settled: bool = False

    @property
    def transport(self) -> Transport:
        return self.target.transport


@dataclass(frozen=True, slots=True)
class Search:
    """Ways that are still to be found, for the host is a name. `preferred`: the listener to use if it can be."""

    question: Question
    preferred: str

    @property
    def transport(self) -> Transport | None:
        """What it will be, unless the name's records are to say."""
        return Transport.TLS if self.question.secure else self.question.transport


Way = Hop | Search


class Routing:
    """The agent's listeners, and the choice between them."""

    def __init__(self, listeners: Sequence[ListenerAddress]) -> None:
        self._by_name = {listener.name: listener for listener in listeners}
        self._by_transport: dict[Transport, ListenerAddress] = {}
        self._by_family: dict[tuple[Transport, bool], ListenerAddress] = {}
        for listener in listeners:
            self._by_transport.setdefault(listener.transport, listener)
            self._by_family.setdefault((listener.transport, listener.is_ipv6), listener)

    def listener(self, transport: Transport, preferred: str = "") -> ListenerAddress | None:
        """The listener called `preferred` if it speaks `transport`, else the first that does."""
        named = self._by_name.get(preferred)
        return named if named is not None and named.transport is transport else self._by_transport.get(transport)

    def has_nat(self, listener: str) -> bool:
        """Whether the listener of that name expects NAT."""
        named = self._by_name.get(listener)
        return named is not None and named.nat

    def way(self, uri: Uri, *, usual: Transport, preferred: str = "") -> Way | None:
        """The way to the host of `uri`, by `usual` unless the URI says otherwise; None if we cannot speak it."""
        if not uri.is_sip:
            return None
        named, secure = uri.param("transport"), uri.scheme == "sips"
        try:
            transport = Transport(named.upper()) if named else None
        except ValueError:
            return None
        if not (transport or usual).can_be_opened:
            return None  # RFC 7118 §5.4: but by the connection that the peer has opened
        # RFC 3261 §8.1.2 by way of RFC 3263 §4: maddr overrides the host.
        host = (uri.param("maddr") or uri.address).strip("[]")
        if not is_literal(host):
            # Whoever we speak with by a stream is found by one, too; else the name's own records decide.
            stream = usual if usual.reliable and not secure else None
            wanted = Transport.TLS if secure else transport
            if wanted is not None and wanted not in self._by_transport:
                return None
            return Search(Question(host, uri.port, transport or stream, secure), preferred)
        if secure:
            # RFC 3261 §26.2.2: sips is TLS; transport=tcp says what the TLS runs on.
            transport = None if transport is Transport.UDP else Transport.TLS
        else:
            transport = transport or usual
        if transport is None:
            return None
        return self.hop(Destination(transport, host, uri.port or transport.default_port), preferred)

    def hop(self, target: Destination, preferred: str = "") -> Hop | None:
        """The hop to `target`, from `preferred` if it speaks its transport and family; None if no listener does."""
        key = (target.transport, target.is_ipv6)
        named = self._by_name.get(preferred)
        if named is None or (named.transport, named.is_ipv6) != key:
            named = self._by_family.get(key)
        return Hop(target, named) if named is not None else None

    def likely(self, way: Way) -> ListenerAddress:
        """The listener that the way leaves from, unless a name's own records choose another."""
        if isinstance(way, Hop):
            return way.listener
        usual = way.transport or Transport.UDP
        return self.listener(usual, way.preferred) or next(iter(self._by_name.values()))

    def hops(self, targets: Iterable[Destination], preferred: str = "") -> list[Hop]:
        """The hops to those of `targets` that a listener can reach."""
        hops = (self.hop(target, preferred) for target in targets)
        return [hop for hop in hops if hop is not None]

    def back(self, peer: Peer) -> Hop | None:
        """The hop to where something came from."""
        listener = self._by_name.get(peer.listener)
        return Hop(peer, listener) if listener is not None else None

    def larger(self, hop: Hop) -> Hop | None:
        """The way for a request that is too large for `hop`'s datagrams, or None."""
        target = hop.target
        if hop.settled or target.transport is not Transport.UDP or not isinstance(target, Destination):
            return None
        return self.hop(Destination(Transport.TCP, target.host, target.port, target.name))


def next_uri(target: Uri, routes: Sequence[NameAddr]) -> Uri:
    """The URI whose host gets the request (RFC 3261 §8.1.2): the first of the route set, or else the target.

    That goes for loose routers and, by another road (§12.2.1.1), for strict ones.
    """
    return routes[0].uri if routes else target


def is_literal(host: str) -> bool:
    """Whether `host` is an IP address rather than a name: no name's last label is a number (RFC 1123 §2.1)."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def is_same_host(one: str, other: str) -> bool:
    """Whether two hosts are alike, whatever their spelling; an IPv6 address has several."""
    if one.lower() == other.lower():
        return True
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False
