from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.base.secret import Secret
from sidestream.calls.record import CallEvent, CallRecord, CallStatus, Direction
from sidestream.connectors.connector import ConnectorOptions, make_connector
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.console.routes import create_console
from sidestream.debugger.alert import Alert, Level
from sidestream.recording.siprec import Siprec, SiprecStatus, Track
from sidestream.storage.memory import open_memory
from sidestream.storage.stores import Stores
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState

BEGAN = datetime(2026, 3, 2, 9, 15, 2, 640000, tzinfo=UTC)
ACCOUNT = Account(sid="AC" + "1" * 32, auth_token="t" * 32, friendly_name="Marsh & Sons")
OTHER = Account(sid="AC" + "2" * 32, auth_token="u" * 32)
EVIL = '<script>alert("1")</script>'
CONNECTORS = ConnectorBook(
    (
        make_connector(
            "primary",
            ACCOUNT.sid,
            ("sip:srs@srs.example.com;secure=true", "sip:srs@192.0.2.20;transport=tcp"),
            ("X-Key", Secret("hunter5")),
            ConnectorOptions(dtmf=False, fork_batch_ms=80),
        ),
        make_connector(EVIL, None, ("sip:srs@192.0.2.21",)),
    )
)


def call_record(
    number: int = 1, *, account: Account = ACCOUNT, status: CallStatus = CallStatus.IN_PROGRESS
) -> CallRecord:
    return CallRecord(
        sid=f"CA{number:032x}",
        account_sid=account.sid,
        parent_call_sid=None,
        to="+14155550142",
        from_=EVIL,
        direction=Direction.INBOUND,
        status=status,
        date_created=BEGAN + timedelta(seconds=number),
        date_updated=BEGAN,
        start_time=BEGAN + timedelta(seconds=number + 2),
        end_time=BEGAN + timedelta(seconds=number + 65) if status.is_final else None,
        sip_call_id="leg@phone",
        sip_response_code=200,
    )


def siprec_of(call: CallRecord, number: int = 1, **changes: object) -> Siprec:
    siprec = Siprec(
        sid=f"SR{number:032x}",
        account_sid=call.account_sid,
        call_sid=call.sid,
        name=None,
        connector_name="Default",
        track=Track.BOTH,
        parameters=(("Role", EVIL),),
        status_callback=None,
        status_callback_method="POST",
        started_by="twiml",
        date_created=BEGAN,
        date_updated=BEGAN,
    )
    for name, value in changes.items():
        setattr(siprec, name, value)
    return siprec


def callback_of(call: CallRecord, number: int = 0, **parameters: str) -> Callback:
    return Callback(
        id=f"token-{number}",
        account_sid=call.account_sid,
        resource_sid="SR1",
        call_sid=call.sid,
        kind="siprec",
        ordering_key="SR1",
        sequence=number,
        url="https://user:hunter2@app.example:8443/cb?key=hunter3#rc=2",
        method="POST",
        parameters=tuple(parameters.items()),
        created_at=BEGAN,
    )


class Recordings:
    def page_of(self, sip_call_id: str) -> str | None:
        return "/recordings/RE1" if sip_call_id == "rs@sidestream" else None


@pytest.fixture
def stores() -> Stores:
    return open_memory()


@pytest.fixture
def full_call(stores: Stores) -> CallRecord:
    """A call in which everything happened."""
    call = call_record(status=CallStatus.COMPLETED)
    call.parent_call_sid = "CA" + "f" * 32
    stores.calls.save(call)
    detail = {"url": "https://user:hunter2@app.example/voice?key=hunter3", "text": EVIL, "none": None}
    stores.calls.add_event(CallEvent(call.sid, BEGAN + timedelta(seconds=1.25), "twiml.fetched", detail))
    stores.siprecs.save(
        siprec_of(
            call,
            name="first",
            status=SiprecStatus.STOPPED,
            stopped_by="rest",
            stopped_at=BEGAN,
            accepted_at=BEGAN,
            sip_call_id="rs@sidestream",
            srs_uri="sip:srs@127.0.0.1:5070",
            invite_ms=12.34,
            first_packet_ms=5.67,
            packets_sent={"outbound": 7, "inbound": 9},
        )
    )
    stores.siprecs.save(
        siprec_of(call, 2, status=SiprecStatus.STOPPED, error_code=32011, error_message=EVIL, stopped_at=BEGAN)
    )
    stores.outbox.append(callback_of(call, 0, SiprecEvent="siprec-started"))
    stores.outbox.append(callback_of(call, 1, SiprecEvent="siprec-stopped"))
    stores.outbox.settle("token-0", Delivery(DeliveryState.DELIVERED, BEGAN, 2, status_code=204))
    alert = Alert("NO1", ACCOUNT.sid, call.sid, 32011, Level.WARNING, f"SRS silent {EVIL}", BEGAN, call_sid=call.sid)
    stores.alerts.add(alert)
    return call


@pytest.fixture
async def client(stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=create_console(stores, AccountBook([ACCOUNT, OTHER]), CONNECTORS, Recordings()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://console.test",
        auth=(ACCOUNT.sid, ACCOUNT.auth_token),
    ) as client:
        yield client
