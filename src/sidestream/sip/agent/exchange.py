"""Sending a request and seeing it through: digest challenges, 422, too large for UDP, refused connections."""

from sidestream.sip import session_timer
from sidestream.sip.agent.compose import via_of
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.session import Cancel, Exchange, Phase, SentAck, Session
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response
from sidestream.sip.session_timer import Fields
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Peer

MAX_RETRIES = 3  # of one request: a proxy's challenge, a server's, and one stale nonce or 422
ACK_PREFIX = "a|"  # transmit ids of the ACKs of 2xx, which no transaction owns


class Exchanges:
    """Runs every `Exchange` of one agent."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def start(self, exchange: Exchange, now: float) -> None:
        """Send the request by its first hop. With none, the owner is told of a failure at once."""
        if exchange.digest is not None:
            self._authorize(exchange)
        if exchange.hops:
            self._next_hop(exchange, now)
        else:
            assert exchange.owner is not None
            exchange.owner.failed(exchange, Failure.TRANSPORT, now)

    def receive_response(self, exchange: Exchange, response: Response, now: float) -> None:
        if response.status < 200:
            exchange.provisional = True
        elif self._answer_challenge(exchange, response, now) or self._lengthen_interval(exchange, response, now):
            return
        if exchange.owner is not None:
            exchange.owner.answered(exchange, response, now)

    def receive_failure(self, exchange: Exchange, cause: Failure, now: float) -> None:
        if cause is Failure.TRANSPORT:
            if exchange.session is not None and exchange.hop is not None and isinstance(exchange.hop.target, Peer):
                exchange.session.connection = None
            # RFC 3261 §18.1.1: a request that was moved to TCP for its size is tried by UDP when TCP is refused.
            if exchange.hops and not exchange.provisional:
                self._next_hop(exchange, now)
                return
        if exchange.owner is not None:
            exchange.owner.failed(exchange, cause, now)

    def send_ack(self, session: Session, ack: SentAck) -> None:
        """Put the ACK of a 2xx on the wire, as often as its 2xx comes (RFC 3261 §13.2.2.4)."""
        hops = self._core.hops(session, ack.dialog)
        if not hops:
            return
        hop = hops[0]
        ack.request.headers.replace("Via", via_of(hop.listener, self._core.token()))
        data = ack.request.to_bytes()
        larger = self._core.routing.larger(hop) if len(data) > self._core.config.udp_limit else None
        hop = larger or hop
        if larger is not None:
            ack.request.headers.replace("Via", via_of(hop.listener, self._core.token()))
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
        exchange.hop = exchange.hops.pop(0)
        self._send(exchange, now)

    def _send(self, exchange: Exchange, now: float) -> None:
        core = self._core
        hop = exchange.hop
        assert hop is not None
        data = _with_via(exchange.request, via_of(hop.listener, core.token()))
        if len(data) > core.config.udp_limit:
            # RFC 3261 §18.1.1: too large for a datagram, so by TCP, with the Via changed to match.
            larger = core.routing.larger(hop)
            if larger is not None:
                exchange.hops.insert(0, type(hop)(hop.target, hop.listener, settled=True))
                exchange.hop = hop = larger
                data = _with_via(exchange.request, via_of(hop.listener, core.token()))
        exchange.provisional = False
        exchange.key = core.layer.request(exchange.request, data, hop.target, hop.listener.name, exchange, now)

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


def _with_via(request: Request, via: str) -> bytes:
    if "Via" in request.headers:
        request.headers.replace("Via", via)
    else:
        request.headers.insert_first("Via", via)
    return request.to_bytes()
