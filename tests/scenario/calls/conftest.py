"""A platform without its process: real SIP and HTTP on loopback, a media engine in memory, stores in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from sidestream.accounts.account import Account, Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.base.metrics import Metrics
from sidestream.calls.audio import AudioLibrary
from sidestream.calls.call import Call
from sidestream.calls.front import CallFront
from sidestream.calls.imaging import Imaging
from sidestream.calls.live import LiveCalls
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallRecord
from sidestream.calls.script import run_script
from sidestream.calls.services import CallSettings, Services
from sidestream.calls.speech import Speech
from sidestream.connectors.connector import make_connector
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.debugger.alert import Alert
from sidestream.debugger.debugger import Debugger
from sidestream.media.engine import MediaEngine
from sidestream.sip.agent.config import DEFAULT_ALLOW, AgentConfig
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.srs.config import SrsConfig
from sidestream.srs.server import SrsServer
from sidestream.storage.memory import open_memory
from sidestream.storage.stores import Stores
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.phone.call import PhoneCall
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.webhook_app import WebhookApp
from sidestream.trunks.trunk_book import Trunk, TrunkBook
from sidestream.webhooks.client import HttpClient
from sidestream.webhooks.fetch import DocumentFetcher
from sidestream.webhooks.outbox import Outbox
from sidestream.wire.driver import Listener, SipDriver

HOST = "127.0.0.1"
VOICE = "/voice"


@dataclass(slots=True)
class Office:
    """What a scenario works with. `alice` calls in, `bob` and `carol` are called."""

    account: Account
    services: Services
    front: CallFront
    stores: Stores
    engine: FakeEngine
    app: WebhookApp
    srs: SrsServer
    alice: SipPhone
    bob: SipPhone
    carol: SipPhone
    recordings: Path

    def twiml(self, text: str, path: str = VOICE) -> None:
        """What the application answers; `{bob}` and `{carol}` stand for their URIs."""
        self.app.answer(path, "<Response>" + text.format(bob=self.bob.uri, carol=self.carol.uri) + "</Response>")

    def dial_in(self, number: str = "1000", **options: object) -> PhoneCall:
        """Alice calls a number of the platform."""
        port = self.services.driver.addresses["udp"][1]
        return self.alice.call(f"sip:{number}@{HOST}:{port}", **options)  # type: ignore[arg-type]

    def live(self, direction: str = "inbound") -> Call:
        """The one live call of that direction."""
        (call,) = [call for call in self.services.live if call.record.direction.value == direction]
        return call

    async def records(self) -> list[CallRecord]:
        """All calls, oldest first."""
        found = await self.stores.calls.find(self.account.sid, CallFilter(), offset=0, limit=100)
        return found[::-1]

    async def alerts(self) -> list[Alert]:
        """All alerts, oldest first."""
        return (await self.stores.alerts.find(self.account.sid, offset=0, limit=100))[::-1]

    async def quiet(self) -> None:
        """Wait until no call lives and every callback is delivered."""
        async with asyncio.timeout(10):
            await self.services.live.wait_until_none()
            await self.services.outbox.drain(5.0)


@pytest.fixture
def office_engine() -> MediaEngine:
    """What moves the office's audio; nothing does, unless a module has another one."""
    return FakeEngine()


@pytest.fixture
def more_listeners() -> list[Listener]:
    """Of the platform, besides UDP and TCP; none, unless a module has some."""
    return []


@pytest.fixture
async def office(tmp_path: Path, office_engine: MediaEngine, more_listeners: list[Listener]) -> AsyncIterator[Office]:
    clock, ids, metrics = SystemClock(), Ids(), Metrics()
    stores = open_memory()
    account = Account(ids.sid("AC"), ids.auth_token())
    engine = cast(FakeEngine, office_engine)
    app = WebhookApp(account.auth_token)
    await app.start()
    srs = SrsServer(
        SrsConfig(
            tmp_path / "recordings",
            (Listener("srs-udp", Transport.UDP, HOST, 0), Listener("srs-tcp", Transport.TCP, HOST, 0)),
            free_floor=0,
        ),
        engine,
        clock,
        ids,
    )
    await srs.start()
    phones = [SipPhone(name) for name in ("alice", "bob", "carol")]
    for phone in phones:
        await phone.start()
    alice, bob, carol = phones
    voice = VoiceSettings(
        url=app.url(VOICE),
        fallback_url=app.url("/fallback"),
        status_callback=app.url("/status"),
        status_callback_events=("initiated", "ringing", "answered", "completed"),
    )
    srs_port = srs.driver.addresses["srs-tcp"][1]
    accounts = AccountBook([account], [Number("1000", account.sid, voice)])
    debugger = Debugger(stores.alerts, ids, clock)
    http = HttpClient(clock=clock, metrics=metrics)
    library = AudioLibrary(tmp_path / "audio")
    services = Services(
        driver=SipDriver(
            listeners=[
                Listener("udp", Transport.UDP, HOST, 0),
                Listener("tcp", Transport.TCP, HOST, 0),
                *more_listeners,
            ],
            config=AgentConfig(allow=(*DEFAULT_ALLOW, "REGISTER", "REFER"), supported=("replaces",)),
            ids=ids,
            clock=clock,
        ),
        engine=engine,
        clock=clock,
        ids=ids,
        metrics=metrics,
        accounts=accounts,
        trunks=TrunkBook([Trunk("carrier", outbound=Uri.sip("", HOST, bob.port))]),
        connectors=ConnectorBook(
            [
                make_connector("Default", None, (f"sip:srs@{HOST}:{srs_port};transport=tcp",)),
                make_connector("dead", None, (f"sip:srs@{HOST}:9;transport=tcp",)),
            ]
        ),
        debugger=debugger,
        fetcher=DocumentFetcher(http, ids, debugger),
        outbox=Outbox(stores.outbox, http, accounts, clock, debugger),
        live=LiveCalls(metrics),
        calls=stores.calls,
        imaging=Imaging(stores.images),
        siprecs=stores.siprecs,
        audio=library,
        speech=Speech(library, tmp_path / "speech"),
        script=run_script,
        settings=CallSettings(sip_host=HOST),
    )
    front = CallFront(services)
    services.driver.default_sink = front.take_sip_event
    services.outbox.start()
    await services.driver.start()
    office = Office(account, services, front, stores, engine, app, srs, alice, bob, carol, tmp_path / "recordings")
    yield office
    await office.front.drain()  # a scenario may have put another platform in the place of this one
    for phone in phones:
        await phone.close()
    await srs.close()
    await office.services.driver.close()
    await office.services.outbox.close()
    await http.close()
    await app.close()
    await stores.close()
