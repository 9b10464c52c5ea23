"""One place where a registered user can be reached."""

from dataclasses import dataclass

from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import Via

DEFAULT_Q = 1.0  # of a Contact without one: nothing says that another one is better


@dataclass(frozen=True, slots=True)
class Binding:
    """A contact of one address-of-record. `expires_at` is on the axis of `now`.

    `way` is where requests for `contact` have to be sent, whatever the contact's own address says: a phone behind a
    NAT, or at the end of a connection that it opened. None: the contact's own address will do.
    """

    contact: Uri
    call_id: str
    seq: int
    expires_at: float
    way: Peer | None = None
    q: float = DEFAULT_Q


def way_to(contact: Uri, via: Via, peer: Peer) -> Peer | None:
    """How to reach a contact whose REGISTER came from `peer` with that topmost Via."""
    if peer.transport is not Transport.UDP:
        return peer
    # RFC 3581 §4: without rport the sender does not say that it can be reached at the port it sends from.
    if contact.address.lower() == peer.host.lower() and not via.wants_rport:
        return None
    return peer
