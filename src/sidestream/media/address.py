"""Where a media engine is reached: a Unix socket, or TLS with certificates on both sides."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

KEEPALIVE_IDLE = 4  # s of silence after which the engine is asked whether it is there, and s between two such questions
USER_TIMEOUT = 5000  # ms that what was sent may stay unacknowledged: a way that is dead for longer is looked for anew

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """An engine on another machine. `ca` signs its certificate, which names `host`; the other two are ours. All PEM."""

    host: str
    port: int
    ca: Path
    certificate: Path
    private_key: Path

    def __str__(self) -> str:
        return f"tls://[{self.host}]:{self.port}" if ":" in self.host else f"tls://{self.host}:{self.port}"

    def context(self) -> ssl.SSLContext:
        """What a connection is made with. Raises OSError for files that do not fit."""
        # A client context asks for the peer's certificate and compares its name (RFC 9525 §6).
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self.ca)
        context.load_cert_chain(self.certificate, self.private_key)
        return context


EngineAddress = Path | TlsAddress


def split_tls_url(url: str) -> tuple[str, int] | None:
    """Host and port of `tls://host:port`; None if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "tls" or not host or not port or parts.path or parts.query or parts.username is not None:
        return None
    return host, port


async def connect(address: EngineAddress, protocol: Callable[[], P]) -> P:
    """A connection to the engine at `address`. Raises OSError; certificates that do not fit are one, too."""
    loop = asyncio.get_running_loop()
    if isinstance(address, TlsAddress):
        transport, made = await loop.create_connection(protocol, address.host, address.port, ssl=address.context())
        _notice_loss(transport.get_extra_info("socket"))
    else:
        _, made = await loop.create_unix_connection(protocol, str(address))
    return made


def _notice_loss(connection: socket.socket) -> None:
    """Have a connection end when its other end is out of reach, instead of waiting for a quarter of an hour."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_IDLE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
