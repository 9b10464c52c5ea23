"""A recording client and recorders of the tests' own, over real sockets on the loopback interface."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from lxml import etree

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.connectors.connector import ConnectorOptions, make_connector
from sidestream.media.engine import Format
from sidestream.recording.call import RecordedCall, RecordedParty
from sidestream.recording.session import RecordingSession
from sidestream.recording.siprec import Siprec, SiprecEvent, Track
from sidestream.sdp.answer import usable_lines
from sidestream.sdp.lines import Origin
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import (
    AgentEvent,
    ByeReceived,
    InviteReceived,
    ReinviteAccepted,
    ReinviteReceived,
    RequestAnswered,
    SessionEnded,
)
from sidestream.sip.message import Request
from sidestream.sip.transport import Transport
from sidestream.siprec.body import ACCEPTED_TYPES, parse_body
from sidestream.siprec.metadata import Recording
from sidestream.siprec.reader import read
from sidestream.siprec.schema import load_schema
from sidestream.siprec.srs import CONTACT_PARAMS, Kind, answer, classify
from sidestream.siprec.state import merged
from sidestream.siprec.strict import check_strict
from sidestream.testing.certificates import Authority
from sidestream.testing.fake_engine import FakeEngine
from sidestream.wire.driver import Listener, SipDriver
from sidestream.wire.tls import TlsSettings

from ..platforms import free_port

WAIT_S = 5.0
ACCEPTED = (*ACCEPTED_TYPES, "multipart/mixed")


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fails after WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.002)


def listeners(port: int, transports: tuple[Transport, ...] = (Transport.UDP, Transport.TCP)) -> list[Listener]:
    return [Listener(transport.value.lower(), transport, "127.0.0.1", port) for transport in transports]


class Recorder:
    """A recording server on `siprec.srs` rules that checks every document it gets.

    `behaviour`: "accept", "silent", "inactive" or "refuse-lines" (port 0 in the answer), or a status to refuse with.
    """

    def __init__(
        self,
        schema: etree.XMLSchema,
        behaviour: str | int = "accept",
        transports: tuple[Transport, ...] = (Transport.UDP, Transport.TCP),
        tls: TlsSettings | None = None,
    ) -> None:
        self.behaviour = behaviour
        self.port = free_port()
        self.uri = f"sip:srs@127.0.0.1:{self.port}"
        self.driver = SipDriver(
            listeners=listeners(self.port, transports),
            config=AgentConfig(name="Recorder", contact_user="srs", supported=("siprec",), accept=ACCEPTED),
            ids=Ids(random.Random(2)),
            clock=SystemClock(),
            tls=tls,
        )
        self.driver.default_sink = self._take
        self.requests: list[Request] = []
        self.offers: list[SessionDescription] = []
        self.events: list[AgentEvent] = []
        self.state: Recording | None = None
        self.problems: list[str] = []
        self.session: str | None = None
        self._schema = schema

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    @property
    def is_over(self) -> bool:
        return any(isinstance(event, SessionEnded) for event in self.events)

    def answered(self, kind: type) -> bool:
        return any(isinstance(event, kind) for event in self.events)

    def reinvite(self, direction: str) -> None:
        """Offer our lines again in another direction."""
        assert self.session is not None
        sdp = self._answer(self.offers[-1]).to_bytes().replace(b"a=recvonly", b"a=" + direction.encode())
        with self.driver.turn() as (agent, now):
            agent.reinvite(
                self.session, body=sdp, content_type="application/sdp", headers=[("Require", "siprec")], now=now
            )

    def request_snapshot(self) -> None:
        """S9: by UPDATE, without SDP."""
        assert self.session is not None
        body = b'<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1"/>'
        headers = [("Require", "siprec"), ("Content-Disposition", "recording-session")]
        with self.driver.turn() as (agent, now):
            agent.request(
                self.session,
                "UPDATE",
                headers=headers,
                body=body,
                content_type="application/rs-metadata+xml",
                now=now,
            )

    def bye(self) -> None:
        assert self.session is not None
        with self.driver.turn() as (agent, now):
            agent.bye(self.session, now=now)

    def _take(self, event: AgentEvent) -> None:
        self.events.append(event)
        match event:
            case InviteReceived() | ReinviteReceived():
                self.requests.append(event.request)
                self._invited(event.session, event.request)
            case ByeReceived():
                self.requests.append(event.request)
                if event.request.body:
                    self._check(event.request, None)
            case ReinviteAccepted():
                with self.driver.turn() as (agent, now):
                    agent.acknowledge(event.session, now=now)
            case RequestAnswered() | SessionEnded() | _:
                pass

    def _invited(self, session: str, request: Request) -> None:
        self.session = session
        if self.behaviour == "silent":
            return
        with self.driver.turn() as (agent, now):
            if isinstance(self.behaviour, int):
                agent.respond(session, self.behaviour, now=now)
                return
            body = parse_body(request)
            assert body.sdp is not None
            offer = SessionDescription.parse(body.sdp)
            self.offers.append(offer)
            if request.to.tag is None and classify(request, strict=True).kind is not Kind.RECORDING:
                self.problems.append("S1: no recording session by the strict rule")
            self._check(request, offer)
            sdp = self._answer(offer).to_bytes()
            agent.respond(
                session, 200, body=sdp, content_type="application/sdp", contact_params=CONTACT_PARAMS, now=now
            )

    def _answer(self, offer: SessionDescription) -> SessionDescription:
        ports = {index: 7000 + 2 * index for index in usable_lines(offer)}
        origin = Origin("-", 9, 1, "127.0.0.1")
        made = answer(offer, host="127.0.0.1", ports=ports, origin=origin, ready=self.behaviour != "inactive")
        assert made is not None
        if self.behaviour == "refuse-lines":
            return SessionDescription(made.lines, tuple(media.refused() for media in made.media))
        return made

    def _check(self, request: Request, offer: SessionDescription | None) -> None:
        """Every document: valid by the schema, without a strict problem, and it fits the state."""
        body = parse_body(request)
        if body.metadata is None:
            self.problems.append(f"{request.method} without metadata")
            return
        if not self._schema.validate(etree.fromstring(body.metadata)):
            self.problems.append(f"schema: {self._schema.error_log}")
        self.problems += [str(problem) for problem in check_strict(body.metadata, offer, self.state)]
        reading = read(body.metadata)
        assert reading.recording is not None
        after = merged(self.state, reading.recording)
        self.problems += after.problems
        self.state = after.recording


@dataclass
class Stage:
    """The client's side. `record` starts a recording toward the given recorders."""

    driver: SipDriver
    engine: FakeEngine
    schema: etree.XMLSchema
    heard: list[SiprecEvent] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def recorder(
        self,
        behaviour: str | int = "accept",
        transports: tuple[Transport, ...] = (Transport.UDP, Transport.TCP),
        tls: TlsSettings | None = None,
    ) -> Recorder:
        made = Recorder(self.schema, behaviour, transports, tls)
        await made.driver.start()
        self.recorders.append(made)
        return made

    async def record(
        self, *uris: str, answer_timeout_s: float = 5.0, parameters: tuple[tuple[str, str], ...] = ()
    ) -> tuple[RecordingSession, RecordedCall]:
        now = datetime.now(UTC)
        siprec = Siprec(
            sid="SR1",
            account_sid="AC1",
            call_sid="CA1",
            name=None,
            connector_name="Default",
            track=Track.BOTH,
            parameters=parameters,
            status_callback=None,
            status_callback_method="POST",
            started_by="rest",
            date_created=now,
            date_updated=now,
        )
        ids = Ids()
        ada = RecordedParty(ids.uuid_base64(), "sip:+14155550142@pstn.example.com;user=phone", "Ada & Co", now)
        desk = RecordedParty(ids.uuid_base64(), "sip:desk@marsh.example.org", None, now)
        formats = (Format(0, "PCMU", 8000), Format(8, "PCMA", 8000), Format(101, "TELEPHONE-EVENT", 8000))
        call = RecordedCall("CA1", "AC1", ids.uuid_base64(), now, (ada, desk), formats, "CA1", "a")
        session = RecordingSession(
            siprec,
            make_connector("Default", None, uris, options=ConnectorOptions(answer_timeout_s=answer_timeout_s)),
            call,
            driver=self.driver,
            engine=self.engine,
            clock=SystemClock(),
            ids=ids,
            observer=self,
        )
        self.tasks.append(asyncio.create_task(session.run()))
        return session, call

    def siprec_changed(self, siprec: Siprec, event: SiprecEvent | None) -> None:
        if event is not None:
            self.heard.append(event)

    @property
    def active(self) -> list[bool]:
        return [fork.active for fork in self.engine.sessions["CA1"].forks.values()]


@pytest.fixture(scope="session")
def schema() -> etree.XMLSchema:
    return load_schema()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def stage(schema: etree.XMLSchema, authority: Authority) -> AsyncIterator[Stage]:
    driver = SipDriver(
        listeners=[*listeners(free_port()), Listener("tls", Transport.TLS, "127.0.0.1", 0)],
        tls=TlsSettings(*authority.issue("src", addresses=("127.0.0.1",)), authority.path),
        config=AgentConfig(supported=("siprec",), accept=ACCEPTED),
        ids=Ids(random.Random(1)),
        clock=SystemClock(),
    )
    await driver.start()
    made = Stage(driver, FakeEngine(), schema)
    await made.engine.open_session("CA1")
    await made.engine.open_endpoint("CA1", "a")
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await driver.close()
    for recorder in made.recorders:
        await recorder.driver.close()
        assert recorder.problems == []
