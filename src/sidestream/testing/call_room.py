"""The room of calls without network, clock or engine process: real calls on doubles, for tests of single files."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from sidestream.accounts.account import Account, Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.base.ids import Ids
from sidestream.base.metrics import Metrics
from sidestream.calls.audio import AudioLibrary
from sidestream.calls.call import Call
from sidestream.calls.guard import Guard
from sidestream.calls.imaging import Imaging
from sidestream.calls.interpreter import Resumption
from sidestream.calls.invitation import Invite
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import LegMedia
from sidestream.calls.live import LiveCalls
from sidestream.calls.pairing import Pairing
from sidestream.calls.party import Party
from sidestream.calls.ports import CallStore, ImageStore
from sidestream.calls.progress import Progress
from sidestream.calls.record import CallRecord, CallStatus, Direction
from sidestream.calls.requests import Instructions
from sidestream.calls.services import CallSettings, Services
from sidestream.calls.speech import Speech
from sidestream.connectors.connector import make_connector
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.debugger.alert import AlertStore
from sidestream.debugger.debugger import Debugger
from sidestream.recording.ports import SiprecStore
from sidestream.registrar.ports import BindingStore
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import AckReceived, InviteAccepted, ReinviteAccepted
from sidestream.sip.message import Request, Response, parse_message
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.recording_agent import RecordingAgent
from sidestream.testing.virtual_clock import VirtualClock
from sidestream.trunks.trunk_book import TrunkBook
from sidestream.webhooks.fetch import DocumentFetcher, Fetched, Outcome
from sidestream.webhooks.outbox import Outbox
from sidestream.webhooks.ports import Callback
from sidestream.wire.driver import SipDriver

SDP_TEXT = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
SDP = SessionDescription.parse(SDP_TEXT.encode())
PHONE = Peer(Transport.UDP, "192.0.2.1", 5060, "udp")
_HEAD = (
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>{tag}\r\n"
    "Call-ID: 1\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.1>\r\n"
)


def request(
    method: str, body: str = "", *, uri: str = "sip:1000@192.0.2.2", kind: str = "application/sdp", extra: str = ""
) -> Request:
    """A request of the phone at 192.0.2.1; an INVITE has no tag in To."""
    head = f"{method} {uri} SIP/2.0\r\n" + _HEAD.format(tag="" if method == "INVITE" else ";tag=b")
    message = parse_message(_whole(f"{head}CSeq: 2 {method}\r\n{extra}", body, kind))
    assert isinstance(message, Request)
    return message


def response(status: int, body: str = "", *, kind: str = "application/sdp", extra: str = "") -> Response:
    """An answer to an INVITE."""
    head = f"SIP/2.0 {status} Reason\r\n" + _HEAD.format(tag=";tag=b")
    message = parse_message(_whole(f"{head}CSeq: 1 INVITE\r\n{extra}", body, kind))
    assert isinstance(message, Response)
    return message


def _whole(head: str, body: str, kind: str) -> bytes:
    typed = f"Content-Type: {kind}\r\n" if body else ""
    return f"{head}{typed}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def turns(count: int = 30) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


class Pages(DocumentFetcher):
    """Documents by URL; a URL without one fails. `asked` keeps every request as (URL, method, parameters)."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def fetch_with_fallback(  # type: ignore[no-untyped-def]
        self, url, method, fallback, parameters, account, *, call_sid, cookies=None
    ) -> Outcome:
        for where, how in ((url, method), *((fallback,) if fallback else ())):
            self.asked.append((where, how, dict(parameters)))
            if where in self.documents:
                return Outcome(Fetched(where, "text/xml", None, self.documents[where].encode()))
        return Outcome(None)


class CallbackList(Outbox):
    """Callbacks are kept in `sent`, and go nowhere."""

    def __init__(self) -> None:
        self.sent: list[Callback] = []

    def enqueue(self, callback: Callback) -> None:
        self.sent.append(callback)


class Stores(Protocol):
    """What calls keep things in; `storage.memory.open_memory` makes some."""

    calls: CallStore
    images: ImageStore
    siprecs: SiprecStore
    alerts: AlertStore
    bindings: BindingStore


