"""Sending a request and seeing it through: challenges, 422, too large for UDP, one server after the other."""

from functools import partial

from sidestream.sip import session_timer
from sidestream.sip.agent.blocklist import BLOCK_S
from sidestream.sip.agent.compose import via_of
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.routing import Hop, Search
from sidestream.sip.agent.session import Cancel, Exchange, Phase, SentAck, Session
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response
from sidestream.sip.session_timer import Fields
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Destination, Peer

MAX_RETRIES = 3  # of one request: a proxy's challenge, a server's, and one stale nonce or 422
UNREACHABLE = "the address that it names is of no use outside its own machine or link"
ACK_PREFIX = "a|"  # transmit ids of the ACKs of 2xx, which no transaction owns


class Exchanges:
    """Runs every `Exchange` of one agent."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def start(self, exchange: Exchange, now: float) -> None:
        """Send the request by its first hop. With none, the owner is told of a failure at once."""
        if exchange.digest is not None:
            self._authorize(exchange)
        if not exchange.hops:
            exchange.reason = "we have no listener for the transport that its address asks for"
        self._next_hop(exchange, now)

    def receive_response(self, exchange: Exchange, response: Response, now: float) -> None:
        if response.status < 200:
            exchange.provisional = True
        elif (
            self._answer_challenge(exchange, response, now)
            or self._lengthen_interval(exchange, response, now)
            or self._is_unavailable(exchange, response, now)
        ):
            return
        if exchange.owner is not None:
            exchange.owner.answered(exchange, response, now)

    def receive_failure(self, exchange: Exchange, cause: Failure, reason: str, now: float) -> None:
        hop = exchange.hop
        if hop is None:
            return  # a CANCEL: its INVITE ends the matter
        exchange.failure, exchange.reason = cause, reason
        if isinstance(hop.target, Destination):
            self._core.searches.blocklist.block(hop.target, now)
        elif cause is Failure.TRANSPORT and exchange.session is not None:
            exchange.session.connection = None
        if cause is Failure.TIMEOUT:
            # Silence by a stream is no reason to ask the same host again; only other targets are left.
            same_host = isinstance(hop.target, Peer)
            exchange.hops = [] if same_host else [w for w in exchange.hops if not (isinstance(w, Hop) and w.settled)]
        # RFC 3263 §4.3. RFC 3261 §18.1.1: what was moved to TCP for its size is tried by UDP when TCP is refused.
        if exchange.hops and not exchange.provisional and _is_wanted(exchange):
            self._renew(exchange)
            self._next_hop(exchange, now)
        elif exchange.owner is not None:
            exchange.owner.failed(exchange, cause, now)

    def send_ack(self, session: Session, ack: SentAck) -> None:
        """Put the ACK of a 2xx on the wire, as often as its 2xx comes (RFC 3261 §13.2.2.4)."""
        ways = self._core.hops(session, ack.dialog)
        way = ways[0] if ways else None
        if isinstance(way, Search):
            self._core.searches.start(way, partial(self._ack_located, session, ack))
        elif way is not None:
            self._put_ack(session, ack, way)

    def _ack_located(self, session: Session, ack: SentAck, hops: list[Hop], _reason: str, _now: float) -> None:
        if hops:
            self._put_ack(session, ack, hops[0])

    def _put_ack(self, session: Session, ack: SentAck, hop: Hop) -> None:
        if not self._core.may_take(session, hop):
            return
        ack.request.headers.replace("Via", via_of(hop.listener, self._core.branch()))
        data = ack.request.to_bytes()
        larger = self._core.routing.larger(hop) if len(data) > self._core.config.udp_limit else None
        hop = larger or hop
        if larger is not None:
            ack.request.headers.replace("Via", via_of(hop.listener, self._core.branch()))
            data = ack.request.to_bytes()
        transmit_id = f"{ACK_PREFIX}{session.id}" if isinstance(hop.target, Peer) else None
        self._core.layer.send_stateless(data, hop.target, hop.listener.name, transmit_id)

    def ack_failed(self, name: str) -> None:
        """The stream under the last ACK of a session is gone: send it by a new one."""
        session = self._core.sessions.get(name)
        if session is None or session.connection is None or not session.acks:
            return
        session.connection = None
        self.send_ack(session, next(reversed(session.acks.values())))

    def _next_hop(self, exchange: Exchange, now: float) -> None:
        exchange.provisional, exchange.hop = False, None
        if not exchange.hops:
            assert exchange.owner is not None
            exchange.owner.failed(exchange, exchange.failure, now)
            return
        way = exchange.hops.pop(0)
        if isinstance(way, Search):
            self._core.searches.start(way, partial(self._located, exchange))
            return
        if exchange.session is not None and not self._core.may_take(exchange.session, way):
            exchange.reason = UNREACHABLE
            self._next_hop(exchange, now)
            return
        exchange.hop = way
        self._adopt(exchange, way)
        self._send(exchange, now)

    def _located(self, exchange: Exchange, hops: list[Hop], reason: str, now: float) -> None:
        exchange.hops[:0] = hops
        session = exchange.session
        if session is not None:
            self._core.speak_with(session, [hop.target.host for hop in hops if self._core.may_take(session, hop)])
        if not hops:
            exchange.reason = reason
        if exchange.owner is not None:
            self._next_hop(exchange, now)

    def _adopt(self, exchange: Exchange, hop: Hop) -> None:
        """Let the Contact of a session's first INVITE be where it leaves from."""
        session, listener = exchange.session, hop.listener
        if session is None or session.invite is not exchange or session.dialog is not None:
            return
        if session.listener != listener.name:
            session.listener, session.transport = listener.name, listener.transport
            exchange.request.headers.replace("Contact", self._core.contact(session))

    def _is_unavailable(self, exchange: Exchange, response: Response, now: float) -> bool:
        """Send the request to the next target if this one is out of service (RFC 3263 §4.3)."""
        if response.status != 503 or exchange.hop is None:
            return False
        wait = response.retry_after
        if isinstance(exchange.hop.target, Destination):
            self._core.searches.blocklist.block(exchange.hop.target, now, BLOCK_S if wait is None else wait)
        others = [way for way in exchange.hops if not (isinstance(way, Hop) and way.settled)]
        if not others or not _is_wanted(exchange):
            return False
        exchange.hops = others
        self._renew(exchange)
        self._next_hop(exchange, now)
        return True

    def _renew(self, exchange: Exchange) -> None:
        """Go on with a copy of the request, for the last one is still its transaction's."""
        old = exchange.request
        exchange.request = Request(old.method, old.uri, old.headers.copy(), old.body)

    def _send(self, exchange: Exchange, now: float) -> None:
        core = self._core
        hop = exchange.hop
        assert hop is not None
        branch = core.branch()
        data = _with_via(exchange.request, via_of(hop.listener, branch))
        if len(data) > core.config.udp_limit:
            # RFC 3261 §18.1.1: too large for a datagram, so by TCP, with the Via changed to match.
            larger = core.routing.larger(hop)
            if larger is not None:
                exchange.hops.insert(0, Hop(hop.target, hop.listener, settled=True))
                exchange.hop = hop = larger
                data = _with_via(exchange.request, via_of(hop.listener, branch))
        exchange.provisional = False
        if exchange.session is not None:
            core.speak_with(exchange.session, (hop.target.host,))
        others = any(isinstance(way, Search) or not way.settled for way in exchange.hops)
        patience = core.config.failover_s if others and isinstance(hop.target, Destination) else None
        exchange.key = core.layer.request(
            exchange.request, data, hop.target, hop.listener.name, exchange, now, branch=branch, patience=patience
        )

    def _answer_challenge(self, exchange: Exchange, response: Response, now: float) -> bool:
        """Send the request once more if `response` is a challenge that we can answer."""
        digest = exchange.digest
        if response.status not in (401, 407) or digest is None or exchange.owner is None:
            return False
        if exchange.retries == MAX_RETRIES or not digest.receive_response(response):
            return False
        self._again(exchange, now)
        return True

    def _lengthen_interval(self, exchange: Exchange, response: Response, now: float) -> bool:
        """Send the request once more if the peer wants a longer session interval (RFC 4028 §7.3)."""
        session, policy = exchange.session, self._core.config.session_timer
        if response.status != 422 or session is None or policy is None or exchange.owner is None:
            return False
        if session.phase is Phase.ENDED or session.cancel is not Cancel.NONE or exchange.retries == MAX_RETRIES:
            return False
        try:
            least = response.min_se
        except MessageError:
            return False
        if least is None or least <= max(session.least_interval, policy.least):
            return False
        session.least_interval = least
        self._again(exchange, now, session_timer.request_fields(policy, session.interval, least))
        return True

    def _again(self, exchange: Exchange, now: float, fields: Fields = ()) -> None:
        """Send the request as a new one, with some fields changed."""
        exchange.retries += 1
        # RFC 3261 §8.1.3.5: same Call-ID, From and To, a higher CSeq. A copy, for the last one is still acknowledged.
        old = exchange.request
        exchange.request = Request(old.method, old.uri, old.headers.copy(), old.body)
        exchange.request.headers.replace("CSeq", f"{exchange.next_seq()} {old.method}")
        for name, value in fields:
            exchange.request.headers.replace(name, value)
        if exchange.digest is not None:
            self._authorize(exchange)
        self._send(exchange, now)

    def _authorize(self, exchange: Exchange) -> None:
        assert exchange.digest is not None
        request = exchange.request
        for name in ("Authorization", "Proxy-Authorization"):
            request.headers.remove(name)
        cnonce = self._core.token()
        for name, value in exchange.digest.authorize(request.method, str(request.uri), cnonce, request.body):
            request.headers.add(name, value)


def _is_wanted(exchange: Exchange) -> bool:
    """Whether a failed request is worth another try: not one that nobody waits for, nor an INVITE to be cancelled."""
    session = exchange.session
    if session is None or session.invite is not exchange:
        return exchange.owner is not None
    return exchange.owner is not None and session.phase is not Phase.ENDED and session.cancel is Cancel.NONE


def _with_via(request: Request, via: str) -> bytes:
    if "Via" in request.headers:
        request.headers.replace("Via", via)
    else:
        request.headers.insert_first("Via", via)
    return request.to_bytes()
