"""TCP: one protocol object a connection, and the pool that keeps them (RFC 3261 §18)."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Protocol, cast

from sidestream.base.logs import get_logger
from sidestream.sip.errors import MessageError
from sidestream.sip.framing import KeepAlive, StreamFramer
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.wire.listener import Listener
from sidestream.wire.resolver import Resolver

CONNECT_LIMIT_S = 4.0  # then the request is tried by UDP, or fails; a SYN has been repeated twice by then
UNFINISHED_LIMIT_S = 10.0  # from the first byte of a message to its last; longer is a slow-loris
IDLE_LIMIT_S = 900.0  # RFC 3261 §18: at least the longest transaction; a phone behind a NAT lives off its stream
MAX_CONNECTIONS = 4096  # incoming and outgoing together; beyond, new incoming ones are closed at once
MAX_UNSENT = 1 << 20  # octets that wait for a peer that does not read
MAX_WAITING = 256  # transmits that wait for one connection to open
REMEMBERED_IDS = 256  # transmits whose transactions are told when the connection breaks

log = get_logger("wire")


class Ground(Protocol):
    """What the pool needs of the driver."""

    def received(self, data: bytes, peer: Peer) -> None: ...

    def sent(self, data: bytes, peer: Peer) -> None: ...

    def failed(self, transmit_ids: list[str]) -> None: ...


class Connection(asyncio.Protocol):
    """One stream. Lives until either side closes, an idle limit or an unreadable message."""

    def __init__(self, pool: "TcpPool", listener: str) -> None:
        self._pool = pool
        self._listener = listener
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._used_at = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._unfinished: asyncio.TimerHandle | None = None
        self.peer: Peer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        if address is None or not self._pool.admit(self):
            self._transport.abort()  # gone again already, or one too many
            return
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = Peer(Transport.TCP, address[0], address[1], self._listener)
        self._pool.add(self.peer, self)
        self._touch()
        self._watch_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in (self._idle, self._unfinished):
            if handle is not None:
                handle.cancel()
        self._transport = None
        self._pool.remove(self, list(self._ids))

    def data_received(self, data: bytes) -> None:
        self._touch()
        try:
            for frame in self._framer.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(frame)
        except MessageError as error:
            log.warning("! unreadable stream", peer=str(self.peer), reason=str(error))
            if error.answer is not None:
                self.write(error.answer.to_bytes(), None)
            self.close()
            return
        self._watch_unfinished()

    def write(self, data: bytes, transmit_id: str | None) -> bool:
        """Queue bytes; False if the stream is closed or its peer has stopped reading."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()
            return False
        self._touch()
        transport.write(data)
        if transmit_id is not None:
            self._ids[transmit_id] = None
            if len(self._ids) > REMEMBERED_IDS:
                self._ids.popitem(last=False)
        if self.peer is not None:
            self._pool.ground.sent(data, self.peer)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _take(self, frame: bytes | KeepAlive) -> None:
        assert self._transport is not None
        assert self.peer is not None
        if isinstance(frame, KeepAlive):
            # RFC 5626 §4.4.1: a double CRLF is answered by a single one.
            self._transport.write(b"\r\n")
        else:
            self._pool.ground.received(frame, self.peer)

    def _touch(self) -> None:
        self._used_at = self._pool.loop.time()

    def _watch_idle(self) -> None:
        left = self._used_at + self._pool.idle_limit - self._pool.loop.time()
        if left <= 0:
            self.close()
        else:
            self._idle = self._pool.loop.call_later(left, self._watch_idle)

    def _watch_unfinished(self) -> None:
        if not self._framer.pending:
            if self._unfinished is not None:
                self._unfinished.cancel()
                self._unfinished = None
        elif self._unfinished is None:
            self._unfinished = self._pool.loop.call_later(self._pool.unfinished_limit, self._give_up)

    def _give_up(self) -> None:
        log.warning("! message never finished", peer=str(self.peer))
        self.close()


class TcpPool:
    """All connections of one driver, and the sockets that accept new ones."""

    def __init__(
        self,
        ground: Ground,
        resolver: Resolver,
        *,
        idle_limit: float = IDLE_LIMIT_S,
        unfinished_limit: float = UNFINISHED_LIMIT_S,
    ) -> None:
        self.ground = ground
        self.loop = asyncio.get_running_loop()
        self.idle_limit = idle_limit
        self.unfinished_limit = unfinished_limit
        self._resolver = resolver
        self._listeners: dict[str, Listener] = {}
        self._servers: list[asyncio.Server] = []
        self._open: dict[Peer, Connection] = {}
        self._outgoing: dict[tuple[str, int, str], Connection] = {}  # destination's host and port, listener
        self._waiting: dict[tuple[str, int, str], list[Transmit]] = {}  # for connections that are being opened
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, listener: Listener) -> tuple[str, int]:
        """Bind and accept; returns the bound address. Raises OSError."""
        server = await self.loop.create_server(
            lambda: Connection(self, listener.name), listener.host, listener.port, reuse_address=True
        )
        self._servers.append(server)
        self._listeners[listener.name] = listener
        host, port = server.sockets[0].getsockname()[:2]
        return host, port

    def send(self, transmit: Transmit) -> None:
        """Put a message on its stream, opening one to a `Destination` where there is none."""
        where = transmit.destination
        if isinstance(where, Peer):
            self._write(self._open.get(where), transmit)
            return
        key = (where.host, where.port, transmit.listener)
        connection = self._outgoing.get(key)
        if connection is not None:
            self._write(connection, transmit)
        elif key in self._waiting:
            if len(self._waiting[key]) < MAX_WAITING:
                self._waiting[key].append(transmit)
            else:
                self._report([transmit])
        else:
            self._waiting[key] = [transmit]
            self._spawn(self._connect(key, where))

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self._open.values()):
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._servers.clear()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        return len(self._open) < MAX_CONNECTIONS

    def add(self, peer: Peer, connection: Connection) -> None:
        self._open[peer] = connection

    def remove(self, connection: Connection, transmit_ids: list[str]) -> None:
        """Forget a lost connection; requests that are still unanswered on it fail."""
        if connection.peer is not None and self._open.get(connection.peer) is connection:
            del self._open[connection.peer]
        for key in [key for key, open_ in self._outgoing.items() if open_ is connection]:
            del self._outgoing[key]
        if transmit_ids:
            self.ground.failed(transmit_ids)

    def _write(self, connection: Connection | None, transmit: Transmit) -> None:
        if connection is None or not connection.write(transmit.data, transmit.transmit_id):
            self._report([transmit])

    def _report(self, transmits: list[Transmit]) -> None:
        ids = [transmit.transmit_id for transmit in transmits if transmit.transmit_id is not None]
        # Not at once: we may be inside the very drain that sends them.
        self.loop.call_soon(self.ground.failed, ids)

    async def _connect(self, key: tuple[str, int, str], where: Destination) -> None:
        listener = self._listeners[key[2]]
        local = None if listener.is_wildcard else (listener.host, 0)
        connection: Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                host = self._resolver.known(where.host, listener.family)
                host = host or await self._resolver.resolve(where.host, listener.family)
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self, listener.name), host, where.port, local_addr=local
                )
        except (OSError, TimeoutError) as error:
            log.info("! connection refused", host=where.host, port=where.port, reason=str(error) or "no answer")
        finally:
            waiting = self._waiting.pop(key)
        if connection is None:
            self._report(waiting)
            return
        self._outgoing[key] = connection
        for transmit in waiting:
            self._write(connection, transmit)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
