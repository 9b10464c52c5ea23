"""An INVITE without a final answer, written down so that the agent of the next process can end it in order.

It cannot go on: what the application was doing with it is lost. But both sides wait, one for an answer and one for
somebody to pick up, and neither would learn for minutes that nobody is there any more.
"""

from dataclasses import dataclass

from sidestream.sip.agent.caller import Caller
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.routing import Hop
from sidestream.sip.agent.session import Exchange, Phase, Session
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transaction.layer import RequestArrived
from sidestream.sip.transport import Destination, Peer

LOST_STATUS = 500  # not 503, after which a proxy leaves us alone for a while (RFC 3263 §4.3)
RETRY_S = 1  # Retry-After: we are there again


@dataclass(frozen=True, slots=True)
class UnansweredImage:
    """`invite`: as it was received, or as it was sent last; answers go, or it went, to one of the two addresses.

    `tag`: ours in the answers to a received one; None of one that we sent. It may hold keys and credentials.
    """

    invite: bytes
    listener: str
    tag: str | None = None
    destination: Destination | None = None
    connection: Peer | None = None


def unanswered_image_of(core: Core, session: Session) -> UnansweredImage | None:
    """None unless `session` is the peer's INVITE without our answer, or ours that the peer has heard of."""
    if session.phase is Phase.RINGING and session.incoming is not None and session.dialog is not None:
        target, listener = core.layer.way_of(session.incoming.key)
        request, tag = session.incoming.request, session.dialog.local.tag
    elif session.phase is Phase.CALLING and session.invite is not None and session.invite.provisional:
        hop = session.invite.hop
        assert hop is not None  # a response has come by it
        target, listener, request, tag = hop.target, hop.listener.name, session.invite.request, None
    else:
        return None
    return UnansweredImage(
        request.to_bytes(),
        listener,
        tag,
        destination=target if isinstance(target, Destination) else None,
        connection=target if isinstance(target, Peer) else None,
    )


def end_unanswered(core: Core, caller: Caller, image: UnansweredImage, now: float) -> None:
    """Refuse the INVITE if it is the peer's, cancel it if it is ours. Raises MessageError if it is neither."""
    request = parse_message(image.invite)
    target = image.connection or image.destination
    if not isinstance(request, Request) or request.method != "INVITE" or target is None:
        raise MessageError(400, "Not an INVITE")
    listener = core.routing.listener(target.transport, image.listener)
    if listener is None:
        return
    hop = Hop(target, listener, settled=True)
    if image.tag is not None:
        _refuse(core, request, hop, image.tag, now)
    else:
        _cancel(core, caller, request, hop, now)


def _refuse(core: Core, request: Request, hop: Hop, tag: str, now: float) -> None:
    target = hop.target
    if isinstance(target, Destination):
        target = Peer(target.transport, target.host, target.port, hop.listener.name)
    core.layer.receive_request(request, target, now)
    arrived = core.layer.poll_event()
    if isinstance(arrived, RequestArrived):
        headers = [("Retry-After", str(RETRY_S))]
        core.layer.respond(arrived.key, core.compose.response(request, LOST_STATUS, tag=tag, headers=headers), now)


def _cancel(core: Core, caller: Caller, request: Request, hop: Hop, now: float) -> None:
    """The INVITE is sent again as it was: to its server a copy, upon which it says again how far it has come.

    So it is cancelled if it still rings (RFC 3261 §9.1), and acknowledged and hung up if it was answered meanwhile.
    """
    session = Session(
        id=core.token(),
        phase=Phase.CALLING,
        listener=hop.listener.name,
        transport=hop.listener.transport,
        contact_user=None,
        contact_params=(),
        owns_call_id=True,
    )
    core.add(session)
    session.invite = exchange = Exchange(request, [], caller, session, None, lambda: 0, hop=hop)
    exchange.key = core.layer.request(request, request.to_bytes(), hop.target, hop.listener.name, exchange, now)
    caller.cancel(session, (), now)
