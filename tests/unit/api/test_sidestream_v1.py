from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account_book import AccountBook
from sidestream.api.sidestream_v1 import SidestreamApi
from sidestream.calls.record import CallEvent
from sidestream.calls.requests import StartSiprec
from sidestream.storage.memory import open_memory
from sidestream.testing.fake_engine import FakeEngine
from sidestream.testing.fake_front import START
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState


@pytest.fixture
def stores():
    return open_memory()


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
async def own(front, account, other_account, stores, engine):
    book = AccountBook([account, other_account])
    api = SidestreamApi(front, book, stores.calls, stores.outbox, engine)
    transport = httpx.ASGITransport(Starlette(routes=api.routes()))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api.test/sidestream/v1", auth=(account.sid, account.auth_token)
    ) as client:
        yield client


async def test_a_call_comes_with_all_that_belongs_to_it(own, front, account, stores):
    call = front.add_call(account)
    first = await front.start_siprec(account, call.sid, StartSiprec(name="a", parameters=(("Role", "x"),)))
    second = await front.start_siprec(account, call.sid, StartSiprec(name="b"))
    stores.calls.add_event(CallEvent(call.sid, START, "call.answered", {"n": 1}))
    callback = Callback(
        "t1", account.sid, first.sid, call.sid, "siprec", first.sid, 0, "http://a", "POST", (("K", "v"),), START
    )
    stores.outbox.append(callback)
    stores.outbox.settle("t1", Delivery(DeliveryState.DELIVERED, START + timedelta(seconds=1), 2, 204))

    answer = await own.get(f"/Calls/{call.sid}")

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"call", "events", "siprecs", "callbacks"}
    assert (body["call"]["sid"], body["call"]["duration"]) == (call.sid, None)
    assert body["events"] == [{"at": "2026-03-02T09:15:04.000000Z", "kind": "call.answered", "n": 1}]
    assert [siprec["sid"] for siprec in body["siprecs"]] == [first.sid, second.sid]
    assert body["siprecs"][0]["parameters"] == [["Role", "x"]]
    (told,) = body["callbacks"]
    assert (told["parameters"], told["delivery"]["state"], told["delivery"]["attempts"]) == (
        {"K": "v"},
        "delivered",
        2,
    )


async def test_no_secret_of_the_account_is_in_it(own, front, account):
    call = front.add_call(account)
    assert account.auth_token not in (await own.get(f"/Calls/{call.sid}")).text


async def test_another_accounts_call_does_not_exist(own, front, other_account):
    call = front.add_call(other_account)
    answer = await own.get(f"/Calls/{call.sid}")
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("path", ["/Calls/CA00000000000000000000000000000001", "/Media"])
async def test_wrong_credentials_are_refused(own, path):
    answer = await own.get(path, auth=("AC" + "1" * 32, "wrong"))
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


async def test_the_media_engines_totals(own, engine):
    await engine.open_session("s")
    body = (await own.get("/Media")).json()
    assert body["sessions"] == 1
    assert set(body) >= {"packets_relayed", "packets_forked", "latency_p50_us", "latency_p99_us", "resident_bytes"}


async def test_a_media_engine_that_does_not_answer_is_said_so(own, engine):
    engine.fail("engine_statistics", "engine-lost")
    answer = await own.get("/Media")
    assert (answer.status_code, answer.json()["code"]) == (503, 20503)
