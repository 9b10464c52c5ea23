"""A dialog as seen by one of its two parties (RFC 3261 §12)."""

from dataclasses import dataclass, field

from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

DialogId = tuple[str, str, str]


@dataclass(slots=True)
class Dialog:
    """The state of RFC 3261 §12: plain values, fit to be written down and read back.

    `local` and `remote` carry their tags ("" as tag of a peer that has none, RFC 2543). `local_seq` is the number of
    our last request, `remote_seq` of the peer's last, None before its first. `route_set` is in the order to send.
    """

    call_id: str
    local: NameAddr
    remote: NameAddr
    local_seq: int
    remote_seq: int | None
    remote_target: Uri
    route_set: tuple[NameAddr, ...]
    confirmed: bool
    _written: tuple[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def id(self) -> DialogId:
        """Call-ID, local tag, remote tag."""
        return (self.call_id, self.local.tag or "", self.remote.tag or "")

    def from_and_to(self) -> tuple[str, str]:
        """The values of From and To in a request of ours; they stay the same as long as the dialog lasts."""
        if self._written is None:
            self._written = (str(self.local), str(self.remote))
        return self._written

    def next_seq(self) -> int:
        """Number the next request of ours."""
        self.local_seq += 1
        return self.local_seq

    def accept_seq(self, number: int) -> bool:
        """Note the number of a request of the peer (not of ACK or CANCEL); False if it is out of order: answer 500."""
        # RFC 3261 §12.2.2: a lower number is out of order, a gap is none. An equal one can only be the same request by
        # another path, for its copies end in the transaction.
        if self.remote_seq is not None and number <= self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take over the Contact of a target refresh (INVITE, UPDATE, or a 2xx to one)."""
        target = contact_of(message)
        if target is not None:
            self.remote_target = target

    def addressing(self) -> tuple[Uri, tuple[NameAddr, ...]]:
        """Request-URI and Route values of a request in this dialog (RFC 3261 §12.2.1.1)."""
        routes = self.route_set
        if not routes or routes[0].uri.param("lr") is not None:
            return self.remote_target, routes
        # RFC 3261 §12.2.1.1: a strict router takes itself as Request-URI and finds the target as the last Route.
        return routes[0].uri.as_target(), (*routes[1:], NameAddr(None, self.remote_target))


def uas_dialog(request: Request, local_tag: str) -> Dialog:
    """The dialog that an INVITE from a peer creates (RFC 3261 §12.1.1). Raises MessageError 400 without a Contact."""
    target = contact_of(request)
    if target is None:
        raise MessageError(400, "Missing Contact")
    return Dialog(
        call_id=request.call_id,
        local=request.to.with_tag(local_tag),
        remote=request.from_,
        local_seq=0,
        remote_seq=request.cseq.number,
        remote_target=target,
        route_set=request.record_routes,
        confirmed=False,
    )


def uac_dialog(request: Request, response: Response) -> Dialog:
    """The dialog that a 101–299 to our INVITE creates (RFC 3261 §12.1.2); early unless it is a 2xx.

    Without the Contact that the RFC demands, the target stays the Request-URI.
    """
    return Dialog(
        call_id=request.call_id,
        local=request.from_,
        remote=response.to,
        local_seq=request.cseq.number,
        remote_seq=None,
        remote_target=contact_of(response) or request.uri,
        # RFC 3261 §12.1.2: in reverse order
        route_set=response.record_routes[::-1],
        confirmed=response.status >= 200,
    )


def contact_of(message: Request | Response) -> Uri | None:
    """The sip URI of the first Contact, fit to be a Request-URI; None if there is none."""
    contacts = message.contacts
    if not contacts or not contacts[0].uri.is_sip:
        return None
    return contacts[0].uri.as_target()
