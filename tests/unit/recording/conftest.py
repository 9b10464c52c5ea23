"""A SIP driver that remembers commands, an observer that remembers events, and a recording between them."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from sidestream.base.ids import Ids
from sidestream.base.secret import Secret
from sidestream.connectors.connector import Connector, ConnectorOptions, make_connector
from sidestream.media.engine import Format
from sidestream.recording.call import RecordedCall, RecordedParty
from sidestream.recording.session import RecordingSession
from sidestream.recording.siprec import Siprec, SiprecEvent, Track
from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import AgentEvent, EndCause, InviteAccepted, SessionEnded
from sidestream.sip.agent.image import SessionImage
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response
from sidestream.sip.transport import Transport
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.virtual_clock import VirtualClock

STARTED = datetime(2026, 3, 2, 9, 15, 2, tzinfo=UTC)
SDP = (
    "v=0\r\no=- 5 1 IN IP4 192.0.2.50\r\ns=srs\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0\r\na=recvonly\r\nm=audio 6002 RTP/AVP 0\r\na=recvonly\r\n"
)


def accepted(session: str, sdp: str = SDP) -> InviteAccepted:
    headers = Headers([("Content-Type", "application/sdp")])
    return InviteAccepted(session, Response(200, "OK", headers, sdp.encode()))


IMAGE = SessionImage(
    listener="udp",
    transport=Transport.UDP,
    contact_user="SRC",
    contact_params=(("+sip.src", None),),
    owns_call_id=True,
    secure=False,
    call_id="c1",
    local="<sip:SRC@192.0.2.20>;tag=ours",
    remote="<sip:srs@192.0.2.50>;tag=theirs",
    local_seq=1,
    remote_seq=None,
    remote_target="sip:srs@192.0.2.50",
    route_set=(),
    peer_allows=(),
    sent_sdp=b"",
    heard_sdp=b"",
    least_interval=0,
)


class FakeAgent:
    """Remembers what it is told as (command, arguments). `refused` commands raise WrongState.

    `is_quiet`: its sessions have an image.
    """

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.refused: set[str] = set()
        self.is_free = True
        self.is_quiet = True
        self.sessions = 0

    def invite(self, **arguments: Any) -> str:
        self.commands.append(("invite", arguments))
        self.sessions += 1
        return f"s{self.sessions}"

    def may_reinvite(self, session: str) -> bool:
        return self.is_free

    def image(self, session: str) -> SessionImage | None:
        return IMAGE if self.is_quiet else None

    def restore(self, image: SessionImage, now: float) -> str:
        assert image == IMAGE
        self.sessions += 1
        return f"s{self.sessions}"

    def __getattr__(self, command: str) -> Callable[..., None]:
        def told(target: str, *values: Any, **arguments: Any) -> None:
            self.commands.append((command, {"target": target, "values": values, **arguments}))
            if command in self.refused:
                raise WrongState(target, command, "told to refuse")

        return told

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.commands]

    def last(self, name: str) -> dict[str, Any]:
        return [arguments for command, arguments in self.commands if command == name][-1]


class FakeDriver:
    def __init__(self, clock: VirtualClock) -> None:
        self.agent = FakeAgent()
        self.clock = clock
        self.sinks: dict[str, Callable[[AgentEvent], None]] = {}

    @contextmanager
    def turn(self) -> Iterator[tuple[FakeAgent, float]]:
        yield self.agent, self.clock.monotonic()

    def attach(self, session: str, sink: Callable[[AgentEvent], None]) -> None:
        self.sinks[session] = sink

    def say(self, event: AgentEvent) -> None:
        assert event.session is not None
        self.sinks[event.session](event)


@dataclass
class Observer:
    """What the call hears: (event, status at that moment)."""

    heard: list[tuple[SiprecEvent | None, str]] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    settled: int = 0

    def siprec_changed(self, siprec: Siprec, event: SiprecEvent | None) -> None:
        self.heard.append((event, siprec.status.value))

    def recording_settled(self) -> None:
        self.settled += 1

    def media_discarded(self, siprec: Siprec, reason: str) -> None:
        self.discarded.append(reason)

    @property
    def events(self) -> list[SiprecEvent]:
        return [event for event, _ in self.heard if event is not None]


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


class Scene:
    """One Siprec with all its neighbours as doubles."""

    def __init__(
        self,
        *,
        targets: tuple[str, ...] = ("sip:srs@192.0.2.50",),
        track: Track = Track.BOTH,
        parameters: tuple[tuple[str, str], ...] = (),
        options: ConnectorOptions | None = None,
        header: tuple[str, Secret] | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.driver = FakeDriver(self.clock)
        self.agent = self.driver.agent
        self.engine = FakeEngine()
        self.observer = Observer()
        self.connector: Connector = make_connector("Default", None, targets, header, options)
        self.siprec = Siprec(
            sid="SR1",
            account_sid="AC1",
            call_sid="CA1",
            name=None,
            connector_name="Default",
            track=track,
            parameters=parameters,
            status_callback=None,
            status_callback_method="POST",
            started_by="rest",
            date_created=STARTED,
            date_updated=STARTED,
        )
        ada = RecordedParty("4/uAfbN0RWqLbFijp+5A/Q==", "sip:+14155550142@pstn.example.com", "Ada", STARTED)
        desk = RecordedParty("L0yHiwMvSo6sbfgjQ2s37g==", "sip:desk@marsh.example.org", None, STARTED)
        self.call = RecordedCall(
            call_sid="CA1",
            account_sid="AC1",
            session_id="+b6VvL1RRW24nrRQxci3lw==",
            started_at=STARTED,
            parties=(ada, desk),
            formats=(Format(0, "PCMU", 8000), Format(101, "TELEPHONE-EVENT", 8000)),
            media_session="CA1",
            endpoint="a",
        )
        self.session = self.make_session()
        self.task: asyncio.Task[None] | None = None

    def make_session(self) -> RecordingSession:
        return RecordingSession(
            self.siprec,
            self.connector,
            self.call,
            driver=self.driver,  # type: ignore[arg-type]
            engine=self.engine,
            clock=self.clock,
            ids=Ids(random.Random(1)),
            observer=self.observer,
        )

    async def open_media(self) -> None:
        await self.engine.open_session("CA1")
        await self.engine.open_endpoint("CA1", "a")

    async def start(self) -> "asyncio.Task[None]":
        await self.open_media()
        self.task = asyncio.create_task(self.session.run())
        await settle()
        return self.task

    async def accept(self, sdp: str = SDP) -> None:
        self.driver.say(accepted(f"s{self.agent.sessions}", sdp))
        await settle()

    async def restart(self) -> None:
        """What a restart does: the engine's forks and the server's session stand, all of ours is made anew."""
        image = self.session.image()
        assert image is not None
        assert self.task is not None
        self.driver.sinks.clear()
        self.driver.agent = self.agent = FakeAgent()
        self.session = self.make_session()
        self.session.restore(image)
        self.task = asyncio.create_task(self.session.run())
        await settle()

    async def say(self, event: AgentEvent) -> None:
        self.driver.say(event)
        await settle()

    async def stop(self, by: str = "rest") -> None:
        """Stop, and let the agent end the session as it would."""
        stopping = asyncio.create_task(self.session.stop(by))
        await settle()
        if "s1" in self.driver.sinks:
            self.driver.say(SessionEnded(f"s{self.agent.sessions}", EndCause.LOCAL_BYE))
        await stopping


@pytest.fixture
def scene() -> Scene:
    return Scene()
