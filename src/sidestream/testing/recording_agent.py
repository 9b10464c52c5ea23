"""SIP driver and agent in one, without SIP: it keeps what it is told to do, and says what a test wants said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.agent.image import SessionImage
from sidestream.sip.agent.unanswered import UnansweredImage
from sidestream.sip.transport import Transport


@dataclass(frozen=True, slots=True)
class Command:
    """One method of the agent that was called, with its arguments but for the time."""

    name: str
    args: tuple[Any, ...]
    fields: dict[str, Any]

    @property
    def status(self) -> int:
        """Of an answer."""
        status = self.args[1]
        assert isinstance(status, int)
        return status


@dataclass
class RecordingAgent:
    """Stands for `wire.driver.SipDriver` and `sip.agent.Agent` together; both are this object.

    `may_offer`: what is answered to `may_reinvite`; `dialogs`: the session of each dialog (Call-ID, local tag, remote
    tag) that `find_session` knows; `raises`: what a command raises instead of being kept; `images`, `invites`: what
    `image` and `unanswered` answer, by session; `asking`: the sessions that want to know of strangers; `outside`: those
    whose peer is not on this machine. Sessions of INVITEs are called s1, s2 …, restored ones r1, r2 …
    """

    commands: list[Command] = field(default_factory=list)
    sinks: dict[str, Callable[[AgentEvent], None]] = field(default_factory=dict)
    raises: dict[str, Exception] = field(default_factory=dict)
    dialogs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    images: dict[str, SessionImage] = field(default_factory=dict)
    invites: dict[str, UnansweredImage] = field(default_factory=dict)
    asking: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)
    may_offer: bool = True
    now: float = 0.0
    default_sink: Callable[[AgentEvent], None] | None = None
    addresses: dict[str, tuple[str, int]] = field(default_factory=lambda: {"udp": ("192.0.2.2", 5060)})
    transports: frozenset[Transport] = frozenset({Transport.UDP, Transport.TCP})
    _invites: int = 0
    _restored: int = 0

    # what the test asks and says

    def names(self) -> list[str]:
        return [command.name for command in self.commands]

    def all(self, name: str) -> list[Command]:
        return [command for command in self.commands if command.name == name]

    def last(self, name: str) -> Command:
        return self.all(name)[-1]

    def hear(self, event: AgentEvent) -> None:
        """Let the session's sink take an event."""
        session = event.session
        assert session is not None
        self.sinks[session](event)

    # the driver

    @contextmanager
    def turn(self) -> Iterator[tuple["RecordingAgent", float]]:
        yield self, self.now

    def attach(self, session: str, sink: Callable[[AgentEvent], None]) -> None:
        self.sinks[session] = sink

    def detach(self, session: str) -> None:
        self.sinks.pop(session, None)

    # the agent

    def invite(self, **fields: Any) -> str:
        self._invites += 1
        self._keep("invite", (), fields)
        return f"s{self._invites}"

    def image(self, session: str) -> SessionImage | None:
        return self.images.get(session)

    def unanswered(self, session: str) -> UnansweredImage | None:
        return self.invites.get(session)

    def restore(self, image: SessionImage, now: float) -> str:
        self._keep("restore", (image,), {"now": now})
        self._restored += 1
        return f"r{self._restored}"

    def may_reinvite(self, _session: str) -> bool:
        return self.may_offer

    def ask_about_strangers(self, session: str) -> None:
        self.asking.append(session)

    def is_outside(self, session: str) -> bool:
        return session in self.outside

    def find_session(self, call_id: str, local_tag: str, remote_tag: str) -> str | None:
        return self.dialogs.get((call_id, local_tag, remote_tag))

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)

        def command(*args: Any, **fields: Any) -> None:
            self._keep(name, args, fields)

        return command

    def _keep(self, name: str, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
        if name in self.raises:
            raise self.raises[name]
        self.commands.append(Command(name, args, {key: value for key, value in fields.items() if key != "now"}))
