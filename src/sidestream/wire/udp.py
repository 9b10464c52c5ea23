"""One UDP socket: non-blocking, read in bursts by `add_reader`."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from sidestream.base.logs import get_logger
from sidestream.sip.transport import Peer, Transport
from sidestream.wire.listener import Listener

BURST = 64  # datagrams read in one wake-up; then the loop's other work has its turn
RECEIVE_BUFFER = 4 << 20  # octets; a second of several thousand messages (the kernel may grant less)
MAX_DATAGRAM = 65535

log = get_logger("wire")

OnMessage = Callable[[bytes, Peer], None]


class UdpSocket:
    """A bound listener. `blocked` counts datagrams that the kernel had no room to send."""

    def __init__(self, listener: Listener, on_message: OnMessage) -> None:
        """Bind. Raises OSError."""
        self.blocked = 0
        self.name = listener.name
        self.family = listener.family
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(listener.family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.bind((listener.host, listener.port))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._read)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send one datagram to an IP literal. Raises OSError where the kernel refuses; a full buffer loses it."""
        try:
            self._socket.sendto(data, (host, port))
        except BlockingIOError:
            self.blocked += 1

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        for _ in range(BURST):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("! receiving by UDP failed", listener=self.name, reason=str(error))
                return
            self._on_message(data, Peer(Transport.UDP, address[0], address[1], self.name))
            if self._socket.fileno() < 0:
                return  # closed by what the message brought about
