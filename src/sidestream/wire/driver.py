"""The asyncio shell around the SIP agent: sockets in, sockets out, one timer, events to sinks."""

import asyncio
import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics
from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent, SessionEnded
from sidestream.sip.agent.searching import Lookup
from sidestream.sip.transport import Peer, Transmit, Transport
from sidestream.wire.listener import Listener as Listener
from sidestream.wire.pool import StreamPool
from sidestream.wire.rate_limit import RateLimit, RateSettings
from sidestream.wire.resolver import DnsSettings, Resolver
from sidestream.wire.tls import TlsContexts, TlsError, TlsSettings
from sidestream.wire.trace import TraceLine as TraceLine
from sidestream.wire.udp import UdpSocket

Sink = Callable[[AgentEvent], None]

MAX_SEARCHES = 512  # host names being looked up at one time; each may hold a call for seconds
SHORTEST_WAIT_S = 0.001  # uvloop's timers tick in milliseconds; a shorter wait would only spin

log = get_logger("wire")


class SipDriver:
    """Runs one `Agent` over real sockets.

    Everything happens on the loop that `start` ran on. Commands go through `turn`; events go to the sink attached for
    their session, or to `default_sink`. A sink must not block; what it raises is logged and goes no further. Sinks may
    themselves open a `turn`.
    """

    default_sink: Sink

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        config: AgentConfig,
        ids: Ids,
        clock: Clock,
        trace: Callable[[TraceLine], None] | None = None,
        tls: TlsSettings | None = None,
        dns: DnsSettings | None = None,
        rate: RateSettings | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.default_sink = _log_unheard
        self._listeners = tuple(listeners)
        self._config = config
        self._ids = ids
        self._clock = clock
        self._trace = trace
        self._tls = tls or TlsSettings()
        self._metrics = metrics or Metrics()
        self._counters: dict[tuple[Transport, bool], Callable[[], None]] = {
            (transport, direction == "in"): self._metrics.sip_messages_total.counter(transport.value, direction)
            for transport in Transport
            for direction in ("in", "out")
        }
        self._rate = RateLimit(rate or RateSettings())
        spoken = [listener for listener in self._listeners if listener.transport.can_be_opened]
        offers = [(listener.transport, ":" in listener.host) for listener in spoken]
        self._resolver = Resolver(clock, ids, offers, dns or DnsSettings())
        self._agent: Agent | None = None
        self._udp: dict[str, UdpSocket] = {}
        self._streams: StreamPool | None = None
        self._addresses: dict[str, tuple[str, int]] = {}
        self._sinks: dict[str, Sink] = {}
        self._depth = 0
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._searching: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind every listener. Raises OSError (and leaves nothing bound) if one of them cannot be.

        That includes TLS files that cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._streams = StreamPool(self, self._tls_contexts(), self._metrics)
        try:
            for listener in self._listeners:
                if listener.transport is Transport.UDP:
                    udp = self._udp[listener.name] = UdpSocket(listener, self.received, self.failed)
                    self._addresses[listener.name] = udp.address
                else:
                    self._addresses[listener.name] = await self._streams.listen(listener)
        except OSError:
            await self.close()
            raise
        bound = tuple(listener.advertised(self._addresses[listener.name][1]) for listener in self._listeners)
        agent = self._agent = Agent(replace(self._config, listeners=bound), self._ids)
        self._metrics.sip_overloads.set_function(lambda: agent.overloads)
        self._metrics.sip_malformed.set_function(lambda: agent.malformed)
        self._metrics.sip_unmatched.set_function(lambda: agent.dropped)
        self._metrics.sip_strangers.set_function(lambda: agent.strangers)

    async def close(self) -> None:
        """Close all sockets at once; sessions are not ended, so end them first. Idempotent."""
        self._agent = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        for task in list(self._searching):
            task.cancel()
        await asyncio.gather(*self._searching, return_exceptions=True)
        await self._resolver.close()
        if self._streams is not None:
            await self._streams.close()
            self._streams = None

    @property
    def addresses(self) -> Mapping[str, tuple[str, int]]:
        """Listener name → bound host and port; known once started."""
        return self._addresses

    @property
    def transports(self) -> frozenset[Transport]:
        """What can be sent by: that of each listener, whose address our Via and Contact name."""
        return frozenset(listener.transport for listener in self._listeners)

    def turn(self) -> AbstractContextManager[tuple[Agent, float]]:
        """`with driver.turn() as (agent, now): agent.bye(session, now=now)`: transmits and events drain at its exit.

        Raises RuntimeError before `start` and after `close`.
        """
        if self._agent is None:
            raise RuntimeError("the SIP driver is not running")
        return _Turn(self, self._agent, self._clock.monotonic())

    def attach(self, session: str, sink: Sink) -> None:
        """Send the events of `session` to `sink` until `SessionEnded` or `detach`."""
        self._sinks[session] = sink

    def detach(self, session: str) -> None:
        """Send the events of `session` to `default_sink` again; no harm if none was attached."""
        self._sinks.pop(session, None)

    def received(self, data: bytes, peer: Peer) -> None:
        """Take in one message; called by the sockets."""
        if self._agent is None:
            return
        now = self._clock.monotonic()
        # Requests only: responses come because we asked. Streams are slowed down instead (`pause_after`).
        if peer.transport is Transport.UDP and not data.startswith(b"SIP/2.0") and not self._rate.admit(peer.host, now):
            self._metrics.sip_dropped_total.labels("rate").inc()
            return
        self._counters[peer.transport, True]()
        if self._trace is not None:
            self._trace(TraceLine(now, True, peer.transport, peer.listener, peer.host, peer.port, data))
        with _Turn(self, self._agent, now):
            self._agent.receive(data, peer, now)

    def limit_rate(self, rate: RateSettings) -> None:
        """Another limit on requests from now on."""
        self._rate = RateLimit(rate)

    def pause_after(self, peer: Peer) -> float:
        """Seconds for which a stream is not to be read, for its source has sent too much; called by the streams."""
        return self._rate.charge(peer.host, self._clock.monotonic())

    def sent(self, data: bytes, peer: Peer) -> None:
        """Note one message that left; called by the sockets."""
        self._counters[peer.transport, False]()
        if self._trace is not None:
            self._trace_sent(data, peer.transport, peer.host, peer.port, peer.listener)

    def _trace_sent(self, data: bytes, transport: Transport, host: str, port: int, listener: str) -> None:
        assert self._trace is not None
        self._trace(TraceLine(self._clock.monotonic(), False, transport, listener, host, port, data))

    def failed(self, transmit_ids: list[str], reason: str) -> None:
        """Tell the agent what did not leave, or not arrive; called by the sockets."""
        if self._agent is None:
            return
        now = self._clock.monotonic()
        with _Turn(self, self._agent, now):
            for transmit_id in transmit_ids:
                self._agent.transport_failed(transmit_id, now, reason)

    def enter(self) -> None:
        """Begin a turn; they nest."""
        self._depth += 1

    def leave(self) -> None:
        """End a turn; the outermost one drains the agent and arms the timer."""
        if self._depth > 1:
            self._depth -= 1
            return
        try:
            self._drain()
        finally:
            self._depth -= 1
        self._arm()

    def _drain(self) -> None:
        while (agent := self._agent) is not None:
            transmit = agent.poll_transmit()
            if transmit is not None:
                self._send(transmit)
                continue
            lookup = agent.poll_lookup()
            if lookup is not None:
                self._locate(agent, lookup)
                continue
            event = agent.poll_event()
            if event is None:
                return
            self._hand_out(event)

    def _hand_out(self, event: AgentEvent) -> None:
        session = event.session
        sink = self.default_sink
        if session is not None:
            ends = isinstance(event, SessionEnded)
            sink = (self._sinks.pop(session, sink)) if ends else self._sinks.get(session, sink)
        try:
            sink(event)
        except Exception as error:
            # A sink belongs to one call; whatever is wrong with it must not stop the others.
            log.error("! event sink failed", session=session, event_type=type(event).__name__, exc_info=error)

    def _locate(self, agent: Agent, lookup: Lookup) -> None:
        known = self._resolver.known(lookup.question)
        if known is not None:
            agent.located(lookup.id, known.targets, self._clock.monotonic(), known.reason)
        elif len(self._searching) >= MAX_SEARCHES:
            agent.located(lookup.id, (), self._clock.monotonic(), "too many host names are being looked up")
        else:
            task = self._loop.create_task(self._search(lookup))
            self._searching.add(task)
            task.add_done_callback(self._searching.discard)

    async def _search(self, lookup: Lookup) -> None:
        found = await self._resolver.locate(lookup.question)
        if self._agent is not None:
            with self.turn() as (agent, now):
                agent.located(lookup.id, found.targets, now, found.reason)

    def _send(self, transmit: Transmit) -> None:
        if transmit.destination.transport is Transport.UDP:
            self._send_datagram(transmit)
        elif self._streams is not None:
            self._streams.send(transmit)

    def _send_datagram(self, transmit: Transmit) -> None:
        where = transmit.destination
        try:
            self._udp[transmit.listener].send(transmit.data, where.host, where.port, transmit.transmit_id)
        except OSError as error:
            log.info("! cannot be sent", host=where.host, port=where.port, transport="UDP", reason=str(error))
            self._metrics.sip_failures_total.labels(Transport.UDP.value).inc()
            if transmit.transmit_id is not None:
                # Not at once: we may be inside the very drain that sends it.
                self._loop.call_soon(self.failed, [transmit.transmit_id], str(error))
            return
        self._counters[Transport.UDP, False]()
        if self._trace is not None:
            self._trace_sent(transmit.data, Transport.UDP, where.host, where.port, transmit.listener)

    def _tls_contexts(self) -> TlsContexts | None:
        if not any(listener.transport.secure for listener in self._listeners):
            return None
        try:
            return TlsContexts(self._tls, self._clock)
        except TlsError as error:
            raise OSError(errno.EINVAL, str(error)) from error

    def _arm(self) -> None:
        deadline = self._agent.poll_timeout() if self._agent is not None else None
        if deadline is None:
            return
        # A timer that fires too early does no harm, so one that is armed is only replaced by an earlier one.
        if self._timer is not None:
            if self._armed_for <= deadline:
                return
            self._timer.cancel()
        self._armed_for = deadline
        wait = max(deadline - self._clock.monotonic(), SHORTEST_WAIT_S)
        self._timer = self._loop.call_later(wait, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        if self._agent is not None:
            now = self._clock.monotonic()
            with _Turn(self, self._agent, now):
                self._agent.handle_timeout(now)


class _Turn:
    """One use of the agent from outside; at its end the driver drains it, also when the body raised."""

    __slots__ = ("_agent", "_driver", "_now")

    def __init__(self, driver: SipDriver, agent: Agent, now: float) -> None:
        self._driver = driver
        self._agent = agent
        self._now = now

    def __enter__(self) -> tuple[Agent, float]:
        self._driver.enter()
        return self._agent, self._now

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._driver.leave()


def _log_unheard(event: AgentEvent) -> None:
    log.warning("! nobody listens to an event", session=event.session, event_type=type(event).__name__)
