"""One TCP or TLS connection: messages in and out, keep-alives, limits (RFC 3261 §18)."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol, cast

from sidestream.base.logs import get_logger
from sidestream.sip.errors import MessageError
from sidestream.sip.framing import KeepAlive, StreamFramer
from sidestream.sip.transport import Peer, Transport
from sidestream.wire.identity import Certificate
from sidestream.wire.tls import reason_of

MAX_UNSENT = 1 << 20  # octets that wait for a peer that does not read
REMEMBERED_IDS = 256  # transmits whose transactions are told when the connection breaks
PONG_LIMIT_S = 10.0  # RFC 5626 §4.4.1: then the connection is dead
_CLOSED = "the connection was closed"

log = get_logger("wire")


class Ground(Protocol):
    """What connections need of the driver."""

    def received(self, data: bytes, peer: Peer) -> None: ...

    def pause_after(self, peer: Peer) -> float: ...

    def sent(self, data: bytes, peer: Peer) -> None: ...

    def failed(self, transmit_ids: list[str], reason: str) -> None: ...


class Keeper(Protocol):
    """What a connection needs of the pool that it belongs to."""

    ground: Ground
    loop: asyncio.AbstractEventLoop
    idle_limit: float
    unfinished_limit: float
    ping_interval: float
    first_limit: float

    def admit(self, host: str) -> bool: ...

    def add(self, peer: Peer, connection: "Connection") -> None: ...

    def first_message(self, connection: "Connection", data: bytes) -> None: ...

    def remove(self, connection: "Connection", transmit_ids: list[str], reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """One stream. Lives until either side closes, an idle limit or an unreadable message.

    `opened`: by us. `certificate`: what the peer has proven to be, as `ssl` gives it; empty if it showed none, or
    without TLS.
    """

    def __init__(self, pool: Keeper, transport: Transport, listener: str, *, opened: bool = False) -> None:
        self.peer: Peer | None = None
        self.certificate: Certificate = {}
        self.opened = opened
        self._pool = pool
        self._kind = transport
        self._listener = listener
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._is_new = True
        self._used_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._answers_pings = False  # the peer has answered one, so it will answer the next
        self._reason = _CLOSED

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        if address is None or (not self.opened and not self._pool.admit(address[0])):
            self._transport.abort()  # gone again already, or one too many
            return
        plain = transport.get_extra_info("socket")
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        certificate: Mapping[str, Any] | None = transport.get_extra_info("peercert")
        self.certificate = certificate or {}
        self.peer = Peer(self._kind, address[0], address[1], self._listener)
        self._pool.add(self.peer, self)
        self._touch()
        self._watch_idle()
        if not self.opened:
            self._after("first", self._pool.first_limit, self._miss_first)
        else:
            # RFC 5626 §4.4.1 leaves it to who opened a connection to keep it alive.
            self._after("ping", self._pool.ping_interval, self._ping)

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in self._timers.values():
            handle.cancel()
        self._transport = None
        self._pool.remove(self, list(self._ids), self._reason if exc is None else reason_of(exc))

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._framer.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(frame)
        except MessageError as error:
            log.warning("! unreadable stream", peer=str(self.peer), reason=str(error))
            if error.answer is not None:
                self.write(error.answer.to_bytes(), None)
            self.close("the peer sent what is not SIP")
            return
        self._watch_unfinished()

    def write(self, data: bytes, transmit_id: str | None) -> bool:
        """Queue bytes; False if the stream is closed or its peer has stopped reading."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self._reason = "the peer has stopped reading"
            transport.abort()
            return False
        self._touch()
        self._put(data)
        if transmit_id is not None:
            self._ids[transmit_id] = None
            if len(self._ids) > REMEMBERED_IDS:
                self._ids.popitem(last=False)
        if self.peer is not None:
            self._pool.ground.sent(data, self.peer)
        return True

    def close(self, reason: str = _CLOSED) -> None:
        """Close; `reason` is for those whose requests this fails."""
        if self._transport is not None:
            self._reason = reason
            self._transport.close()

    @property
    def _pending(self) -> int:
        """Bytes of something that is not whole yet."""
        return self._framer.pending

    def _put(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _take(self, frame: bytes | KeepAlive) -> None:
        assert self._transport is not None
        assert self.peer is not None
        if frame is KeepAlive.PONG:
            self._answers_pings = True
            self._stop("pong")
            return
        self._touch()
        self._stop("first")
        if frame is KeepAlive.PING:
            # RFC 5626 §4.4.1: a double CRLF is answered by a single one.
            self._put(b"\r\n")
            return
        assert isinstance(frame, bytes)
        if self._is_new:
            self._is_new = False
            self._pool.first_message(self, frame)
        self._pool.ground.received(frame, self.peer)
        self._slow_down(self._pool.ground.pause_after(self.peer))

    def _slow_down(self, seconds: float) -> None:
        """Read nothing for a while: a stream's sender feels that, and nothing is lost."""
        if seconds <= 0 or self._transport is None or self._transport.is_closing():
            return
        if self._transport.is_reading():
            self._transport.pause_reading()
        self._after("pause", seconds, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _touch(self) -> None:
        self._used_at = self._pool.loop.time()

    def _watch_idle(self) -> None:
        left = self._used_at + self._pool.idle_limit - self._pool.loop.time()
        if left <= 0:
            self.close("nothing was sent for a long time")
        else:
            self._after("idle", left, self._watch_idle)

    def _watch_unfinished(self) -> None:
        if not self._pending:
            self._stop("unfinished")
        elif "unfinished" not in self._timers:
            self._after("unfinished", self._pool.unfinished_limit, self._give_up)

    def _miss_first(self) -> None:
        self.close("the peer has connected and said nothing")

    def _give_up(self) -> None:
        log.warning("! message never finished", peer=str(self.peer))
        self.close("the peer began a message and never finished it")

    def _ping(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._framer.expect_pong()
        self._transport.write(b"\r\n\r\n")
        self._after("ping", self._pool.ping_interval, self._ping)
        # RFC 5626 §4.4.1 obliges only servers that know it to answer, so the first answer has to tell.
        if self._answers_pings and "pong" not in self._timers:
            self._after("pong", PONG_LIMIT_S, self._miss_pong)

    def _miss_pong(self) -> None:
        log.info("! keep-alive not answered", peer=str(self.peer))
        if self._transport is not None:
            self._reason = "the peer no longer answers keep-alives"
            self._transport.abort()

    def _after(self, name: str, seconds: float, step: "Step") -> None:
        self._stop(name)
        self._timers[name] = self._pool.loop.call_later(seconds, step)

    def _stop(self, name: str) -> None:
        handle = self._timers.pop(name, None)
        if handle is not None:
            handle.cancel()


class Step(Protocol):
    def __call__(self) -> None: ...
