"""The agent's common ground: its settings, its layer, its sessions and the way out for events."""

from collections import deque
from collections.abc import Iterable

from sidestream.base.ids import Ids
from sidestream.base.timer_table import TimerTable
from sidestream.sip.agent.compose import Composer, Fields, contact_value
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.errors import UnknownSession
from sidestream.sip.agent.events import AgentEvent, EndCause, ReinviteRejected, RequestAnswered, SessionEnded
from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.agent.nat import observed_target
from sidestream.sip.agent.routing import Hop, Routing, Way, is_same_host, next_uri
from sidestream.sip.agent.searching import Searches
from sidestream.sip.agent.session import Incoming, Phase, Session, SessionTimer
from sidestream.sip.dialog.dialog import Dialog, DialogId
from sidestream.sip.grammar import Params
from sidestream.sip.message import Request
from sidestream.sip.transaction.layer import TransactionLayer
from sidestream.sip.transport import Destination, Peer
from sidestream.sip.values import BRANCH_COOKIE

# RFC 3261 §14.1: how long each side waits after a 491, in seconds; the ranges do not meet.
GLARE_OWNER = (2.1, 4.0)
GLARE_OTHER = (0.0, 2.0)
MAX_HOSTS = 32  # addresses known of one peer: a carrier with more servers has a trunk that names them
MAX_RETRY_AFTER = 10  # seconds; RFC 3261 §14.2
_SESSION_TIMERS = tuple(SessionTimer)
TOKEN_OCTETS = 12  # 96 bits; RFC 3261 §19.3 asks for 32 bits of chance in a tag


