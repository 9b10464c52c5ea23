"""Phones over real sockets on loopback, on asyncio's loop and on uvloop; certificates; a DNS server."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.base.metrics import Metrics
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent, InviteAccepted, InviteReceived, RequestReceived
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.certificates import Authority
from sidestream.wire.driver import Listener, SipDriver
from sidestream.wire.tls import ClientAuth, TlsSettings

SDP = b"v=0\r\n"
LIMIT_S = 10.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # Its replacement, a hook in a conftest, would reach into the rest of the tree.
            item.add_marker(pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture"))


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@dataclass
class Phone:
    """A driver whose application takes every call, unless `answers` says otherwise."""

    driver: SipDriver
    metrics: Metrics
    answers: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    seen: list[AgentEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: AgentEvent) -> None:
        self.seen.append(event)
        self.news.set()
        with self.driver.turn() as (agent, now):
            match event:
                case InviteReceived() if self.answers == 200:
                    agent.respond(event.session, 200, body=SDP, content_type="application/sdp", now=now)
                case InviteReceived():
                    agent.respond(event.session, self.answers, headers=self.headers, now=now)
                case InviteAccepted():
                    agent.acknowledge(event.session, now=now)
                case RequestReceived():
                    agent.answer(event.request_id, 200, now=now)
                case _:
                    pass

    async def saw(self, kind: type[AgentEvent], count: int = 1) -> Any:
        async with asyncio.timeout(LIMIT_S):
            while len(found := [event for event in self.seen if isinstance(event, kind)]) < count:
                self.news.clear()
                await self.news.wait()
        return found[count - 1]

    def call(self, uri: str) -> str:
        target = Uri.parse(uri)
        with self.driver.turn() as (agent, now):
            session = agent.invite(
                target=target,
                from_=NameAddr(None, Uri.parse("sip:alice@127.0.0.1")),
                to=NameAddr(None, target),
                body=SDP,
                content_type="application/sdp",
                now=now,
            )
            self.driver.attach(session, self.take)
        return session

    def hang_up(self, session: str) -> None:
        with self.driver.turn() as (agent, now):
            agent.bye(session, now=now)

    def port(self, name: str) -> int:
        return self.driver.addresses[name][1]

    def count(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0


PhoneOn = Callable[..., Awaitable[Phone]]


@pytest.fixture
async def phone_on() -> AsyncIterator[PhoneOn]:
    """`await phone_on(listener, …, tls=, dns=, rate=, agent=)`: a running phone."""
    phones: list[Phone] = []

    async def make(*listeners: Listener, agent: AgentConfig | None = None, **options: Any) -> Phone:
        metrics = Metrics()
        driver = SipDriver(
            listeners=listeners or (Listener("udp", Transport.UDP, "127.0.0.1", 0),),
            config=agent or AgentConfig(),
            ids=Ids(random.Random(len(phones))),
            clock=SystemClock(),
            metrics=metrics,
            **options,
        )
        phone = Phone(driver, metrics)
        driver.default_sink = phone.take
        await driver.start()
        phones.append(phone)
        return phone

    yield make
    for phone in phones:
        await phone.driver.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def secured(authority: Authority) -> Callable[..., TlsSettings]:
    """`secured("stem", names=…, auth=…)`: settings with a certificate of that kind, and trust in its authority."""

    def make(stem: str, *, auth: ClientAuth = ClientAuth.NONE, **names: Any) -> TlsSettings:
        return TlsSettings(*authority.issue(stem, **names), authority.path, auth)

    return make
