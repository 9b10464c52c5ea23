from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.api.sidestream_v1 import SidestreamApi
from sidestream.calls.record import CallEvent, CallRecord
from sidestream.calls.requests import StartSiprec
from sidestream.storage.memory import open_memory
from sidestream.storage.stores import Stores
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.fake_front import START, FakeFront
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState


@pytest.fixture
def stores() -> Stores:
    return open_memory()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def v1(
    front: FakeFront, account: Account, other_account: Account, stores: Stores, engine: FakeEngine
) -> AsyncIterator[httpx.AsyncClient]:
    api = SidestreamApi(front, AccountBook([account, other_account]), stores.calls, stores.outbox, engine)  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Starlette(routes=api.routes())),
        base_url="http://api.test/sidestream/v1",
        auth=(account.sid, account.auth_token),
    ) as client:
        yield client


@pytest.fixture
async def call(front: FakeFront, account: Account, stores: Stores) -> CallRecord:
    """A call with two Siprecs, an event and two callbacks, one of them delivered."""
    call = front.add_call(account)
    for name in ("first", "second"):
        await front.start_siprec(account, call.sid, StartSiprec(name=name, parameters=(("Role", "inbound"),)))
    stores.calls.add_event(CallEvent(call.sid, START, "leg.answered", {"codec": "PCMU"}))
    for number in range(2):
        stores.outbox.append(
            Callback(
                id=f"c{number}",
                account_sid=account.sid,
                resource_sid="SR1",
                call_sid=call.sid,
                kind="siprec",
                ordering_key="SR1",
                sequence=number,
                url="https://app.example/cb",
                method="POST",
                parameters=(("SiprecEvent", "siprec-started"),),
                created_at=START + timedelta(milliseconds=number),
            )
        )
    stores.outbox.settle("c0", Delivery(DeliveryState.DELIVERED, START, 1, status_code=204))
    return call


async def test_a_call_with_everything_that_belongs_to_it(v1: httpx.AsyncClient, call: CallRecord) -> None:
    response = await v1.get(f"/Calls/{call.sid}")
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"call", "events", "siprecs", "callbacks"}
    assert (body["call"]["sid"], body["call"]["start_time"], body["call"]["duration"]) == (
        call.sid,
        "2026-03-02T09:15:04.000000Z",
        None,
    )
    assert (body["call"]["from"], body["call"]["to"]) == (call.from_, call.to)
    assert "from_" not in body["call"]
    assert body["events"] == [{"at": "2026-03-02T09:15:04.000000Z", "kind": "leg.answered", "codec": "PCMU"}]
    assert [siprec["name"] for siprec in body["siprecs"]] == ["first", "second"]
    assert (body["siprecs"][0]["track"], body["siprecs"][0]["parameters"]) == ("both_tracks", [["Role", "inbound"]])
    delivered, pending = body["callbacks"]
    assert (delivered["delivery"]["status_code"], delivered["parameters"]) == (204, {"SiprecEvent": "siprec-started"})
    assert pending["delivery"] is None


async def test_another_accounts_call_is_unknown(
    v1: httpx.AsyncClient, call: CallRecord, other_account: Account
) -> None:
    response = await v1.get(f"/Calls/{call.sid}", auth=(other_account.sid, other_account.auth_token))
    assert (response.status_code, response.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("path", ["/Calls/CA1", "/Media"])
async def test_credentials_are_needed(v1: httpx.AsyncClient, path: str) -> None:
    response = await v1.get(path, auth=("nobody", "x"))
    assert (response.status_code, response.json()["code"]) == (401, 20003)
    assert response.headers["www-authenticate"].startswith("Basic")


async def test_the_media_engines_totals(v1: httpx.AsyncClient, engine: FakeEngine) -> None:
    await engine.open_session("s")
    assert (await v1.get("/Media")).json()["sessions"] == 1
    engine.fail("engine_statistics")
    lost = await v1.get("/Media")
    assert (lost.status_code, lost.json()["code"]) == (503, 20503)
