import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.debugger.debugger import Debugger
from sidestream.storage.memory import MemoryAlertStore, MemoryOutboxStore
from sidestream.testing.webhook_app import Reply, WebhookApp
from sidestream.webhooks.client import HttpClient
from sidestream.webhooks.outbox import Outbox
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState

ACCOUNT = Account("AC" + "0" * 32, "12345678901234567890123456789012")
MOMENT = datetime(2025, 1, 9, tzinfo=UTC)


class WatchedStore(MemoryOutboxStore):
    """Tells what was asked of it, and can be made to fail or to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: set[str] = set()
        self.most_held = 0
        self.reads = 0
        self.failures = 0
        self.read_gate = asyncio.Event()
        self.read_gate.set()
        self.is_read_waiting = asyncio.Event()
        self.is_read_only = False
        self.settled = asyncio.Semaphore(0)

    def settle(self, callback_id: str, delivery: Delivery) -> None:
        super().settle(callback_id, delivery)
        self.settled.release()

    async def flush(self) -> None:
        if self.is_read_only:
            raise OSError("disk full")
        self.flushed.update(self._callbacks)

    async def pending(self, *, limit: int) -> list[Callback]:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise OSError("disk gone")
        found = await super().pending(limit=limit)
        if not self.read_gate.is_set():
            self.is_read_waiting.set()
        await self.read_gate.wait()
        return found


def a_callback(app: WebhookApp, number: int, key: str = "SR1", path: str = "/cb", method: str = "POST") -> Callback:
    return Callback(
        id=f"{key}-{number}",
        account_sid=ACCOUNT.sid,
        resource_sid=key,
        call_sid="CA1",
        kind="siprec",
        ordering_key=key,
        sequence=number,
        url=app.url(path),
        method=method,
        parameters=(("SiprecSid", key), ("SequenceNumber", str(number))),
        created_at=MOMENT,
    )


class Bench:
    """An outbox with everything around it."""

    def __init__(self, http: HttpClient) -> None:
        self.store = WatchedStore()
        self.alerts = MemoryAlertStore()
        self.http = http

    def outbox(self, *, workers: int = 10, memory_limit: int = 100) -> Outbox:
        clock = SystemClock()
        debugger = Debugger(self.alerts, Ids(random.Random(1)), clock)
        accounts = AccountBook([ACCOUNT])
        return Outbox(self.store, self.http, accounts, clock, debugger, workers=workers, memory_limit=memory_limit)

    async def codes(self) -> list[int]:
        return sorted(alert.code for alert in await self.alerts.find(ACCOUNT.sid, offset=0, limit=50))

    async def delivery(self, callback: Callback) -> Delivery | None:
        return dict(await self.store.deliveries("CA1"))[callback]


def told(app: WebhookApp, key: str = "SR1") -> list[str | None]:
    return [r.parameter("SequenceNumber") for r in app.received if r.parameter("SiprecSid") == key]


@pytest.fixture
def bench(http: HttpClient) -> Bench:
    return Bench(http)


@pytest.fixture
async def outbox(bench: Bench) -> AsyncIterator[Outbox]:
    outbox = bench.outbox()
    outbox.start()
    yield outbox
    await outbox.close()


async def test_a_callback_is_delivered_signed_with_its_token(app: WebhookApp, bench: Bench, outbox: Outbox) -> None:
    callback = a_callback(app, 0)
    outbox.enqueue(callback)
    assert await outbox.drain(5)
    [received] = app.received
    assert received.parameters == callback.parameters
    assert received.signature_valid
    assert received.header("I-Twilio-Idempotency-Token") == "SR1-0"
    delivery = await bench.delivery(callback)
    assert delivery is not None
    assert (delivery.state, delivery.attempts, delivery.status_code, delivery.error_code) == (
        DeliveryState.DELIVERED,
        1,
        204,
        None,
    )
    assert await bench.codes() == []


async def test_by_get_it_travels_in_the_query(app: WebhookApp, outbox: Outbox) -> None:
    outbox.enqueue(a_callback(app, 0, method="GET"))
    assert await outbox.drain(5)
    assert app.received[0].method == "GET"
    assert told(app) == ["0"]


async def test_it_is_durable_before_it_is_sent(app: WebhookApp, bench: Bench, outbox: Outbox) -> None:
    outbox.enqueue(a_callback(app, 0))
    await app.wait_for(lambda received: True)
    assert bench.store.flushed == {"SR1-0"}


async def test_callbacks_of_one_key_wait_for_each_other(app: WebhookApp, outbox: Outbox) -> None:
    gate = asyncio.Event()
    app.answer("/slow", Reply(hold=gate))
    outbox.enqueue(a_callback(app, 0, path="/slow"))
    outbox.enqueue(a_callback(app, 1))
    outbox.enqueue(a_callback(app, 0, key="SR2"))
    outbox.enqueue(a_callback(app, 2))
    await app.wait_for(lambda received: received.parameter("SiprecSid") == "SR2")
    assert told(app) == ["0"]
    assert not await outbox.drain(0.01)
    gate.set()
    assert await outbox.drain(5)
    assert told(app) == ["0", "1", "2"]


async def test_no_more_than_the_workers_are_on_their_way(app: WebhookApp, bench: Bench) -> None:
    gate = asyncio.Event()
    app.answer("/slow", Reply(hold=gate))
    outbox = bench.outbox(workers=2)
    outbox.start()
    for number in range(4):
        outbox.enqueue(a_callback(app, 0, key=f"SR{number}", path="/slow"))
    await app.wait_for_count("/slow", 2)
    assert not await outbox.drain(0.02)
    assert len(app.received) == 2
    gate.set()
    assert await outbox.drain(5)
    assert len(app.received) == 4
    await outbox.close()


@pytest.mark.parametrize("status", [404, 500])
async def test_an_application_that_says_no_is_a_warning(
    app: WebhookApp, bench: Bench, outbox: Outbox, status: int
) -> None:
    app.answer("/cb", Reply(status=status))
    callback = a_callback(app, 0)
    outbox.enqueue(callback)
    assert await outbox.drain(5)
    assert len(app.received) == 1
    delivery = await bench.delivery(callback)
    assert delivery is not None
    assert (delivery.state, delivery.status_code, delivery.error_code) == (DeliveryState.DELIVERED, status, 15003)
    [alert] = await bench.alerts.find(ACCOUNT.sid, offset=0, limit=9)
    assert (alert.code, alert.resource_sid, alert.call_sid) == (15003, "SR1", "CA1")
    assert alert.request_url == app.url("/cb")


async def test_an_application_that_is_gone_is_an_error_and_the_next_goes_on(
    app: WebhookApp, bench: Bench, outbox: Outbox
) -> None:
    url = app.url("/cb")
    callback, after = a_callback(app, 0), a_callback(app, 1)
    await app.close()
    outbox.enqueue(callback)
    assert await outbox.drain(5)
    delivery = await bench.delivery(callback)
    assert delivery is not None
    assert (delivery.state, delivery.attempts, delivery.error_code) == (DeliveryState.FAILED, 2, 11202)
    assert await bench.codes() == [11202]
    await app.start()
    assert app.url("/cb") == url
    outbox.enqueue(after)
    assert await outbox.drain(5)
    assert told(app) == ["1"]


async def test_retries_follow_the_url_and_repeat_token_and_sequence(app: WebhookApp, outbox: Outbox) -> None:
    app.answer("/cb", Reply(status=503), Reply(status=503), Reply(status=200))
    outbox.enqueue(a_callback(app, 0, path="/cb#rc=2&rp=5xx"))
    assert await outbox.drain(5)
    assert told(app) == ["0", "0", "0"]
    assert {received.header("I-Twilio-Idempotency-Token") for received in app.received} == {"SR1-0"}


async def test_a_bad_override_is_reported_and_the_callback_sent(app: WebhookApp, bench: Bench, outbox: Outbox) -> None:
    outbox.enqueue(a_callback(app, 0, path="/cb#rc=7"))
    assert await outbox.drain(5)
    assert await bench.codes() == [11243]
    assert told(app) == ["0"]


async def test_what_a_last_run_left_is_sent_first(app: WebhookApp, bench: Bench) -> None:
    for number in range(3):
        bench.store.append(a_callback(app, number))
    bench.store.settle("SR1-0", Delivery(DeliveryState.DELIVERED, MOMENT, 1, 200))
    outbox = bench.outbox()
    outbox.enqueue(a_callback(app, 3))
    outbox.start()
    outbox.enqueue(a_callback(app, 4))
    assert await outbox.drain(5)
    assert told(app) == ["1", "2", "3", "4"]
    await outbox.close()


async def test_what_was_on_its_way_at_the_end_is_sent_again(app: WebhookApp, bench: Bench) -> None:
    app.answer("/cb", Reply(hold=asyncio.Event()), Reply())
    first = bench.outbox()
    first.start()
    first.enqueue(a_callback(app, 0))
    first.enqueue(a_callback(app, 1))
    await app.wait_for_count("/cb", 1)
    await first.close()
    second = bench.outbox()
    second.start()
    assert await second.drain(5)
    assert told(app) == ["0", "0", "1"]
    tokens = [received.header("I-Twilio-Idempotency-Token") for received in app.received]
    assert tokens == ["SR1-0", "SR1-0", "SR1-1"]
    await second.close()


async def test_above_the_memory_limit_callbacks_wait_in_the_store_in_order(app: WebhookApp, bench: Bench) -> None:
    gate = asyncio.Event()
    app.answer("/slow", Reply(hold=gate))
    outbox = bench.outbox(memory_limit=4)
    outbox.start()
    outbox.enqueue(a_callback(app, 0, path="/slow"))
    for number in range(1, 30):
        outbox.enqueue(a_callback(app, number))
    await app.wait_for_count("/slow", 1)
    assert len(outbox._held) == 4
    gate.set()
    assert await outbox.drain(5)
    assert told(app) == [str(number) for number in range(30)]
    outbox.enqueue(a_callback(app, 30))
    assert await outbox.drain(5)
    assert told(app)[-1] == "30"
    await outbox.close()


async def test_a_callback_settled_while_the_store_is_read_is_not_sent_again(app: WebhookApp, bench: Bench) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    app.answer("/first", Reply(hold=first))
    app.answer("/second", Reply(hold=second))
    outbox = bench.outbox(memory_limit=2)
    outbox.start()
    outbox.enqueue(a_callback(app, 0, key="SR1", path="/first"))
    outbox.enqueue(a_callback(app, 0, key="SR2", path="/second"))
    await app.wait_for_count("/second", 1)
    outbox.enqueue(a_callback(app, 0, key="SR3"))  # spills
    bench.store.read_gate.clear()
    first.set()  # makes room, so the store is read: it gives the second, which is still on its way, and the third
    await bench.store.is_read_waiting.wait()
    second.set()
    for _ in range(2):
        await bench.store.settled.acquire()
    bench.store.read_gate.set()
    assert await outbox.drain(5)
    assert sorted(r.parameter("SiprecSid") or "" for r in app.received) == ["SR1", "SR2", "SR3"]
    await outbox.close()


async def test_a_callback_that_spills_while_the_store_is_read_is_read_too(app: WebhookApp, bench: Bench) -> None:
    bench.store.read_gate.clear()
    outbox = bench.outbox()
    outbox.start()
    await bench.store.is_read_waiting.wait()
    outbox.enqueue(a_callback(app, 0))
    bench.store.read_gate.set()
    assert await outbox.drain(5)
    assert told(app) == ["0"]
    await outbox.close()


async def test_a_store_that_cannot_be_read_is_asked_again(
    app: WebhookApp, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidestream.webhooks.outbox._RETRY_STORE_S", 0)
    bench.store.failures = 2
    bench.store.append(a_callback(app, 0))
    outbox = bench.outbox()
    outbox.start()
    assert await outbox.drain(5)
    assert told(app) == ["0"]
    assert bench.store.reads == 3
    await outbox.close()


async def test_a_store_that_cannot_be_written_does_not_hold_a_callback_back(
    app: WebhookApp, bench: Bench, outbox: Outbox
) -> None:
    bench.store.is_read_only = True
    outbox.enqueue(a_callback(app, 0))
    await app.wait_for_count("/cb", 1)


async def test_a_callback_of_an_account_that_is_gone_is_given_up(app: WebhookApp, bench: Bench, outbox: Outbox) -> None:
    orphan = replace(a_callback(app, 0), account_sid="AC" + "f" * 32)
    outbox.enqueue(orphan)
    outbox.enqueue(a_callback(app, 1))
    assert await outbox.drain(5)
    delivery = await bench.delivery(orphan)
    assert delivery is not None
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 0)
    assert told(app) == ["1"]


async def test_a_defect_costs_one_callback(app: WebhookApp, bench: Bench, outbox: Outbox) -> None:
    broken = a_callback(app, 0, method="BREW")
    outbox.enqueue(broken)
    outbox.enqueue(a_callback(app, 1))
    assert await outbox.drain(5)
    delivery = await bench.delivery(broken)
    assert delivery is not None
    assert (delivery.state, delivery.error_code) == (DeliveryState.FAILED, 11200)
    assert told(app) == ["1"]
