"""What an agent is told once: its name, its addresses, what it allows and understands."""

from dataclasses import dataclass, field

from sidestream.sip import session_timer
from sidestream.sip.session_timer import SessionTimerPolicy
from sidestream.sip.timers import Timers
from sidestream.sip.transport import ListenerAddress

# Seconds without any response until the next of several servers is tried. RFC 3263 §4.3 waits for timer B, which is
# longer than people let a phone ring; a server that is alive sends 100 within 200 ms (RFC 3261 §17.2.1).
FAILOVER_S = 4.0

UDP_LIMIT = 1300  # octets; RFC 3261 §18.1.1: larger requests go by a congestion-controlled transport if MTU is unknown

DEFAULT_ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK")

TRANSFER_METHODS = ("REFER", "NOTIFY")  # RFC 3515: for applications that take or make transfers


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Frozen settings of one `Agent`.

    `listeners`: our addresses; the first of a transport is used for requests outside a dialog. `wire.SipDriver` fills
    it in once its sockets are bound. `supported`: the application's option tags in lower case; any tag in a Require
    that is not among `option_tags` is answered 420. `session_timer`: how sessions are refreshed; None: never.
    `reliable_progress`: whether provisional responses may go and come reliably (RFC 3262). `accept`: media types in
    lower case taken in the body of INVITE and UPDATE; another is answered 415. `session_limit`: with so many sessions
    a new INVITE is answered 503 (RFC 3261 §21.5.4); our own go on.
    """

    name: str = "Sidestream"  # User-Agent and Server
    listeners: tuple[ListenerAddress, ...] = ()
    contact_user: str | None = None
    timers: Timers = field(default_factory=Timers)
    allow: tuple[str, ...] = DEFAULT_ALLOW
    supported: tuple[str, ...] = ()
    session_timer: SessionTimerPolicy | None = None
    reliable_progress: bool = True
    accept: tuple[str, ...] = ("application/sdp", "multipart/mixed")
    udp_limit: int = UDP_LIMIT
    failover_s: float = FAILOVER_S
    session_limit: int | None = None

    @property
    def option_tags(self) -> tuple[str, ...]:
        """Every option tag that we understand, the agent's own included."""
        own = ("100rel",) if self.reliable_progress else ()
        return (*self.supported, *own, *((session_timer.OPTION_TAG,) if self.session_timer is not None else ()))
