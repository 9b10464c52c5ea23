"""What a REGISTER does to the bindings of one address-of-record (RFC 3261 §10.3, items 6 to 8)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sidestream.registrar.binding import DEFAULT_Q, Binding, way_to
from sidestream.registrar.limits import HOUR, Limits
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.sip.values import STAR, NameAddr

MAX_DIGITS = 10  # of an interval in seconds: 32 bits


@dataclass(frozen=True, slots=True)
class Registration:
    """The answer to a REGISTER. `bindings` are those that hold from now on; None: nothing changes."""

    status: int
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    bindings: tuple[Binding, ...] | None = None


def register(request: Request, known: Sequence[Binding], peer: Peer, limits: Limits, now: float) -> Registration:
    """Judge a REGISTER whose sender is proven. It changes all that it asks for, or nothing.

    `known` are the live bindings, newest first; `peer` is where the request came from.
    """
    contacts = request.contacts
    if not contacts:
        return _current(tuple(known), now)
    if any(contact.uri == STAR for contact in contacts):
        return _remove_all(request, known)
    if len(contacts) > limits.contacts:
        return Registration(400, "Too Many Contacts")
    bindings = list(known)
    for contact in contacts:
        if not contact.uri.is_sip:
            return Registration(400, "Contact Is No SIP URI")
        seconds = _interval(contact, request, limits)
        # RFC 3261 §10.3 item 7
        if 0 < seconds < min(limits.min_expires, HOUR):
            return Registration(423, headers=(("Min-Expires", str(limits.min_expires)),))
        earlier = next((binding for binding in bindings if binding.contact.equivalent(contact.uri)), None)
        if earlier is not None:
            if not _is_in_order(earlier, request):
                return _out_of_order()
            bindings.remove(earlier)
        if seconds:
            bindings.insert(0, _binding(contact, request, peer, now + min(seconds, limits.max_expires)))
    del bindings[limits.contacts :]
    return replace(_current(tuple(bindings), now), bindings=tuple(bindings))


def _remove_all(request: Request, known: Sequence[Binding]) -> Registration:
    # RFC 3261 §10.2.2, §10.3 item 6: a star stands alone, and only with Expires: 0
    if len(request.contacts) != 1 or request.expires != 0:
        return Registration(400, "Contact Star Needs Expires 0")
    if not all(_is_in_order(binding, request) for binding in known):
        return _out_of_order()
    return Registration(200, bindings=())


def _interval(contact: NameAddr, request: Request, limits: Limits) -> int:
    """Seconds that the binding shall last, as asked for (RFC 3261 §10.3 item 7)."""
    given = contact.param("expires")
    if given is not None:
        # RFC 3261 §20.10: a malformed one counts as an hour
        is_number = given.isascii() and given.isdecimal()
        return int(given.lstrip("0")[:MAX_DIGITS] or "0") if is_number else HOUR
    return limits.default_expires if request.expires is None else request.expires


def _is_in_order(binding: Binding, request: Request) -> bool:
    # RFC 3261 §10.3 items 6 and 7: another Call-ID is another client, or the same one after a restart
    return binding.call_id != request.call_id or request.cseq.number > binding.seq


def _out_of_order() -> Registration:
    # RFC 3261 §10.3 has the update fail and leaves the status open; §12.2.2 answers so for dialogs.
    return Registration(500, "CSeq Out Of Order")


def _binding(contact: NameAddr, request: Request, peer: Peer, expires_at: float) -> Binding:
    way = way_to(contact.uri, request.via, peer)
    return Binding(contact.uri.as_target(), request.call_id, request.cseq.number, expires_at, way, _q(contact))


def _q(contact: NameAddr) -> float:
    """RFC 3261 §20.10: from 0 to 1, three decimals at most; an unreadable one counts as none."""
    try:
        q = float(contact.param("q") or DEFAULT_Q)
    except ValueError:
        return DEFAULT_Q
    return round(q, 3) if 0.0 <= q <= 1.0 else DEFAULT_Q


def _current(bindings: tuple[Binding, ...], now: float) -> Registration:
    """RFC 3261 §10.3 item 8: the answer names every binding and how long it still lasts."""
    return Registration(200, headers=tuple(("Contact", _contact_text(binding, now)) for binding in bindings))


def _contact_text(binding: Binding, now: float) -> str:
    params: tuple[tuple[str, str | None], ...] = (("expires", str(max(1, round(binding.expires_at - now)))),)
    if binding.q != DEFAULT_Q:
        params = (("q", f"{binding.q:.3f}".rstrip("0").rstrip(".")), *params)
    return str(NameAddr(None, binding.contact, params))
