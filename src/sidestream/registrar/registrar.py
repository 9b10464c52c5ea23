"""The registrar: REGISTER requests of proven users in, the places where to call them out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sidestream.registrar.binding import Binding
from sidestream.registrar.bindings import Bindings
from sidestream.registrar.limits import Limits
from sidestream.registrar.ports import BindingStore, StoredBinding
from sidestream.registrar.register import Registration, register
from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri

DATE_FORMAT = "%a, %d %b %Y %H:%M:%S GMT"  # RFC 3261 §20.17


class Registrar:
    """Bindings in memory, written through to a store. `now` is monotonic; `wall` is the UTC time of the same moment."""

    def __init__(self, store: BindingStore, limits: Limits | None = None) -> None:
        self._store = store
        self._limits = limits or Limits()
        self._bindings = Bindings(self._limits.addresses)

    async def recover(self, is_known: Callable[[str], bool], now: float, wall: datetime) -> int:
        """Take up what was stored, of addresses that `is_known`; forget the rest. Returns how many can be reached.

        A connection has not outlived the process that held it, so its user is called at the contact's own address
        until it registers again. Raises StorageError.
        """
        for aor, stored in await self._store.all():
            bindings = [_revived(one, now, wall) for one in stored if one.expires_at > wall] if is_known(aor) else []
            alive = [binding for binding in bindings if binding is not None]
            if not alive or not self._bindings.put(aor, alive, now):
                self._store.save(aor, ())
        return self.count(now)

    def register(self, aor: str, request: Request, peer: Peer, now: float, wall: datetime) -> Registration:
        """Carry out a REGISTER whose sender may change the bindings of `aor`; gives the answer to send."""
        known = self._bindings.of(aor, now)
        outcome = register(request, known, peer, self._limits, now)
        if outcome.bindings is not None:
            if not self._bindings.put(aor, outcome.bindings, now):
                return Registration(503, headers=(("Retry-After", str(self._limits.min_expires)),))
            self._store.save(aor, tuple(_stored(binding, now, wall) for binding in outcome.bindings))
        if outcome.status != 200:
            return outcome
        return replace(outcome, headers=(*outcome.headers, ("Date", wall.astimezone(UTC).strftime(DATE_FORMAT))))

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        """Where the user of `aor` can be called, the best first; empty if not registered."""
        # RFC 3261 §16.6: by q; of equals, the one registered last.
        return tuple(sorted(self._bindings.of(aor, now), key=lambda binding: binding.q, reverse=True))

    def count(self, now: float) -> int:
        """How many addresses-of-record can be reached."""
        return self._bindings.count(now)


def _stored(binding: Binding, now: float, wall: datetime) -> StoredBinding:
    way = binding.way
    return StoredBinding(
        contact=str(binding.contact),
        call_id=binding.call_id,
        seq=binding.seq,
        q=binding.q,
        expires_at=wall + timedelta(seconds=binding.expires_at - now),
        way_transport=way.transport.value if way is not None else None,
        way_host=way.host if way is not None else None,
        way_port=way.port if way is not None else None,
        way_listener=way.listener if way is not None else None,
    )


def _revived(stored: StoredBinding, now: float, wall: datetime) -> Binding | None:
    """The binding as it was; None for one that this version cannot read."""
    try:
        contact, way = Uri.parse(stored.contact), _way(stored)
    except (MessageError, ValueError):
        return None
    from_outside = stored.way_host is not None and not is_own_ground(stored.way_host)
    if way is None and from_outside and is_own_ground(contact.address):
        return None  # only its connection led there
    expires_at = now + (stored.expires_at - wall).total_seconds()
    return Binding(contact, stored.call_id, stored.seq, expires_at, way, stored.q)


def _way(stored: StoredBinding) -> Peer | None:
    if (
        stored.way_transport is None
        or stored.way_host is None
        or stored.way_port is None
        or stored.way_listener is None
    ):
        return None
    transport = Transport(stored.way_transport)
    if transport is not Transport.UDP:
        return None
    return Peer(transport, stored.way_host, stored.way_port, stored.way_listener)
