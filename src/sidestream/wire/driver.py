"""The asyncio shell around the SIP agent: sockets in, sockets out, one timer, events to sinks."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.transport import Transport

Sink = Callable[[AgentEvent], None]


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket to bind. Port 0 takes any free one; `advertised_host` goes into Via and Contact instead of `host`."""

    name: str
    transport: Transport
    host: str
    port: int
    advertised_host: str | None = None


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


class SipDriver:
    """Runs one `Agent` over real sockets.

    Everything happens on the loop that `start` ran on. Commands go through `turn`; events go to the sink attached for
    their session, or to `default_sink`. A sink must not block; what it raises is logged and goes no further. Sinks may
    themselves open a `turn`.
    """

    default_sink: Sink

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        config: AgentConfig,
        ids: Ids,
        clock: Clock,
        trace: Callable[[TraceLine], None] | None = None,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Bind every listener. Raises OSError (and leaves nothing bound) if one of them cannot be."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close all sockets at once; sessions are not ended, so end them first. Idempotent."""
        raise NotImplementedError

    @property
    def addresses(self) -> Mapping[str, tuple[str, int]]:
        """Listener name → bound host and port; known once started."""
        raise NotImplementedError

    def turn(self) -> AbstractContextManager[tuple[Agent, float]]:
        """`with driver.turn() as (agent, now): agent.bye(session, now=now)`: transmits and events drain at its exit."""
        raise NotImplementedError

    def attach(self, session: str, sink: Sink) -> None:
        """Send the events of `session` to `sink` until `SessionEnded` or `detach`."""
        raise NotImplementedError

    def detach(self, session: str) -> None:
        """Send the events of `session` to `default_sink` again; no harm if none was attached."""
        raise NotImplementedError
