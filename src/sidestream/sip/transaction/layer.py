"""The transaction layer: finds the machine for each message, and holds all their timers (RFC 3261 §17)."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from sidestream.base.timer_table import TimerTable
from sidestream.sip.message import Request, Response
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.client_invite import ClientInvite
from sidestream.sip.transaction.client_other import ClientOther
from sidestream.sip.transaction.machine import Failure, Signal, response_signal
from sidestream.sip.transaction.server_invite import ServerInvite
from sidestream.sip.transaction.server_other import ServerOther
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.sip.uri import DEFAULT_PORT
from sidestream.sip.values import Via


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A new request; answer it with `TransactionLayer.respond(key, …)`.

    `merged`: the same request came by another path already (it was forked on its way): answer 482.
    """

    key: str
    request: Request
    peer: Peer
    merged: bool


@dataclass(frozen=True, slots=True)
class AckArrived:
    """An ACK that belongs to a 2xx."""

    request: Request
    peer: Peer


@dataclass(frozen=True, slots=True)
class ResponseArrived:
    """A response to a request; `context` is what was given with it. For an INVITE every copy of a 2xx is reported."""

    context: Any
    response: Response


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request gets no final response; `context` is what was given with it."""

    context: Any
    cause: Failure
    reason: str = ""  # what the wire said, for people


LayerEvent = RequestArrived | AckArrived | ResponseArrived | RequestFailed
_MergeKey = tuple[str, str, str]


@dataclass(slots=True)
class _Client:
    machine: ClientInvite | ClientOther
    target: Destination | Peer
    listener: str
    context: Any
    trouble: str = ""  # what the wire said last


@dataclass(slots=True)
class _Server:
    machine: ServerInvite | ServerOther
    target: Destination | Peer
    listener: str
    fallback: Destination | None  # where a response goes when its stream is gone
    merge_key: _MergeKey | None
    tag: str | None = None  # ours, in the To of its responses


class TransactionLayer:
    """Sans-IO owner of all transactions; drain `poll_transmit` and `poll_event` after every call.

    `dropped` counts messages that matched nothing. `nat`: names of the listeners whose clients are answered where they
    are seen, whether they ask for it (RFC 3581) or not.
    """

    def __init__(self, timers: Timers, nat: frozenset[str] = frozenset()) -> None:
        self.dropped = 0
        self._nat = nat
        self._timers = timers
        self._table: TimerTable[tuple[str, Timer]] = TimerTable()
        self._clients: dict[str, _Client] = {}
        self._servers: dict[str, _Server] = {}
        self._merges: dict[_MergeKey, str] = {}
        self._transmits: deque[Transmit] = deque()
        self._events: deque[LayerEvent] = deque()

    def request(
        self,
        request: Request,
        data: bytes,
        target: Destination | Peer,
        listener: str,
        context: Any,
        now: float,
        *,
        branch: str | None = None,
        patience: float | None = None,
    ) -> str:
        """Send `request` (as `data`), whose topmost Via has a branch of its own; returns the transaction's key.

        `branch`: that one, if it is known and need not be read. Its events will carry `context`. `patience`: seconds to
        wait for any response, if not 64*T1.
        """
        key = f"c|{branch or request.via.branch}|{request.method}"
        reliable = target.transport.reliable
        machine: ClientInvite | ClientOther
        if request.method == "INVITE":
            machine = ClientInvite(key, request, data, self, self._timers, reliable=reliable)
        else:
            machine = ClientOther(key, data, self, self._timers, reliable=reliable)
        self._clients[key] = _Client(machine, target, listener, context)
        machine.start(now, patience)
        return key

    def abandon(self, key: str) -> None:
        """Forget a client transaction without a word; no harm if it is gone."""
        self._clients.pop(key, None)

    def respond(self, key: str, response: Response, now: float) -> bytes:
        """Send a response of a server transaction; nothing is sent if the transaction is over. Returns its bytes."""
        data = response.to_bytes()
        self.respond_again(key, response.status, data, now)
        return data

    def respond_again(self, key: str, status: int, data: bytes, now: float) -> None:
        """Send the bytes that `respond` returned once more: how the owner of an INVITE repeats its 2xx."""
        server = self._servers.get(key)
        if server is not None:
            server.machine.feed(response_signal(status), now, data)

    def send(self, key: str, data: bytes) -> None:
        entry = self._clients.get(key) or self._servers[key]
        self._transmits.append(Transmit(data, entry.target, key, entry.listener))

    def send_stateless(
        self, data: bytes, target: Destination | Peer, listener: str, transmit_id: str | None = None
    ) -> None:
        """Send bytes outside any transaction: the ACK of a 2xx, the answer to a malformed request."""
        self._transmits.append(Transmit(data, target, transmit_id, listener))

    def receive_request(self, request: Request, peer: Peer, now: float) -> None:
        key = server_key(request)
        server = self._servers.get(key)
        if server is not None:
            if request.method == "ACK":
                server.machine.feed(Signal.ACK, now, (request, peer))
            else:
                server.machine.feed(Signal.REQUEST, now, request)
        elif request.method == "ACK":
            self._events.append(AckArrived(request, peer))
        else:
            self._open(key, request, peer, now)

    def receive_response(self, response: Response, now: float) -> None:
        # RFC 3261 §8.1.3.3: a response with more than our own Via was misrouted.
        # RFC 3261 §17.1.3: the branch and the CSeq method name the transaction.
        key = f"c|{response.via.branch}|{response.cseq.method}"
        client = self._clients.get(key)
        if client is None or len(response.vias) > 1:
            self.dropped += 1
        else:
            client.machine.feed(response_signal(response.status), now, response)

    def transport_failed(self, key: str, now: float, reason: str = "") -> None:
        """The last bytes sent as `key` did not leave."""
        client = self._clients.get(key)
        if client is not None:
            client.trouble = reason
            client.machine.feed(Signal.TRANSPORT_ERROR, now)
            return
        server = self._servers.get(key)
        if server is None:
            return
        # RFC 3261 §18.2.2: a response whose connection is gone goes to the received address and the sent-by port.
        if server.fallback is not None:
            server.target, server.fallback = server.fallback, None
            server.machine.feed(Signal.REQUEST, now)
        else:
            server.machine.feed(Signal.TRANSPORT_ERROR, now)

    def cancelled_by(self, cancel: Request) -> str | None:
        """The key of the INVITE that a CANCEL means (RFC 3261 §9.2: same but for the method), or None."""
        key = server_key(cancel, "INVITE")
        return key if key in self._servers else None

    def way_of(self, key: str) -> tuple[Destination | Peer, str]:
        """Where the responses of a server transaction go, and the name of the listener that they leave by."""
        server = self._servers[key]
        return server.target, server.listener

    def set_tag(self, key: str, tag: str) -> None:
        """Note our tag in the responses of a server transaction, for who asks by `tag_of` while it lasts."""
        self._servers[key].tag = tag

    def tag_of(self, key: str) -> str | None:
        """Our tag in the responses of that server transaction, or None."""
        return self._servers[key].tag

    def poll_transmit(self) -> Transmit | None:
        return self._transmits.popleft() if self._transmits else None

    def poll_event(self) -> LayerEvent | None:
        return self._events.popleft() if self._events else None

    def poll_timeout(self) -> float | None:
        return self._table.next()

    def handle_timeout(self, now: float) -> None:
        while (due := self._table.pop_due(now)) is not None:
            key, timer = due
            entry = self._clients.get(key) or self._servers.get(key)
            if entry is not None:
                entry.machine.feed(timer, now)

    def arm(self, key: str, timer: Timer, deadline: float) -> None:
        self._table.set((key, timer), deadline)

    def stop(self, key: str, timer: Timer) -> None:
        self._table.stop((key, timer))

    def deliver_response(self, key: str, response: Response) -> None:
        self._events.append(ResponseArrived(self._clients[key].context, response))

    def deliver_ack(self, key: str, request: Request, peer: Peer) -> None:
        self._events.append(AckArrived(request, peer))

    def deliver_failure(self, key: str, cause: Failure) -> None:
        client = self._clients[key]
        self._events.append(RequestFailed(client.context, cause, client.trouble))

    def forget(self, key: str) -> None:
        if self._clients.pop(key, None) is None:
            server = self._servers.pop(key)
            if server.merge_key is not None:
                del self._merges[server.merge_key]

    @property
    def live(self) -> int:
        """How many transactions there are."""
        return len(self._clients) + len(self._servers)

    def _open(self, key: str, request: Request, peer: Peer, now: float) -> None:
        request.note_source(peer.host, peer.port)
        target, fallback = response_target(request, peer, symmetric=peer.listener in self._nat)
        reliable = peer.transport.reliable
        machine: ServerInvite | ServerOther
        if request.method == "INVITE":
            machine = ServerInvite(key, self, self._timers, reliable=reliable)
        else:
            machine = ServerOther(key, self, self._timers, reliable=reliable)
        merge_key = _merge_key(request)
        merged = merge_key is not None and merge_key in self._merges
        self._servers[key] = _Server(machine, target, peer.listener, fallback, None if merged else merge_key)
        if isinstance(machine, ServerOther):
            machine.start(now)
        if merge_key is not None and not merged:
            self._merges[merge_key] = key
        self._events.append(RequestArrived(key, request, peer, merged))


def server_key(request: Request, method: str | None = None) -> str:
    """What two copies of a request have in common, and an INVITE with its ACK (RFC 3261 §17.2.3).

    `method` stands in for the request's own, to find the INVITE of a CANCEL.
    """
    via = request.via
    method = method or ("INVITE" if request.method == "ACK" else request.method)
    sent_by = f"{via.host.lower()}:{via.port or default_port(via)}"
    if via.is_transaction_id:
        return f"s|{via.branch}|{sent_by}|{method}"
    # RFC 3261 §17.2.3, clients of RFC 2543. Their To tag is left out: an ACK has the one that we gave.
    cseq = request.cseq.number
    return f"s|{request.uri}|{request.from_.tag}|{request.call_id}|{cseq}|{via}|{sent_by}|{method}"


def default_port(via: Via) -> int:
    """RFC 3261 §18.2.2: by the transport that the Via names."""
    try:
        return Transport(via.transport.upper()).default_port
    except ValueError:
        return DEFAULT_PORT


def response_target(
    request: Request, peer: Peer, *, symmetric: bool = False
) -> tuple[Destination | Peer, Destination | None]:
    """Where responses to `request`, whose source is noted, go (RFC 3261 §18.2.2, RFC 3581 §4), and else.

    `symmetric`: as if the client had asked for it with rport. `maddr` is not followed: we speak no multicast, and it
    would let anybody point our answers at anybody.
    """
    if not peer.transport.can_be_opened:
        return peer, None
    via = request.via
    host = via.received or via.address
    name = via.address if peer.transport is Transport.TLS else ""
    sent_by = Destination(peer.transport, host, via.port or peer.transport.default_port, name)
    if peer.transport is Transport.UDP:
        if symmetric:
            return Destination(Transport.UDP, peer.host, peer.port), None
        return Destination(Transport.UDP, host, via.rport) if via.rport else sent_by, None
    return peer, sent_by


def _merge_key(request: Request) -> _MergeKey | None:
    # RFC 3261 §8.2.2.2 is about requests without a To tag; a CANCEL shares number and tags with its INVITE by design.
    if request.method == "CANCEL" or request.to.tag is not None:
        return None
    return (request.from_.tag or "", request.call_id, request.headers.get("CSeq") or "")
