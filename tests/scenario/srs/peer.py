"""A recording client made of nothing but a socket: it sends bytes and reads messages."""

import asyncio
import socket
from itertools import count

from sidestream.sip.framing import KeepAlive, StreamFramer
from sidestream.sip.message import Request, Response, parse_message

from .vendors import Vendor

SECONDS = 5.0  # how long a message may take on loopback

_numbers = count(1)


class Peer:
    """One dialog over UDP or TCP. Bodies' `{port_a}` and `{port_b}` are where media would be received."""

    def __init__(self, transport: str, sock: socket.socket) -> None:
        self.transport = transport
        self._socket = sock
        self._framer = StreamFramer()
        self._waiting: list[bytes] = []
        self._number = next(_numbers)
        self.call_id = f"call-{self._number}@peer.example"
        self.to = "<sip:SRS@127.0.0.1>"
        self._cseq = 0
        self.target = "sip:SRS@127.0.0.1"
        self.vendor: Vendor | None = None

    @classmethod
    async def connect(cls, transport: str, address: tuple[str, int]) -> "Peer":
        kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
        sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return cls(transport, sock)

    def close(self) -> None:
        self._socket.close()

    async def invite(self, vendor: Vendor, *, ports: tuple[int, int] = (40016, 40018)) -> Response:
        """Send the vendor's INVITE and return its final response; a 200 is acknowledged."""
        self.vendor = vendor
        body = vendor.octets.replace(b"{port_a}", b"%d" % ports[0]).replace(b"{port_b}", b"%d" % ports[1])
        response = await self.request("INVITE", body, vendor.content_type, extra=vendor.headers)
        if response.status == 200:
            self.to = response.headers.get("To") or ""
            self.target = str(response.contacts[0].uri)
            await self.acknowledge()
        return response

    async def request(
        self, method: str, body: bytes = b"", content_type: str | None = None, *, extra: tuple[str, ...] = ()
    ) -> Response:
        """Send a request and return its final response."""
        self._cseq += 1
        await self.send(method, body, content_type, extra=extra)
        while True:
            message = await self.message()
            if isinstance(message, Response) and message.status >= 200 and message.cseq.method == method:
                return message

    async def acknowledge(self) -> None:
        await self.send("ACK")

    async def send(
        self, method: str, body: bytes = b"", content_type: str | None = None, *, extra: tuple[str, ...] = ()
    ) -> None:
        assert self.vendor is not None
        branch = f"z9hG4bK{self._number}-{self._cseq}{'-ack' if method == 'ACK' else ''}"
        host, port = self._socket.getsockname()
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {host}:{port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {self.vendor.from_};tag=peer{self._number}",
            f"To: {self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._cseq} {method}",
            *([f"Contact: {self.vendor.contact}"] if method in ("INVITE", "UPDATE") else []),
            *extra,
            *([f"Content-Type: {content_type}"] if content_type else []),
            f"Content-Length: {len(body)}",
        ]
        data = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def respond(self, request: Request, status: int = 200) -> None:
        """Answer a request of the server."""
        data = request.response(status).to_bytes()
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def message(self) -> Request | Response:
        """The next message from the server."""
        async with asyncio.timeout(SECONDS):
            while not self._waiting:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
                assert data, "the server closed the connection"
                frames = [data] if self.transport == "UDP" else self._framer.feed(data)
                self._waiting += [frame for frame in frames if not isinstance(frame, KeepAlive)]
        return parse_message(self._waiting.pop(0))
