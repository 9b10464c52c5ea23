"""Two phones on a lossy wire and a virtual clock."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import (
    AgentEvent,
    InviteAccepted,
    InviteReceived,
    ReinviteAccepted,
    ReinviteReceived,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.transport import ListenerAddress, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.lossy_wire import LossyWire, Node
from sidestream.testing.virtual_clock import VirtualClock

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"
SDP_TYPE = "application/sdp"


@dataclass
class Phone:
    """An agent with the simplest application: it rings, answers and acknowledges unless told otherwise.

    `answers` is the final status to an INVITE, None to leave it ringing; `config` are fields of its AgentConfig.
    """

    name: str
    host: str
    wire: LossyWire
    answers: int | None = 200
    config: dict[str, Any] = field(default_factory=dict)
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        listeners = tuple(ListenerAddress(t.lower(), t, self.host, 5060) for t in Transport)
        agent = Agent(AgentConfig(name="", listeners=listeners, **self.config), Ids(random.Random(self.name)))
        self.node = self.wire.join(self.name, agent, self.host, on_event=self._take)

    @property
    def agent(self) -> Agent:
        return self.node.agent

    @property
    def now(self) -> float:
        return self.wire.clock.monotonic()

    @property
    def address(self) -> NameAddr:
        return NameAddr(None, Uri.sip(self.name, self.host))

    def call(self, other: "Phone", **options: Any) -> str:
        options = {"body": SDP, "content_type": SDP_TYPE, "target": other.address.uri, **options}
        return self.agent.invite(from_=self.address, to=other.address, now=self.now, **options)

    def seen(self, kind: type[AgentEvent]) -> list[Any]:
        return [event for event in self.node.events if isinstance(event, kind)]

    def session(self) -> str:
        """The only session of an incoming call so far."""
        (received,) = self.seen(InviteReceived)
        return str(received.session)

    def check_endings(self) -> None:
        """Each session ended exactly once, and nothing came after."""
        ends = Counter(event.session for event in self.seen(SessionEnded))
        last = {event.session: event for event in self.node.events if event.session is not None}
        assert set(ends.values()) <= {1}
        assert all(isinstance(event, SessionEnded) for event in last.values()), last

    def check_rest(self) -> None:
        """Nothing is left of it all."""
        self.check_endings()
        assert self.agent.live == (0, 0)
        assert self.agent.poll_timeout() is None

    def _take(self, _node: Node, event: AgentEvent) -> None:
        agent = self.agent
        match event:
            case InviteReceived():
                agent.respond(event.session, 180, now=self.now)
                if self.answers is not None:
                    self.answer(event.session, self.answers)
            case ReinviteReceived():
                self.answer(event.session, 200)
            case InviteAccepted() | ReinviteAccepted():
                agent.acknowledge(event.session, now=self.now)
            case RequestReceived():
                agent.answer(event.request_id, 200, now=self.now)
            case _:
                pass

    def answer(self, session: str, status: int) -> None:
        body, kind = (SDP, SDP_TYPE) if status < 300 else (b"", None)
        self.agent.respond(session, status, body=body, content_type=kind, now=self.now)


@dataclass
class Pair:
    wire: LossyWire
    alice: Phone
    bob: Phone

    def talk(self) -> tuple[str, str]:
        """Let alice call bob; returns both session names once the call stands."""
        ours = self.alice.call(self.bob)
        self.wire.run(5)
        return ours, self.bob.session()

    def check_rest(self) -> None:
        self.alice.check_rest()
        self.bob.check_rest()


def make_pair(**wire: Any) -> Pair:
    lossy = LossyWire(VirtualClock(), **wire)
    return Pair(lossy, Phone("alice", "10.0.0.1", lossy), Phone("bob", "10.0.0.2", lossy))


@pytest.fixture
def pair() -> Pair:
    """On a wire without faults, 10 ms long."""
    return make_pair()


@pytest.fixture
def pair_on() -> Callable[..., Pair]:
    """`make_pair`: takes the arguments of LossyWire."""
    return make_pair


@pytest.fixture
def pair_with() -> Callable[..., Pair]:
    """Takes what goes into Alice's and into Bob's AgentConfig, then the arguments of LossyWire."""

    def make(alice: dict[str, Any], bob: dict[str, Any], **wire: Any) -> Pair:
        lossy = LossyWire(VirtualClock(), **wire)
        return Pair(
            lossy,
            Phone("alice", "10.0.0.1", lossy, config=alice),
            Phone("bob", "10.0.0.2", lossy, config=bob),
        )

    return make


@pytest.fixture
def phone_on() -> type[Phone]:
    return Phone
