"""One agent, and a peer whose messages are written by hand."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import ListenerAddress, Peer, Transmit, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

SDP = "v=0\r\n"
LISTENERS = (
    ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060),
    ListenerAddress("tcp", Transport.TCP, "10.0.0.1", 5062),
)
UDP = Peer(Transport.UDP, "10.0.0.2", 5060, "udp")
TCP = Peer(Transport.TCP, "10.0.0.2", 40000, "tcp")


@dataclass
class Bench:
    """The agent at 10.0.0.1, called alice; the peer at 10.0.0.2, called bob. `now` moves by `wait`."""

    agent: Agent
    now: float = 1000.0
    transmits: list[Transmit] = field(default_factory=list)
    events: list[AgentEvent] = field(default_factory=list)
    branches: int = 0

    def drain(self) -> None:
        while (transmit := self.agent.poll_transmit()) is not None:
            self.transmits.append(transmit)
        while (event := self.agent.poll_event()) is not None:
            self.events.append(event)

    def take_sent(self) -> list[Any]:
        """The messages sent since the last call, parsed."""
        self.drain()
        sent, self.transmits = self.transmits, []
        return [parse_message(transmit.data) for transmit in sent]

    def take_transmits(self) -> list[Transmit]:
        self.drain()
        sent, self.transmits = self.transmits, []
        return sent

    def take_events(self) -> list[Any]:
        self.drain()
        events, self.events = self.events, []
        return events

    def wait(self, seconds: float) -> None:
        """Fire the timers of the next `seconds`, each at its time."""
        end = self.now + seconds
        while (deadline := self.agent.poll_timeout()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.agent.handle_timeout(self.now)
            self.drain()
        self.now = end

    def receive(self, text: str | bytes, peer: Peer = UDP) -> None:
        self.agent.receive(text if isinstance(text, bytes) else text.encode(), peer, self.now)
        self.drain()

    def request(
        self,
        method: str,
        *,
        uri: str = "sip:alice@10.0.0.1",
        number: int = 1,
        to_tag: str | None = None,
        extra: str = "",
        body: str = "",
        branch: str | None = None,
        via: str | None = None,
        call_id: str = "theirs",
        contact: str | None = "<sip:bob@10.0.0.2>",
        peer: Peer = UDP,
    ) -> None:
        """Receive a request of bob's."""
        self.branches += 1
        branch = branch or f"z9hG4bKbob{self.branches}"
        vias = via or f"SIP/2.0/{peer.transport} 10.0.0.2:5060;rport;branch={branch}"
        tag = f";tag={to_tag}" if to_tag else ""
        if contact is not None and method in ("INVITE", "UPDATE"):
            extra += f"Contact: {contact}\r\n"
        self.receive(
            f"{method} {uri} SIP/2.0\r\nVia: {vias}\r\nFrom: <sip:bob@10.0.0.2>;tag=bobs\r\n"
            f"To: <sip:alice@10.0.0.1>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}",
            peer,
        )

    def reply(self, request: Request, status: int, *, tag: str = "bobs", extra: str = "", body: str = "") -> None:
        """Receive bob's response to a request of ours."""
        response = request.response(status, to_tag=tag if status > 100 else None)
        if extra == "" and status < 300 and request.method in ("INVITE", "UPDATE"):
            extra = "Contact: <sip:bob@10.0.0.2>\r\n"
        head = response.to_bytes().decode().replace("Content-Length: 0\r\n\r\n", "")
        self.receive(f"{head}{extra}Content-Length: {len(body)}\r\n\r\n{body}")

    def invite(self, **options: Any) -> tuple[str, Request]:
        """Send an INVITE to bob; returns session and request."""
        uri = Uri.parse("sip:bob@10.0.0.2")
        options = {
            "target": uri,
            "from_": NameAddr(None, Uri.parse("sip:alice@10.0.0.1")),
            "to": NameAddr(None, uri),
            "body": SDP.encode(),
            "content_type": "application/sdp",
            **options,
        }
        session = self.agent.invite(now=self.now, **options)
        sent = self.take_sent()
        return session, sent[0] if sent else None  # type: ignore[return-value]

    def established(self, **options: Any) -> str:
        """A call to bob that stands."""
        session, request = self.invite(**options)
        self.reply(request, 200)
        self.agent.acknowledge(session, now=self.now)
        self.take_sent()
        self.take_events()
        return session

    def incoming(self, **options: Any) -> str:
        """An INVITE of bob's that waits for us."""
        self.request("INVITE", **{"body": SDP, "extra": "Content-Type: application/sdp\r\n", **options})
        self.take_sent()
        (event,) = self.take_events()
        return str(event.session)

    def answered(self, **options: Any) -> str:
        """A call of bob's that stands. Our tag is `tag`."""
        session = self.incoming(**options)
        self.agent.respond(session, 200, body=SDP.encode(), content_type="application/sdp", now=self.now)
        self.take_sent()
        same = {name: options[name] for name in ("call_id", "number") if name in options}
        self.request("ACK", to_tag=self.tag(session), **same)
        self.take_events()
        return session

    def tag(self, session: str) -> str:
        """Our tag in a session."""
        dialog = self.agent.dialog(session)
        assert dialog is not None
        return dialog.local.tag or ""

    def inside(self, session: str, method: str, number: int, **options: Any) -> None:
        """Receive a request of bob's inside a session."""
        dialog = self.agent.dialog(session)
        assert dialog is not None
        self.request(method, number=number, to_tag=self.tag(session), **{"call_id": dialog.call_id, **options})


def make_bench(**config: Any) -> Bench:
    base = AgentConfig(name="", listeners=LISTENERS)
    return Bench(Agent(replace(base, **config), Ids(random.Random(7))))


@pytest.fixture
def bench() -> Bench:
    return make_bench()


@pytest.fixture
def bench_with() -> Callable[..., Bench]:
    """`make_bench`: takes fields of AgentConfig."""
    return make_bench
