"""A session written down as plain values, and taken up again by another agent: one in a process that was restarted.

What it leaves out is what a restart cannot bring back, or what is found again: streams (the next request opens a new
one to where route set and target lead), nonces (the next challenge brings one) and transactions, so that only a session
in which nothing is under way has an image.
"""

from dataclasses import dataclass

from sidestream.sip.agent.core import Core
from sidestream.sip.agent.offers import is_free
from sidestream.sip.agent.session import Phase, Session
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.errors import LocalError
from sidestream.sip.session_timer import SessionInterval
from sidestream.sip.transport import Destination, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

# RFC 3261 §12.2.2: numbers may leave a gap, but never go back. An image may be older than the last of our requests.
SEQ_GAP = 1000


@dataclass(frozen=True, slots=True)
class SessionImage:
    """An established session in which no request is under way. Addresses are as they stand in header fields.

    `credentials` hold a password and the descriptions may hold keys: whoever keeps an image has to keep it secret.
    """

    listener: str
    transport: Transport
    contact_user: str | None
    contact_params: tuple[tuple[str, str | None], ...]
    owns_call_id: bool
    secure: bool
    call_id: str
    local: str
    remote: str
    local_seq: int
    remote_seq: int | None
    remote_target: str
    route_set: tuple[str, ...]
    peer_allows: tuple[str, ...]
    sent_sdp: bytes
    heard_sdp: bytes
    least_interval: int
    interval: SessionInterval | None = None
    credentials: DigestCredentials | None = None
    connection: Peer | None = None  # of UDP; a stream does not outlive its process
    observed: Destination | None = None
    spoken_with: tuple[str, ...] = ()


def image_of(session: Session) -> SessionImage | None:
    """The image of `session`; None while it is not established, or while anything is under way in it."""
    dialog, connection = session.dialog, session.connection
    if dialog is None or session.phase is not Phase.ESTABLISHED or session.requests or not is_free(session):
        return None
    return SessionImage(
        listener=session.listener,
        transport=session.transport,
        contact_user=session.contact_user,
        contact_params=tuple(session.contact_params),
        owns_call_id=session.owns_call_id,
        secure=session.secure,
        call_id=dialog.call_id,
        local=str(dialog.local),
        remote=str(dialog.remote),
        local_seq=dialog.local_seq,
        remote_seq=dialog.remote_seq,
        remote_target=str(dialog.remote_target),
        route_set=tuple(map(str, dialog.route_set)),
        peer_allows=tuple(sorted(session.peer_allows)),
        sent_sdp=session.sent_sdp,
        heard_sdp=session.heard_sdp,
        least_interval=session.least_interval,
        interval=session.interval,
        credentials=session.digest.credentials if session.digest is not None else None,
        connection=connection if connection is not None and not connection.transport.reliable else None,
        observed=session.observed,
        spoken_with=session.spoken_with,
    )


def restore(core: Core, clock: SessionClock, image: SessionImage, now: float) -> Session:
    """A session of `core` that goes on where `image` was taken. Raises MessageError, and LocalError without a listener
    for its transport."""
    if core.routing.listener(image.transport, image.listener) is None:
        raise LocalError(f"no listener speaks {image.transport} any more")
    dialog = Dialog(
        call_id=image.call_id,
        local=NameAddr.parse(image.local),
        remote=NameAddr.parse(image.remote),
        local_seq=image.local_seq + SEQ_GAP,
        remote_seq=image.remote_seq,
        remote_target=Uri.parse(image.remote_target),
        route_set=tuple(map(NameAddr.parse, image.route_set)),
        confirmed=True,
    )
    session = Session(
        id=core.token(),
        phase=Phase.ESTABLISHED,
        listener=image.listener,
        transport=image.transport,
        contact_user=image.contact_user,
        contact_params=image.contact_params,
        owns_call_id=image.owns_call_id,
        digest=DigestClient(image.credentials) if image.credentials is not None else None,
        connection=image.connection,
        observed=image.observed,
        spoken_with=image.spoken_with,
        secure=image.secure,
        dialog=dialog,
        peer_allows=frozenset(image.peer_allows),
        sent_sdp=image.sent_sdp,
        heard_sdp=image.heard_sdp,
        least_interval=image.least_interval,
    )
    core.add(session)
    core.bind(session, dialog)
    clock.resume(session, image.interval, now)
    return session
