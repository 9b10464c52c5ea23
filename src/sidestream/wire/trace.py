"""A record of what passed the sockets, for a SIP ladder."""

from dataclasses import dataclass

from sidestream.sip.transport import Transport


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One message that passed a socket. `at`: monotonic seconds; `incoming`: direction seen from here."""

    at: float
    incoming: bool
    transport: Transport
    local: str  # name of our listener
    host: str
    port: int
    data: bytes
