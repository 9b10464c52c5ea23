"""Where a request goes next: from URI and Route to hops (RFC 3261 §8.1.2, §18.1.1; numeric part of RFC 3263 §4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import DEFAULT_PORT, Uri
from sidestream.sip.values import NameAddr


@dataclass(frozen=True, slots=True)
class Hop:
    """One way to send a request. `settled`: not to be changed for another transport because of its size."""

    target: Destination | Peer
    listener: ListenerAddress
    settled: bool = False


class Routing:
    """The agent's listeners, and the choice between them."""

    def __init__(self, listeners: Sequence[ListenerAddress]) -> None:
        self._by_name = {listener.name: listener for listener in listeners}
        self._by_transport: dict[Transport, ListenerAddress] = {}
        for listener in listeners:
            self._by_transport.setdefault(listener.transport, listener)

    def listener(self, transport: Transport, preferred: str = "") -> ListenerAddress | None:
        """The listener called `preferred` if it speaks `transport`, else the first that does."""
        named = self._by_name.get(preferred)
        return named if named is not None and named.transport is transport else self._by_transport.get(transport)

    def hop(self, uri: Uri, *, usual: Transport, preferred: str = "") -> Hop | None:
        """The hop to the host of `uri`, by `usual` unless the URI names its transport; None if we cannot speak it."""
        if uri.scheme != "sip":
            return None
        named = uri.param("transport")
        try:
            transport = Transport(named.upper()) if named else usual
        except ValueError:
            return None
        listener = self.listener(transport, preferred)
        if listener is None:
            return None
        # RFC 3261 §8.1.2 by way of RFC 3263 §4: maddr overrides the host.
        host = uri.param("maddr") or uri.address
        return Hop(Destination(transport, host, uri.port or DEFAULT_PORT), listener)

    def larger(self, hop: Hop) -> Hop | None:
        """The way for a request that is too large for `hop`'s datagrams, or None."""
        target = hop.target
        listener = self._by_transport.get(Transport.TCP)
        if hop.settled or target.transport is not Transport.UDP or listener is None:
            return None
        return Hop(Destination(Transport.TCP, target.host, target.port), listener)


def next_uri(target: Uri, routes: Sequence[NameAddr]) -> Uri:
    """The URI whose host gets the request (RFC 3261 §8.1.2): the first of the route set, or else the target.

    That goes for loose routers and, by another road (§12.2.1.1), for strict ones.
    """
    return routes[0].uri if routes else target
