"""What the recording server is told at its start."""

from dataclasses import dataclass, field
from pathlib import Path

from sidestream.sip.transport import Transport
from sidestream.wire.driver import Listener
from sidestream.wire.tls import TlsSettings

DEFAULT_PORT = 5070  # beside the platform's own 5060, so that both run on one machine
FREE_FLOOR = 256 * 1024 * 1024  # octets; a call writes 16 kB a second and stream, so this is hours of warning
STORED_LIMIT = 100_000  # recordings in one archive; a folder of more is slow to list
LIVE_LIMIT = 500  # recording sessions at one time
# RFC 3261 §20.33: clients that are refused for want of room may come back after a minute.
RETRY_HEADERS = (("Retry-After", "60"),)


def default_listeners(
    host: str = "127.0.0.1", port: int = DEFAULT_PORT, tls_port: int | None = None
) -> tuple[Listener, ...]:
    """UDP and TCP on one port: metadata does not fit a datagram (siprec I18). And TLS on another, if it is given."""
    listeners = (Listener("srs-udp", Transport.UDP, host, port), Listener("srs-tcp", Transport.TCP, host, port))
    return listeners if tls_port is None else (*listeners, Listener("srs-tls", Transport.TLS, host, tls_port))


@dataclass(frozen=True, slots=True)
class SrsConfig:
    """`directory` holds the archive. `strict` refuses INVITEs without `+sip.src` or `siprec` (S1)."""

    directory: Path
    listeners: tuple[Listener, ...] = field(default_factory=default_listeners)
    strict: bool = False
    interface: str | None = None  # of the media engine; None: its first
    name: str = "Sidestream-SRS"
    free_floor: int = FREE_FLOOR
    stored_limit: int = STORED_LIMIT
    live_limit: int = LIVE_LIMIT
    tls: TlsSettings | None = None  # for listeners with TLS, beside which SRTP is worth its keys
