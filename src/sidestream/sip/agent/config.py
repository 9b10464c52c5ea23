"""What an agent is told once: its name, its addresses, what it allows and understands."""

from dataclasses import dataclass, field

from sidestream.sip.timers import Timers
from sidestream.sip.transport import ListenerAddress

UDP_LIMIT = 1300  # octets; RFC 3261 §18.1.1: larger requests go by a congestion-controlled transport if MTU is unknown

DEFAULT_ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE")


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Frozen settings of one `Agent`.

    `listeners`: our addresses; the first of a transport is used for requests outside a dialog. `wire.SipDriver` fills
    it in once its sockets are bound. `supported`: option tags in lower case; any other tag in a Require is answered
    420. `accept`: media types in lower case taken in the body of INVITE and UPDATE; another is answered 415.
    """

    name: str = "Sidestream"  # User-Agent and Server
    listeners: tuple[ListenerAddress, ...] = ()
    contact_user: str | None = None
    timers: Timers = field(default_factory=Timers)
    allow: tuple[str, ...] = DEFAULT_ALLOW
    supported: tuple[str, ...] = ()
    accept: tuple[str, ...] = ("application/sdp", "multipart/mixed")
    udp_limit: int = UDP_LIMIT
