"""A network between SIP agents that loses, doubles and reorders datagrams, on a virtual clock and from a seed."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.agent.searching import Lookup
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.testing.virtual_clock import VirtualClock

FIRST_EPHEMERAL_PORT = 40000
MAX_STEPS = 100_000  # a scenario that is still busy then never ends: two machines answer each other for ever

OnEvent = Callable[["Node", AgentEvent], None]


@dataclass(frozen=True, slots=True)
class Carried:
    """One message handed to the wire. `copies` is how many of it arrive: 0 lost, 2 doubled."""

    at: float
    source: str
    target: str
    transport: Transport
    data: bytes
    copies: int

    @property
    def start(self) -> str:
        """The first line."""
        return self.data.split(b"\r\n", 1)[0].decode()


@dataclass(slots=True)
class Node:
    """An agent at an address, its application and what that application has seen."""

    name: str
    agent: Agent
    host: str
    port: int
    on_event: OnEvent | None = None
    events: list[AgentEvent] = field(default_factory=list)


class LossyWire:
    """Carries what agents transmit; TCP neither loses nor reorders, but may be refused or cut.

    `loss` and `double` are probabilities for each datagram, `delay` the range in seconds that it takes. Datagrams for
    which `drop` returns True are lost whatever the dice say.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        seed: int = 0,
        loss: float = 0.0,
        double: float = 0.0,
        delay: tuple[float, float] = (0.01, 0.01),
    ) -> None:
        self.clock = clock
        self.loss = loss
        self.double = double
        self.delay = delay
        self.drop: Callable[[Carried], bool] = lambda carried: False
        self.refuses_tcp: set[str] = set()  # hosts that do not listen
        self.names: dict[str, tuple[Destination, ...]] = {}  # what a host name leads to, best first
        self.log: list[Carried] = []
        self._rng = random.Random(seed)
        self._nodes: dict[tuple[str, int], Node] = {}
        self._flying: list[tuple[float, int, Node, bytes, Peer]] = []
        self._count = 0
        self._streams: dict[tuple[str, str, int], int] = {}  # caller's name, host and port → caller's port
        self._callers: dict[tuple[str, int], tuple[Node, int]] = {}  # caller's host and port → node, far port
        self._stream_free_at: dict[tuple[str, str], float] = {}

    def join(self, name: str, agent: Agent, host: str, port: int = 5060, on_event: OnEvent | None = None) -> Node:
        """Put `agent` at `host`:`port`, UDP and TCP alike. Its listeners are to be named `udp` and `tcp`."""
        node = self._nodes[(host, port)] = Node(name, agent, host, port, on_event)
        return node

    def cut_streams(self) -> None:
        """Break every TCP connection."""
        self._streams.clear()
        self._callers.clear()

    def sent(self, source: str, start: str) -> list[Carried]:
        """The messages of `source` whose first line starts with `start`."""
        return [carried for carried in self.log if carried.source == source and carried.start.startswith(start)]

    def run(self, seconds: float | None = None) -> None:
        """Carry messages and fire timers until nothing is left to happen, or for `seconds`."""
        end = None if seconds is None else self.clock.monotonic() + seconds
        for _ in range(MAX_STEPS):
            self._drain()
            moment = self._next_moment()
            if moment is None or (end is not None and moment > end):
                if end is not None:
                    self.clock.advance_to(end)
                return
            self.clock.advance_to(max(moment, self.clock.monotonic()))
            self._step()
        raise AssertionError("the agents never come to rest")

    def _next_moment(self) -> float | None:
        moments = [deadline for node in self._nodes.values() if (deadline := node.agent.poll_timeout()) is not None]
        if self._flying:
            moments.append(self._flying[0][0])
        return min(moments, default=None)

    def _step(self) -> None:
        now = self.clock.monotonic()
        while self._flying and self._flying[0][0] <= now:
            _, _, node, data, peer = heapq.heappop(self._flying)
            node.agent.receive(data, peer, now)
            self._drain()
        for node in self._nodes.values():
            deadline = node.agent.poll_timeout()
            if deadline is not None and deadline <= now:
                node.agent.handle_timeout(now)

    def _drain(self) -> None:
        busy = True
        while busy:
            busy = False
            for node in self._nodes.values():
                while (transmit := node.agent.poll_transmit()) is not None:
                    busy = True
                    self._carry(node, transmit)
                while (lookup := node.agent.poll_lookup()) is not None:
                    busy = True
                    self._locate(node, lookup)
                while (event := node.agent.poll_event()) is not None:
                    busy = True
                    node.events.append(event)
                    if node.on_event is not None:
                        node.on_event(node, event)

    def _locate(self, node: Node, lookup: Lookup) -> None:
        """Names are known here: those in `names`, and the nodes' own."""
        question = lookup.question
        transport = question.transport or (Transport.TLS if question.secure else Transport.UDP)
        own = (Destination(transport, question.host, question.port or transport.default_port),)
        targets = self.names.get(question.host, own if self._knows(question.host) else ())
        node.agent.located(lookup.id, targets, self.clock.monotonic())

    def _knows(self, host: str) -> bool:
        return any(known == host for known, _ in self._nodes)

    def _carry(self, source: Node, transmit: Transmit) -> None:
        if transmit.destination.transport is Transport.UDP:
            self._carry_datagram(source, transmit)
        else:
            self._carry_stream(source, transmit)

    def _carry_datagram(self, source: Node, transmit: Transmit) -> None:
        where = transmit.destination
        target = self._nodes.get((where.host, where.port))
        copies = 0 if self._rng.random() < self.loss else 2 if self._rng.random() < self.double else 1
        name = target.name if target is not None else where.host
        carried = Carried(self.clock.monotonic(), source.name, name, Transport.UDP, transmit.data, copies)
        if target is None or self.drop(carried):
            carried = Carried(carried.at, source.name, name, Transport.UDP, transmit.data, 0)
        self.log.append(carried)
        for _ in range(carried.copies):
            assert target is not None
            arrival = self.clock.monotonic() + self._rng.uniform(*self.delay)
            self._fly(arrival, target, transmit.data, Peer(Transport.UDP, source.host, source.port, "udp"))

    def _carry_stream(self, source: Node, transmit: Transmit) -> None:
        found = self._stream_end(source, transmit.destination)
        name = found[0].name if found is not None else transmit.destination.host
        copies = 0 if found is None else 1
        self.log.append(Carried(self.clock.monotonic(), source.name, name, Transport.TCP, transmit.data, copies))
        if found is None:
            if transmit.transmit_id is not None:
                source.agent.transport_failed(transmit.transmit_id, self.clock.monotonic())
            return
        target, peer = found
        arrival = self.clock.monotonic() + self._rng.uniform(*self.delay)
        # A stream keeps its order.
        arrival = max(arrival, self._stream_free_at.get((source.name, target.name), 0.0))
        self._stream_free_at[(source.name, target.name)] = arrival
        self._fly(arrival, target, transmit.data, peer)

    def _stream_end(self, source: Node, where: Destination | Peer) -> tuple[Node, Peer] | None:
        """Who gets bytes sent to `where`, and whom it will think they come from; None if there is no way."""
        if isinstance(where, Peer):
            caller = self._callers.get((where.host, where.port))
            if caller is None:
                return None
            node, far_port = caller
            return node, Peer(Transport.TCP, source.host, far_port, "tcp")
        target = self._nodes.get((where.host, where.port))
        if target is None or where.host in self.refuses_tcp:
            return None
        key = (source.name, where.host, where.port)
        if key not in self._streams:
            port = self._streams[key] = FIRST_EPHEMERAL_PORT + len(self._callers)
            self._callers[(source.host, port)] = (source, where.port)
        return target, Peer(Transport.TCP, source.host, self._streams[key], "tcp")

    def _fly(self, arrival: float, target: Node, data: bytes, peer: Peer) -> None:
        self._count += 1
        heapq.heappush(self._flying, (arrival, self._count, target, data, peer))
