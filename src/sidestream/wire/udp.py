"""One UDP socket: non-blocking, read in bursts by `add_reader`."""

import asyncio
import contextlib
import select
import socket
from collections import OrderedDict
from collections.abc import Callable

from sidestream.base.logs import get_logger
from sidestream.sip.transport import Peer, Transport
from sidestream.wire import icmp
from sidestream.wire.listener import Listener

BURST = 64  # datagrams read in one wake-up; then the loop's other work has its turn
RECEIVE_BUFFER = 4 << 20  # octets; a second of several thousand messages (the kernel may grant less)
MAX_DATAGRAM = 65535
MAX_REMEMBERED = 1024  # targets whose latest transmits are known when an ICMP error comes
IDS_PER_TARGET = 32  # a dead target is noticed within one round trip, so few are under way
_KEEP_ALIVE_OCTETS = b"\r\n\0"  # RFC 5626 §4.4 has STUN for UDP, but phones send these; nobody expects an answer
_LONGEST_KEEP_ALIVE = 4

log = get_logger("wire")

OnMessage = Callable[[bytes, Peer], None]
OnDead = Callable[[list[str], str], None]  # transmit ids, and the reason for people


class UdpSocket:
    """A bound listener. `blocked` counts datagrams that the kernel had no room to send."""

    def __init__(self, listener: Listener, on_message: OnMessage, on_dead: OnDead) -> None:
        """Bind. Raises OSError."""
        self.blocked = 0
        self.name = listener.name
        self.family = listener.family
        self._on_message = on_message
        self._on_dead = on_dead
        self._loop = asyncio.get_running_loop()
        self._sent: OrderedDict[tuple[str, int], OrderedDict[str, None]] = OrderedDict()
        self._socket = socket.socket(listener.family, socket.SOCK_DGRAM)
        self._watched: select.epoll | socket.socket = self._socket
        try:
            self._socket.setblocking(False)
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            if listener.family == socket.AF_INET6:
                # So that an IPv4 listener may have the same port, and no address looks like ::ffff:192.0.2.1.
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.bind((listener.host, listener.port))
            icmp.enable(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._watched = icmp.watchable(self._socket)
        self._loop.add_reader(self._watched.fileno(), self._read)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes, host: str, port: int, transmit_id: str | None = None) -> None:
        """Send one datagram to an IP literal. Raises OSError where the kernel refuses; a full buffer loses it."""
        if transmit_id is not None:
            self._remember((host, port), transmit_id)
        try:
            self._socket.sendto(data, (host, port))
        except BlockingIOError:
            self.blocked += 1
        except OSError as error:
            if not icmp.is_pending(error):
                raise
            # That may have been the error of an earlier datagram; a second refusal is of this one.
            self._loop.call_soon(self._read_errors)
            try:
                self._socket.sendto(data, (host, port))
            except BlockingIOError:
                self.blocked += 1

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._watched.fileno())
            self._watched.close()
            self._socket.close()

    def _read(self) -> None:
        for count in range(BURST):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                if count == 0:
                    self._read_errors()  # what else would have woken us
                return
            except OSError as error:
                if not icmp.is_pending(error):
                    log.warning("! receiving by UDP failed", listener=self.name, reason=str(error))
                    return
                self._read_errors()
                continue
            if len(data) > _LONGEST_KEEP_ALIVE or data.strip(_KEEP_ALIVE_OCTETS):
                self._on_message(data, Peer(Transport.UDP, address[0], address[1], self.name))
            if self._socket.fileno() < 0:
                return  # closed by what the message brought about

    def _read_errors(self) -> None:
        """Report what was sent to targets that ICMP says are not there (RFC 3261 §18.4)."""
        if self._socket.fileno() < 0:
            return
        for host, port, reason in icmp.read_errors(self._socket):
            ids = self._sent.pop((host, port), None)
            if ids:
                self._on_dead(list(ids), reason)

    def _remember(self, target: tuple[str, int], transmit_id: str) -> None:
        ids = self._sent.pop(target, None) or OrderedDict()
        self._sent[target] = ids  # the latest used is the last to be forgotten
        ids[transmit_id] = None
        if len(ids) > IDS_PER_TARGET:
            ids.popitem(last=False)
        if len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)
