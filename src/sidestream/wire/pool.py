"""All TCP and TLS connections of one driver: accepted, opened, found again for the next message (RFC 3261 §18)."""

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass

from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.wire.identity import describe, is_for
from sidestream.wire.listener import Listener
from sidestream.wire.rate_limit import is_within, site_of
from sidestream.wire.stream import Connection, Ground
from sidestream.wire.tls import TlsContexts, reason_of

CONNECT_LIMIT_S = 4.0  # then the request is tried by UDP, or fails; a SYN has been repeated twice by then
HANDSHAKE_LIMIT_S = 5.0  # of TLS, either way; longer is a slow-loris
UNFINISHED_LIMIT_S = 10.0  # from the first byte of a message to its last; longer is a slow-loris
IDLE_LIMIT_S = 900.0  # RFC 3261 §18: at least the longest transaction; a phone behind a NAT lives off its stream
PING_INTERVAL_S = 100.0  # RFC 5626 §4.4.1: 95 to 120 seconds if the peer names no other
MAX_CONNECTIONS = 4096  # incoming and outgoing together; beyond, new incoming ones are closed at once
MAX_PER_SOURCE = 512  # incoming ones of one address, or of one /64: a large office of phones behind a NAT
FIRST_MESSAGE_LIMIT_S = 30.0  # until an incoming one has brought a message or a ping; phones register at once
MAX_HANDSHAKES_PER_SOURCE = 64  # of them, so that one who never finishes any keeps nobody else out
MAX_HANDSHAKES = 256  # incoming ones under way: each costs a public-key operation
ACCEPT_BURST = 64  # connections taken in one wake-up
ACCEPT_PAUSE_S = 0.5  # after the kernel had no file descriptor left
MAX_WAITING = 256  # transmits that wait for one connection to open

log = get_logger("wire")


@dataclass(frozen=True, slots=True)
class _Key:
    """What an outgoing connection is found by; `name` is who the peer has proven to be (TLS)."""

    transport: Transport
    host: str
    port: int
    listener: str
    name: str