class Core:
    """Shared by the parts of one agent; none of them keeps state of its own about a session."""

    def __init__(self, config: AgentConfig, ids: Ids) -> None:
        self.config = config
        self.ids = ids
        self.compose = Composer(config)
        self.routing = Routing(config.listeners)
        self.searches = Searches(self.routing)
        nat = frozenset(listener.name for listener in config.listeners if listener.nat)
        self.layer = TransactionLayer(config.timers, nat)
        self.timers: TimerTable[tuple[str, SessionTimer]] = TimerTable()
        self.sessions: dict[str, Session] = {}
        self.events: deque[AgentEvent] = deque()
        self._live = 0  # sessions that have not ended
        self._waiting: dict[str, Session] = {}  # by the key of the INVITE transaction
        self._by_dialog: dict[DialogId, tuple[Session, Dialog]] = {}

    def token(self) -> str:
        """A fresh unguessable word, for tags, branches, Call-IDs and sessions."""
        return self.ids.octets(TOKEN_OCTETS).hex()

    def branch(self) -> str:
        """A fresh branch for a Via."""
        return BRANCH_COOKIE + self.token()

    def session(self, name: str) -> Session:
        session = self.sessions.get(name)
        if session is None:
            raise UnknownSession(name)
        return session

    def add(self, session: Session) -> None:
        self.sessions[session.id] = session
        self._live += 1

    @property
    def is_full(self) -> bool:
        """Whether there are as many sessions as there may be."""
        limit = self.config.session_limit
        return limit is not None and self._live >= limit

    def bind(self, session: Session, dialog: Dialog) -> None:
        """Let requests inside `dialog` find `session`."""
        self._by_dialog[dialog.id] = (session, dialog)

    def unbind(self, dialog: Dialog) -> None:
        self._by_dialog.pop(dialog.id, None)

    def find(self, request: Request) -> tuple[Session, Dialog] | None:
        """The session and dialog that a peer's request names."""
        return self._by_dialog.get((request.call_id, request.to.tag or "", request.from_.tag or ""))

    def named(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        """The session of a dialog that a third party names, also one that has just ended."""
        found = self._by_dialog.get((call_id, local_tag, remote_tag))
        return None if found is None else found[0]

    def open(self, session: Session, incoming: Incoming) -> None:
        """Note that `session` has an INVITE of the peer to answer."""
        session.incoming = incoming
        self._waiting[incoming.key] = session

    def settle(self, session: Session) -> None:
        """Note that it has none any more."""
        if session.incoming is not None:
            del self._waiting[session.incoming.key]
            session.incoming = None

    def waiting(self, invite_key: str) -> Session | None:
        """The session whose unanswered INVITE is that transaction."""
        return self._waiting.get(invite_key)

    def emit(self, event: AgentEvent) -> None:
        self.events.append(event)

    def refuse(self, key: str, request: Request, status: int, now: float, headers: Fields = ()) -> None:
        """Answer a request that goes no further."""
        self.layer.respond(key, self.compose.response(request, status, tag=self.token(), headers=headers), now)

    def contact(self, session: Session, params: Params | None = None) -> str:
        """The session's Contact; `params` other than None become those of the session."""
        if params is not None:
            session.contact_params = params
        listener = self.routing.listener(session.transport, session.listener)
        assert listener is not None  # a session is only made where there is one
        return contact_value(listener, session.contact_user, session.contact_params, secure=session.secure)

    def glare_wait(self, session: Session) -> float:
        """Seconds to wait after a 491 (RFC 3261 §14.1)."""
        return self.ids.fraction(*(GLARE_OWNER if session.owns_call_id else GLARE_OTHER))

    def retry_after(self) -> tuple[str, str]:
        """The field of a 500 to an offer that has met another (RFC 3261 §14.2, RFC 3311 §5.2)."""
        return "Retry-After", str(self.ids.integer(0, MAX_RETRY_AFTER))

    def ways_by(self, peer: Peer, others: list[Way]) -> list[Way]:
        """The way back to where a message came from; behind it, if that was a stream, the `others`."""
        listener = self.routing.listener(peer.transport, peer.listener)
        if listener is None:
            return others
        return [Hop(peer, listener, settled=True), *(others if peer.transport.reliable else ())]

    def hops(self, session: Session, dialog: Dialog) -> list[Way]:
        """The ways to the peer of `dialog`, best first; empty if its URI asks for something we do not speak."""
        if session.observed is not None and not dialog.route_set:
            seen = self.routing.hop(session.observed, session.listener)
            return [seen] if seen is not None else []
        connection = session.connection
        if connection is not None and not connection.transport.can_be_opened:
            return self.ways_by(connection, [])
        uri = next_uri(dialog.remote_target, dialog.route_set)
        way = self.routing.way(uri, usual=session.transport, preferred=session.listener)
        if way is None:
            return []
        if connection is None or connection.transport is not (way.transport or session.transport):
            return [way]
        # A phone that we called where it registered from: its Contact may name an address behind a NAT.
        return [way] if dialog.route_set and not connection.transport.reliable else self.ways_by(connection, [way])

    def note_caller(self, session: Session, request: Request, dialog: Dialog, peer: Peer) -> None:
        """Remember where the peer of a first INVITE is seen, for its Contact may not lead there."""
        # A stream may be used again if nobody stands between (one Via; the Contact behind a NAT then leads nowhere
        # else) or if the next hop is where the stream comes from.
        hosts = (peer.host, *(via.received or via.address for via in request.vias[:MAX_HOSTS]))
        session.spoken_with = tuple(dict.fromkeys(hosts))
        next_hop = next_uri(dialog.remote_target, dialog.route_set).address
        is_only_way = not peer.transport.can_be_opened
        if peer.transport.reliable and (len(request.vias) == 1 or next_hop == peer.host or is_only_way):
            session.connection = peer
        elif not peer.transport.reliable:
            source = Destination(peer.transport, peer.host, peer.port)
            session.observed = observed_target(dialog, source, nat=self.routing.has_nat(peer.listener))

    def note_callee(self, session: Session, dialog: Dialog, hop: Hop | None) -> None:
        """The same for who has accepted our INVITE, sent by `hop`."""
        if hop is not None and isinstance(hop.target, Destination):
            session.observed = observed_target(dialog, hop.target, nat=hop.listener.nat)

    def speak_with(self, session: Session, hosts: Iterable[str]) -> None:
        """Note addresses that requests of ours in `session` go to, or may go to: what answers there has its ids."""
        new = [host for host in hosts if host not in session.spoken_with]
        if new:
            session.spoken_with = (*session.spoken_with, *new)[:MAX_HOSTS]

    def is_outside(self, session: Session) -> bool:
        """Whether the session's peer is not on this machine or link, as far as is known."""
        return session.confined if not session.spoken_with else not is_own_ground(session.spoken_with[0])

    def may_take(self, session: Session, hop: Hop) -> bool:
        """Whether a request of the session may go that way: not to an address of our own ground for somebody outside.

        The connection that a peer came by is always good.
        """
        return isinstance(hop.target, Peer) or not is_own_ground(hop.target.host) or not self.is_outside(session)

    def is_own_peer(self, session: Session, dialog: Dialog, peer: Peer) -> bool:
        """Whether what came from `peer` came from where the peer of `dialog`, or a proxy before it, is known to be.

        Known are the address that its INVITE came from, the hosts of that one's Vias (a proxy that does not record its
        route leaves the phone's there), those that our requests in the session went to, all addresses of a name
        included, and what the dialog itself names: its Contact and its route set. What was agreed by TLS is not changed
        by less: a sender of UDP can claim any address.
        """
        if session.transport.secure and not peer.transport.secure:
            # RFC 3261 §26.2.1: the hop that TLS has protected stays so, unless its other end has named another way.
            named = next_uri(dialog.remote_target, dialog.route_set).param("transport")
            if session.secure or named is None or named.upper() != peer.transport:
                return False
        if peer.host in session.spoken_with:
            return True
        hosts = (dialog.remote_target.address, *(route.uri.address for route in dialog.route_set))
        return any(is_same_host(peer.host, host) for host in (*hosts, *session.spoken_with))

    def end(self, session: Session, cause: EndCause, now: float) -> None:
        """Make `session` over: its last events, and a while of deaf-mute life for what is still under way."""
        session.phase = Phase.ENDED
        self._live -= 1
        self.timers.stop_all([(session.id, timer) for timer in _SESSION_TIMERS])
        for name, exchange in session.requests.items():
            exchange.owner = None
            self.emit(RequestAnswered(name, session.id, None))
        session.requests.clear()
        if session.invite is not None and session.dialog is not None and not session.invite.is_refresh:
            self.emit(ReinviteRejected(session.id, None))
        self.settle(session)
        session.unacked = session.held_bye = None
        self.timers.set((session.id, SessionTimer.FORGET), now + self.config.timers.patience)
        self.emit(SessionEnded(session.id, cause))

    def forget(self, session: Session) -> None:
        """Drop the last trace of an ended session."""
        del self.sessions[session.id]
        for dialog in (*session.early.values(), *((session.dialog,) if session.dialog is not None else ())):
            self.unbind(dialog)