class CallRoom:
    """Services over doubles, which are attributes, and calls that use them; `scripts` are the instructions that ran.

    `change` replaces services, for calls from then on.
    """

    def __init__(self, directory: Path, stores: Stores) -> None:
        self.agent = RecordingAgent()
        self.engine = FakeEngine()
        self.clock = VirtualClock()
        self.ids = Ids()
        self.pages = Pages()
        self.outbox = CallbackList()
        self.stores = stores
        self.account = Account(self.ids.sid("AC"), self.ids.auth_token())
        self.other_account = Account(self.ids.sid("AC"), self.ids.auth_token())
        self.scripts: list[tuple[Call, Instructions]] = []
        self.metrics = Metrics()
        library = AudioLibrary(directory / "audio")
        self.services = Services(
            driver=cast(SipDriver, self.agent),
            engine=self.engine,
            clock=self.clock,
            ids=self.ids,
            metrics=self.metrics,
            accounts=AccountBook(
                [self.account, self.other_account],
                [Number("1000", self.account.sid, VoiceSettings(twiml="<Response/>"))],
            ),
            trunks=TrunkBook(),
            connectors=ConnectorBook([make_connector("Default", None, ("sip:srs@192.0.2.9",))]),
            debugger=Debugger(self.stores.alerts, self.ids, self.clock),
            fetcher=self.pages,
            outbox=self.outbox,
            live=LiveCalls(self.metrics),
            calls=self.stores.calls,
            imaging=Imaging(self.stores.images),
            siprecs=self.stores.siprecs,
            audio=library,
            speech=Speech(library, directory / "speech"),
            script=self._run_script,
            settings=CallSettings(sip_host="192.0.2.2"),
        )

    def change(self, **services: object) -> None:
        """Other services, also for the calls that live."""
        self.services = replace(self.services, **services)  # type: ignore[arg-type]
        for call in self.services.live:
            call.services = self.services

    async def _run_script(self, call: Call, instructions: Instructions, _resumption: Resumption | None = None) -> None:
        self.scripts.append((call, instructions))
        await asyncio.Event().wait()  # until the call is over

    async def incoming(self, body: str = SDP_TEXT, *, session: str = "in", **party: object) -> Call:
        """A call that waits for its answer, and runs."""
        call = self._call(Direction.INBOUND, CallStatus.RINGING, self.ids.sid("CA"), None, **party)
        call.leg.adopt(session, request("INVITE", body))
        self.services.live.run(call, None)
        await turns()
        return call

    async def dialled(self, parent: Call, **party: object) -> Call:
        """A call that `parent` dials, which is not answered yet; it offers what the parent offered."""
        call = self._call(
            Direction.OUTBOUND_DIAL, CallStatus.QUEUED, parent.leg.media.session, parent.record.sid, **party
        )
        to = NameAddr(None, Uri.parse(call.party.aor))
        offer = await call.leg.media.describe_relayed(parent.leg.remote_offer or SDP, answers=None)
        call.leg.invite(Invite(to.uri, from_=to, to=to, offer=offer))
        self.services.live.run(call, None)
        await turns()
        return call

    async def answer(self, call: Call, body: str = SDP_TEXT) -> None:
        """Let who was called answer."""
        assert call.leg.session is not None
        self.agent.hear(InviteAccepted(call.leg.session, response(200, body)))
        await turns()

    async def acknowledge(self, call: Call, body: str = "") -> None:
        """Let who called acknowledge our 200."""
        assert call.leg.session is not None
        self.agent.hear(AckReceived(call.leg.session, request("ACK", body)))
        await turns()

    async def take_offer(self, call: Call, body: str = SDP_TEXT) -> None:
        """Let the party answer our re-INVITE."""
        assert call.leg.session is not None
        self.agent.hear(ReinviteAccepted(call.leg.session, response(200, body)))
        await turns()

    async def bridged(self, **party: object) -> tuple[Call, Call]:
        """A caller and whom it dialled, connected; `party` is of the second."""
        first = await self.incoming()
        second = await self.dialled(first, **party)
        second.pairing, second.partner = Pairing(first, second, self.engine, alone=True), first
        await self.answer(second)
        await self.acknowledge(first)
        return first, second

    async def close(self) -> None:
        """End every call."""
        while self.services.live:
            for call in self.services.live:
                call.hang_up()
            await self.services.live.wait_until_one_ends()

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def timeline(self, call: Call) -> list[str]:
        """The kinds of the events of a call, oldest first."""
        return [event.kind for event in await self.stores.calls.events(call.record.sid)]

    async def codes(self) -> list[int]:
        """The codes of the account's alerts, oldest first."""
        return [alert.code for alert in await self.stores.alerts.find(self.account.sid, offset=0, limit=99)][::-1]

    def callbacks(self) -> Iterable[str]:
        """The CallStatus of each call progress callback."""
        return [dict(one.parameters).get("CallStatus", "") for one in self.outbox.sent if one.kind == "call"]

    def _call(
        self, direction: Direction, status: CallStatus, session: str, parent: str | None, **party: object
    ) -> Call:
        sid = session if parent is None else self.ids.sid("CA")
        now = self.clock.wall()
        media = LegMedia(self.engine, self.ids, session=session, endpoint=sid, interface="default")
        record = CallRecord(
            sid=sid,
            account_sid=self.account.sid,
            parent_call_sid=parent,
            to="sip:b@example.com",
            from_="sip:a@example.com",
            direction=direction,
            status=status,
            date_created=now,
            date_updated=now,
        )
        progress = Progress(
            self.outbox,
            self.clock,
            self.ids,
            url="http://app.example/status",
            events=("initiated", "ringing", "answered", "completed"),
        )
        who = Party(self.ids.uuid_base64(), "sip:a@example.com", None, **party)  # type: ignore[arg-type]
        leg = Leg(self.services.driver, media, Guard(self.services, who, sid))
        return Call(self.services, self.account, record, leg, who, progress)