class StreamPool:
    """Connections by peer and, those that we opened or may use as if we had, by destination."""

    def __init__(
        self,
        ground: Ground,
        tls: TlsContexts | None,
        metrics: Metrics,
        *,
        idle_limit: float = IDLE_LIMIT_S,
        unfinished_limit: float = UNFINISHED_LIMIT_S,
        ping_interval: float = PING_INTERVAL_S,
        first_limit: float = FIRST_MESSAGE_LIMIT_S,
    ) -> None:
        self.ground = ground
        self.loop = asyncio.get_running_loop()
        self.idle_limit = idle_limit
        self.unfinished_limit = unfinished_limit
        self.ping_interval = ping_interval
        self.first_limit = first_limit
        self._sources: Counter[str] = Counter()  # incoming connections by source
        self._tls = tls
        self._metrics = metrics
        self._listeners: dict[str, Listener] = {}
        self._servers: list[asyncio.Server] = []
        self._accepting: list[socket.socket] = []
        self._handshakes: Counter[str] = Counter()  # by source
        self._open: dict[Peer, Connection] = {}
        self._outgoing: dict[_Key, Connection] = {}
        self._aliases: dict[tuple[str, int], Connection] = {}  # sent-by of proven peers (RFC 5923)
        self._waiting: dict[_Key, list[Transmit]] = {}  # for connections that are being opened
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, listener: Listener) -> tuple[str, int]:
        """Bind and accept; returns the bound address. Raises OSError."""
        if listener.transport.secure:
            plain = self._listen_secure(listener)
        else:
            server = await self.loop.create_server(
                lambda: self._incoming(listener), listener.host, listener.port, reuse_address=True
            )
            self._servers.append(server)
            plain = server.sockets[0]
        self._listeners[listener.name] = listener
        host, port = plain.getsockname()[:2]
        return host, port

    def send(self, transmit: Transmit) -> None:
        """Put a message on its stream, opening one to a `Destination` where there is none."""
        where = transmit.destination
        if isinstance(where, Peer):
            self._write(self._open.get(where), transmit)
            return
        name = (where.name or where.host) if where.transport is Transport.TLS else ""
        key = _Key(where.transport, where.host, where.port, transmit.listener, name)
        connection = self._outgoing.get(key) or self._alias(where, name)
        if connection is not None:
            self._write(connection, transmit)
        elif key in self._waiting:
            if len(self._waiting[key]) < MAX_WAITING:
                self._waiting[key].append(transmit)
            else:
                self._report([transmit], "too many messages wait for one connection")
        else:
            self._waiting[key] = [transmit]
            self._spawn(self._connect(key, where))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for plain in self._accepting:
            self.loop.remove_reader(plain.fileno())
            plain.close()
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self._open.values()):
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servers.clear()
        self._accepting.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def _incoming(self, listener: Listener) -> Connection:
        if not listener.transport.can_be_opened:
            # Loaded where it is wanted: few are.
            from sidestream.wire.websocket import WebSocketConnection

            return WebSocketConnection(self, listener.transport, listener.name, listener.origins)
        return Connection(self, listener.transport, listener.name)

    def admit(self, host: str) -> bool:
        """Whether there is room for one more incoming connection of that host."""
        # One source must not take the room of all others. Proxies on this machine bring everybody's.
        is_taken = self._sources[site_of(host)] >= MAX_PER_SOURCE and not is_within(host, ())
        if is_taken or len(self._open) >= MAX_CONNECTIONS:
            self._metrics.sip_dropped_total.labels("connections").inc()
            return False
        return True

    def add(self, peer: Peer, connection: Connection) -> None:
        self._open[peer] = connection
        if not connection.opened:
            self._sources[site_of(peer.host)] += 1
        self._metrics.sip_streams_live.labels(peer.transport.value).inc()

    def first_message(self, connection: Connection, data: bytes) -> None:
        """Note whether a peer that has proven its name offers its connection for our requests, too."""
        # RFC 5923 §5, §8.2: without a certificate anybody could draw our requests to somebody else's address.
        if connection.opened or not connection.certificate or connection.peer is None:
            return
        try:
            message = parse_message(data)
        except MessageError:
            return
        if isinstance(message, Request) and any(name.lower() == "alias" for name, _ in message.via.params):
            port = message.via.port or connection.peer.transport.default_port
            self._aliases[(connection.peer.host, port)] = connection

    def remove(self, connection: Connection, transmit_ids: list[str], reason: str) -> None:
        """Forget a lost connection; requests that are still unanswered on it fail."""
        if connection.peer is not None and self._open.get(connection.peer) is connection:
            del self._open[connection.peer]
            if not connection.opened:
                _leave(self._sources, site_of(connection.peer.host))
            self._metrics.sip_streams_live.labels(connection.peer.transport.value).dec()
        for key in [key for key, open_ in self._outgoing.items() if open_ is connection]:
            del self._outgoing[key]
        for alias in [alias for alias, open_ in self._aliases.items() if open_ is connection]:
            del self._aliases[alias]
        if transmit_ids:
            self.ground.failed(transmit_ids, reason)

    def _alias(self, where: Destination, name: str) -> Connection | None:
        connection = self._aliases.get((where.host, where.port)) if where.transport is Transport.TLS else None
        return connection if connection is not None and is_for(connection.certificate, name) else None

    def _write(self, connection: Connection | None, transmit: Transmit) -> None:
        if connection is None or not connection.write(transmit.data, transmit.transmit_id):
            self._report([transmit], "the connection is gone")

    def _report(self, transmits: list[Transmit], reason: str) -> None:
        ids = [transmit.transmit_id for transmit in transmits if transmit.transmit_id is not None]
        # Not at once: we may be inside the very drain that sends them.
        self.loop.call_soon(self.ground.failed, ids, reason)

    async def _connect(self, key: _Key, where: Destination) -> None:
        connection: Connection | None = None
        reason = "no answer to the connection attempt"
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S + (HANDSHAKE_LIMIT_S if key.name else 0.0)):
                connection = await self._opened(key)
            if key.name and not is_for(connection.certificate, key.name):
                # RFC 5922 §7.4
                whose = describe(connection.certificate)
                reason = f"TLS: the certificate is for {whose}, not for {key.name}"
                connection.close(reason)
                connection = None
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a name that no certificate can have
            reason = reason if isinstance(error, TimeoutError) and not error.args else reason_of(error)
        finally:
            waiting = self._waiting.pop(key)
        if connection is None:
            log.info("! cannot connect", host=where.host, port=where.port, transport=str(key.transport), reason=reason)
            self._metrics.sip_failures_total.labels(key.transport.value).inc()
            self._report(waiting, reason)
            return
        self._outgoing[key] = connection
        for transmit in waiting:
            self._write(connection, transmit)

    async def _opened(self, key: _Key) -> Connection:
        listener = self._listeners[key.listener]
        context: ssl.SSLContext | None = None
        if key.transport is Transport.TLS:
            assert self._tls is not None  # there is no TLS listener without
            context = self._tls.client()
        _, connection = await self.loop.create_connection(
            lambda: Connection(self, key.transport, listener.name, opened=True),
            key.host,
            key.port,
            local_addr=None if listener.is_wildcard else (listener.host, 0),
            ssl=context,
            # RFC 6066 §3: a name, never an address, which the loop would send otherwise.
            server_hostname=None if context is None else key.name,
            ssl_handshake_timeout=None if context is None else HANDSHAKE_LIMIT_S,
        )
        return connection

    def _listen_secure(self, listener: Listener) -> socket.socket:
        """A TLS socket accepts by itself: each connection gets the latest certificate, and failures are seen."""
        if self._tls is None or self._tls.server() is None:
            raise OSError(errno.EINVAL, f"the listener {listener.name} has no certificate")
        plain = socket.create_server((listener.host, listener.port), family=listener.family, backlog=ACCEPT_BURST * 2)
        plain.setblocking(False)
        self._accepting.append(plain)
        self.loop.add_reader(plain.fileno(), self._accept, plain, listener)
        return plain

    def _accept(self, plain: socket.socket, listener: Listener) -> None:
        for _ in range(ACCEPT_BURST):
            try:
                accepted, address = plain.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("! cannot accept", listener=listener.name, reason=str(error))
                self.loop.remove_reader(plain.fileno())
                self.loop.call_later(ACCEPT_PAUSE_S, self._accept_again, plain, listener)
                return
            source = site_of(address[0])
            if not self._may_greet(source, address[0]):
                accepted.close()
                continue
            accepted.setblocking(False)
            self._handshakes[source] += 1
            self._spawn(self._greet(accepted, listener, source))

    def _accept_again(self, plain: socket.socket, listener: Listener) -> None:
        if plain.fileno() >= 0:
            self.loop.add_reader(plain.fileno(), self._accept, plain, listener)

    def _may_greet(self, source: str, host: str) -> bool:
        of_source = self._handshakes[source] < MAX_HANDSHAKES_PER_SOURCE or is_within(host, ())
        if of_source and self._handshakes.total() < MAX_HANDSHAKES:
            return self.admit(host)
        self._metrics.sip_dropped_total.labels("connections").inc()
        return False

    async def _greet(self, accepted: socket.socket, listener: Listener, source: str) -> None:
        assert self._tls is not None
        try:
            await self.loop.connect_accepted_socket(
                lambda: self._incoming(listener),
                accepted,
                ssl=self._tls.server(),
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
            )
        except OSError as error:
            self._metrics.sip_failures_total.labels(listener.transport.value).inc()
            log.info("! TLS handshake failed", listener=listener.name, reason=reason_of(error))
        finally:
            _leave(self._handshakes, source)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _leave(counts: Counter[str], source: str) -> None:
    counts[source] -= 1
    if not counts[source]:
        del counts[source]  # whoever has none is not remembered
