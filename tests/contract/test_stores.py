"""What every backend must do alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidestream.accounts.account import Account
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallEvent, CallRecord, CallStatus, Direction
from sidestream.debugger.alert import Alert, Level
from sidestream.recording.siprec import Siprec, SiprecStatus, Track
from sidestream.registrar.ports import StoredBinding
from sidestream.storage.errors import AlreadyStored
from sidestream.storage.stores import Stores
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState

ACCOUNT = "AC" + "0" * 32
STRANGER = "AC" + "f" * 32
CALL = "CA" + "0" * 32
START = datetime(2025, 1, 9, 12, 34, 56, 123456, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sid(prefix: str, number: int) -> str:
    return f"{prefix}{number:032x}"


def a_call(number: int = 0, **changes: object) -> CallRecord:
    call = CallRecord(
        sid=sid("CA", number),
        account_sid=ACCOUNT,
        parent_call_sid=None,
        to="+18005551212",
        from_="sip:alice@example.com",
        direction=Direction.INBOUND,
        status=CallStatus.RINGING,
        date_created=at(number),
        date_updated=at(number),
    )
    return replace(call, **changes)  # type: ignore[arg-type]


def a_siprec(number: int = 0, **changes: object) -> Siprec:
    siprec = Siprec(
        sid=sid("SR", number),
        account_sid=ACCOUNT,
        call_sid=CALL,
        name=None,
        connector_name="Default",
        track=Track.BOTH,
        parameters=(),
        status_callback=None,
        status_callback_method="POST",
        started_by="rest",
        date_created=at(number),
        date_updated=at(number),
    )
    return replace(siprec, **changes)  # type: ignore[arg-type]


def a_callback(number: int = 0, **changes: object) -> Callback:
    callback = Callback(
        id=f"token{number}",
        account_sid=ACCOUNT,
        resource_sid=sid("SR", 0),
        call_sid=CALL,
        kind="siprec",
        ordering_key=sid("SR", 0),
        sequence=number,
        url="https://app.example/cb#rc=2",
        method="POST",
        parameters=(("SiprecEvent", "siprec-started"), ("SiprecName", "ünïcode & spaces")),
        created_at=at(number),
    )
    return replace(callback, **changes)  # type: ignore[arg-type]


def an_alert(number: int = 0, **changes: object) -> Alert:
    alert = Alert(
        sid=sid("NO", number),
        account_sid=ACCOUNT,
        resource_sid=CALL,
        code=11200,
        level=Level.ERROR,
        text="It failed",
        at=at(number),
        call_sid=CALL,
        request_method="POST",
        request_url="https://app.example/voice",
        details={"httpResponse": "500"},
    )
    return replace(alert, **changes)  # type: ignore[arg-type]


class TestCalls:
    async def test_a_call_comes_back_as_it_was_saved(self, stores: Stores) -> None:
        full = a_call(
            1,
            parent_call_sid=CALL,
            status=CallStatus.COMPLETED,
            start_time=at(2),
            end_time=at(3.5),
            caller_name="Alice",
            forwarded_from="+1",
            sip_call_id="x@y",
            sip_response_code=200,
        )
        stores.calls.save(full)
        stores.calls.save(a_call(2))
        assert await stores.calls.fetch(ACCOUNT, full.sid) == full
        assert await stores.calls.fetch(ACCOUNT, sid("CA", 2)) == a_call(2)

    async def test_times_come_back_in_utc_to_the_microsecond(self, stores: Stores) -> None:
        stores.calls.save(a_call())
        fetched = await stores.calls.fetch(ACCOUNT, sid("CA", 0))
        assert fetched is not None
        assert fetched.date_created.isoformat() == "2025-01-09T12:34:56.123456+00:00"

    async def test_a_save_copies_so_that_later_changes_are_not_seen(self, stores: Stores) -> None:
        call = a_call()
        stores.calls.save(call)
        call.status = CallStatus.BUSY
        fetched = await stores.calls.fetch(ACCOUNT, call.sid)
        assert fetched is not None
        assert fetched.status is CallStatus.RINGING
        fetched.to = "changed"
        assert await stores.calls.fetch(ACCOUNT, call.sid) == a_call()

    async def test_a_later_save_replaces(self, stores: Stores) -> None:
        stores.calls.save(a_call())
        await stores.calls.flush()
        stores.calls.save(a_call(status=CallStatus.IN_PROGRESS))
        stores.calls.save(a_call(status=CallStatus.COMPLETED, end_time=at(9)))
        assert await stores.calls.fetch(ACCOUNT, sid("CA", 0)) == a_call(status=CallStatus.COMPLETED, end_time=at(9))
        assert len(await stores.calls.find(ACCOUNT, CallFilter(), offset=0, limit=50)) == 1

    async def test_another_account_sees_nothing(self, stores: Stores) -> None:
        stores.calls.save(a_call())
        assert await stores.calls.fetch(STRANGER, sid("CA", 0)) is None
        assert await stores.calls.find(STRANGER, CallFilter(), offset=0, limit=50) == []
        assert not await stores.calls.delete(STRANGER, sid("CA", 0))
        assert await stores.calls.fetch(ACCOUNT, sid("CA", 0)) is not None

    async def test_find_gives_pages_newest_first(self, stores: Stores) -> None:
        for number in (3, 1, 4, 0, 2):
            stores.calls.save(a_call(number))
        first = await stores.calls.find(ACCOUNT, CallFilter(), offset=0, limit=2)
        rest = await stores.calls.find(ACCOUNT, CallFilter(), offset=2, limit=50)
        assert [call.sid for call in first + rest] == [sid("CA", number) for number in (4, 3, 2, 1, 0)]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (CallFilter(), {0, 1, 2, 3}),
            (CallFilter(to="+1"), {1}),
            (CallFilter(from_="+2"), {2}),
            (CallFilter(parent_call_sid=CALL), {3}),
            (CallFilter(status=CallStatus.BUSY), {1}),
            (CallFilter(started_after=at(20)), {2, 3}),
            (CallFilter(started_before=at(20)), {1, 2}),
            (CallFilter(started_after=at(20), started_before=at(20)), {2}),
            (CallFilter(ended_after=at(40)), {3}),
            (CallFilter(ended_before=at(39.999999)), set()),
            (CallFilter(to="+1", from_="+2"), set()),
        ],
    )
    async def test_find_filters(self, stores: Stores, where: CallFilter, expected: set[int]) -> None:
        stores.calls.save(a_call(0))
        stores.calls.save(a_call(1, to="+1", status=CallStatus.BUSY, start_time=at(10)))
        stores.calls.save(a_call(2, from_="+2", start_time=at(20)))
        stores.calls.save(a_call(3, parent_call_sid=CALL, start_time=at(30), end_time=at(40)))
        found = await stores.calls.find(ACCOUNT, where, offset=0, limit=50)
        assert {int(call.sid[2:], 16) for call in found} == expected

    async def test_delete_takes_the_timeline_along(self, stores: Stores) -> None:
        stores.calls.save(a_call())
        stores.calls.add_event(CallEvent(CALL, at(0), "leg.answered", {}))
        assert await stores.calls.delete(ACCOUNT, CALL)
        assert not await stores.calls.delete(ACCOUNT, CALL)
        assert await stores.calls.fetch(ACCOUNT, CALL) is None
        assert await stores.calls.events(CALL) == []

    async def test_the_timeline_keeps_the_order_of_adding(self, stores: Stores) -> None:
        events = [
            CallEvent(CALL, at(0), "a", {"text": "ü", "whole": 1, "part": 1.5, "none": None}),
            CallEvent(CALL, at(0), "b", {}),
            CallEvent(CALL, at(-1), "c", {}),
        ]
        for event in events:
            stores.calls.add_event(event)
        stores.calls.add_event(CallEvent(sid("CA", 9), at(0), "of another call", {}))
        assert await stores.calls.events(CALL) == events

    async def test_unfinished_calls_are_found(self, stores: Stores) -> None:
        for number, status in enumerate(CallStatus):
            stores.calls.save(a_call(number, status=status, account_sid=(ACCOUNT, STRANGER)[number % 2]))
        found = await stores.calls.unfinished()
        assert [call.sid for call in found] == [sid("CA", n) for n, s in enumerate(CallStatus) if not s.is_final]
        found[0].status = CallStatus.FAILED  # a copy
        assert len(await stores.calls.unfinished()) == len(found)


class TestImages:
    async def test_they_are_kept_until_they_are_removed(self, stores: Stores) -> None:
        octets = bytes(range(256))
        assert await stores.images.all() == {}
        stores.images.save(sid("CA", 1), b"old")
        stores.images.save(sid("CA", 1), octets)
        stores.images.save(sid("CA", 2), b"")
        assert await stores.images.all() == {sid("CA", 1): octets, sid("CA", 2): b""}
        stores.images.remove(sid("CA", 1))
        stores.images.remove(sid("CA", 3))
        assert await stores.images.all() == {sid("CA", 2): b""}

    async def test_one_that_is_saved_and_removed_at_once_is_gone(self, stores: Stores) -> None:
        stores.images.save(sid("CA", 1), b"short")
        stores.images.remove(sid("CA", 1))
        assert await stores.images.all() == {}


class TestSiprecs:
    async def test_a_siprec_comes_back_as_it_was_saved(self, stores: Stores) -> None:
        full = a_siprec(
            1,
            name="first",
            track=Track.INBOUND,
            parameters=(("Role", "inbound"), ("Role", "twice"), ("empty", "")),
            status_callback="https://app.example/cb",
            status_callback_method="GET",
            status=SiprecStatus.STOPPED,
            stopped_by="twiml",
            srs_uri="sip:srs@example.com;transport=tcp",
            sip_call_id="x@y",
            accepted_at=at(1.000001),
            stopped_at=at(2),
            error_code=32011,
            error_message="no answer",
            invite_ms=12.345678901234,
            first_packet_ms=0.1,
            packets_sent={"inbound": 100, "outbound": 2**40},
            sequence=2,
        )
        stores.siprecs.save(full)
        stores.siprecs.save(a_siprec(2))
        assert await stores.siprecs.fetch(ACCOUNT, CALL, full.sid) == full
        assert await stores.siprecs.fetch(ACCOUNT, CALL, sid("SR", 2)) == a_siprec(2)

    async def test_a_save_copies_so_that_later_changes_are_not_seen(self, stores: Stores) -> None:
        siprec = a_siprec(packets_sent={"inbound": 1})
        stores.siprecs.save(siprec)
        siprec.packets_sent["inbound"] = 2
        assert await stores.siprecs.fetch(ACCOUNT, CALL, siprec.sid) == a_siprec(packets_sent={"inbound": 1})

    async def test_it_belongs_to_its_account_and_call(self, stores: Stores) -> None:
        stores.siprecs.save(a_siprec(name="n"))
        for account, call in ((STRANGER, CALL), (ACCOUNT, sid("CA", 9))):
            assert await stores.siprecs.fetch(account, call, sid("SR", 0)) is None
            assert await stores.siprecs.find_by_name(account, call, "n") is None
            assert await stores.siprecs.find(account, call, offset=0, limit=50) == []

    async def test_by_name_prefers_the_one_in_progress_else_the_latest(self, stores: Stores) -> None:
        stores.siprecs.save(a_siprec(1, name="n", status=SiprecStatus.STOPPED))
        stores.siprecs.save(a_siprec(2, name="n"))
        stores.siprecs.save(a_siprec(3, name="n", status=SiprecStatus.STOPPED))
        stores.siprecs.save(a_siprec(4, name="N"))
        found = await stores.siprecs.find_by_name(ACCOUNT, CALL, "n")
        assert found is not None
        assert found.sid == sid("SR", 2)
        stores.siprecs.save(a_siprec(2, name="n", status=SiprecStatus.STOPPED))
        found = await stores.siprecs.find_by_name(ACCOUNT, CALL, "n")
        assert found is not None
        assert found.sid == sid("SR", 3)
        assert await stores.siprecs.find_by_name(ACCOUNT, CALL, "absent") is None

    async def test_find_gives_pages_newest_first(self, stores: Stores) -> None:
        for number in (1, 2, 0):
            stores.siprecs.save(a_siprec(number))
        pages = [await stores.siprecs.find(ACCOUNT, CALL, offset=offset, limit=2) for offset in (0, 2, 4)]
        assert [[s.sid for s in page] for page in pages] == [[sid("SR", 2), sid("SR", 1)], [sid("SR", 0)], []]

    async def test_unfinished_siprecs_are_found(self, stores: Stores) -> None:
        stores.siprecs.save(a_siprec(4, account_sid=STRANGER))
        stores.siprecs.save(a_siprec(1))
        stores.siprecs.save(a_siprec(2, status=SiprecStatus.STOPPED, stopped_by="rest", stopped_at=at(3)))
        assert await stores.siprecs.unfinished() == [a_siprec(1), a_siprec(4, account_sid=STRANGER)]
        await stores.siprecs.flush()


class TestOutbox:
    async def test_pending_gives_the_oldest_in_the_order_they_were_appended(self, stores: Stores) -> None:
        callbacks = [a_callback(number, created_at=at(-number)) for number in range(4)]
        for callback in callbacks:
            stores.outbox.append(callback)
        assert await stores.outbox.pending(limit=3) == callbacks[:3]
        stores.outbox.settle("token1", Delivery(DeliveryState.FAILED, at(5), 2, None, 11202))
        assert await stores.outbox.pending(limit=3) == [callbacks[0], callbacks[2], callbacks[3]]

    async def test_deliveries_tell_what_became_of_each(self, stores: Stores) -> None:
        delivered = Delivery(DeliveryState.DELIVERED, at(5), 1, 404, 15003)
        failed = Delivery(DeliveryState.FAILED, at(6), 2, None, 11202)
        for number in range(3):
            stores.outbox.append(a_callback(number))
        stores.outbox.append(a_callback(9, call_sid=sid("CA", 9)))
        stores.outbox.settle("token1", delivered)
        await stores.outbox.flush()
        stores.outbox.settle("token0", failed)
        assert await stores.outbox.deliveries(CALL) == [
            (a_callback(0), failed),
            (a_callback(1), delivered),
            (a_callback(2), None),
        ]

    async def test_the_same_callback_twice_is_one(self, stores: Stores) -> None:
        stores.outbox.append(a_callback(0))
        stores.outbox.append(a_callback(0, url="https://other.example"))
        assert await stores.outbox.deliveries(CALL) == [(a_callback(0), None)]


class TestAccounts:
    async def test_accounts_come_back_in_the_order_they_were_added(self, stores: Stores) -> None:
        accounts = [Account(STRANGER, "t" * 32, "First"), Account(ACCOUNT, "u" * 32)]
        for account in accounts:
            await stores.accounts.add(account)
        assert await stores.accounts.all() == accounts

    async def test_an_account_is_never_replaced(self, stores: Stores) -> None:
        account = Account(ACCOUNT, "t" * 32)
        await stores.accounts.add(account)
        with pytest.raises(AlreadyStored):
            await stores.accounts.add(Account(ACCOUNT, "u" * 32))
        assert await stores.accounts.all() == [account]


class TestAlerts:
    async def test_an_alert_comes_back_as_it_was_added(self, stores: Stores) -> None:
        bare = an_alert(2, resource_sid=None, call_sid=None, request_method=None, request_url=None, details={})
        stores.alerts.add(an_alert(1))
        stores.alerts.add(bare)
        assert await stores.alerts.fetch(ACCOUNT, sid("NO", 1)) == an_alert(1)
        assert await stores.alerts.fetch(ACCOUNT, sid("NO", 2)) == bare
        assert await stores.alerts.fetch(STRANGER, sid("NO", 1)) is None
        assert await stores.alerts.fetch(ACCOUNT, sid("NO", 3)) is None

    async def test_find_gives_newest_first_and_the_later_added_of_one_moment(self, stores: Stores) -> None:
        for number, second in ((0, 1), (1, 2), (2, 2), (3, 0)):
            stores.alerts.add(an_alert(number, at=at(second)))
        found = await stores.alerts.find(ACCOUNT, offset=0, limit=3)
        assert [alert.sid for alert in found] == [sid("NO", 2), sid("NO", 1), sid("NO", 0)]
        assert [alert.sid for alert in await stores.alerts.find(ACCOUNT, offset=3, limit=3)] == [sid("NO", 3)]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({"call_sid": sid("CA", 5)}, {1}),
            ({"level": Level.WARNING}, {2}),
            ({"since": at(1)}, {1, 2}),
            ({"until": at(1)}, {0, 1}),
            ({"since": at(1), "until": at(1), "level": Level.ERROR}, {1}),
        ],
    )
    async def test_find_filters(self, stores: Stores, where: dict[str, object], expected: set[int]) -> None:
        stores.alerts.add(an_alert(0))
        stores.alerts.add(an_alert(1, call_sid=sid("CA", 5)))
        stores.alerts.add(an_alert(2, level=Level.WARNING))
        stores.alerts.add(an_alert(3, account_sid=STRANGER))
        found = await stores.alerts.find(ACCOUNT, offset=0, limit=50, **where)  # type: ignore[arg-type]
        assert {int(alert.sid[2:], 16) for alert in found} == expected
        await stores.alerts.flush()


BOB = "sip:bob@example.com"
PLAIN = StoredBinding("sip:bob@192.0.2.4:5060", "call", 7, 1.0, at(60))
BEHIND_NAT = StoredBinding(
    "sip:bob@10.0.0.4;transport=tcp", "ünïcode", 4294967295, 0.125, at(0.000001), "UDP", "2001:db8::1", 65535, "udp"
)


async def test_bindings_are_replaced_as_a_whole_and_keep_their_order(stores: Stores) -> None:
    stores.bindings.save(BOB, (PLAIN,))
    stores.bindings.save("sip:carol@example.com", (PLAIN,))
    stores.bindings.save(BOB, (BEHIND_NAT, PLAIN))
    await stores.bindings.flush()
    found = dict(await stores.bindings.all())
    assert found == {BOB: (BEHIND_NAT, PLAIN), "sip:carol@example.com": (PLAIN,)}


async def test_an_address_without_bindings_is_forgotten(stores: Stores) -> None:
    stores.bindings.save(BOB, (PLAIN,))
    await stores.bindings.flush()
    stores.bindings.save(BOB, ())
    assert await stores.bindings.all() == []
    stores.bindings.save(BOB, (BEHIND_NAT,))
    assert await stores.bindings.all() == [(BOB, (BEHIND_NAT,))]
