"""The stores in memory: for tests and for a server that is to forget everything. Same answers as the SQL ones."""

from copy import deepcopy
from dataclasses import replace
from datetime import datetime

from sidestream.accounts.account import Account
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallEvent, CallRecord
from sidestream.debugger.alert import Alert, Level
from sidestream.recording.siprec import Siprec, SiprecStatus
from sidestream.registrar.ports import StoredBinding
from sidestream.storage.errors import AlreadyStored
from sidestream.storage.stores import Stores
from sidestream.webhooks.ports import Callback, Delivery


def open_memory() -> Stores:
    """Seven empty stores. Nothing is ever dropped, so memory grows with use."""

    async def close() -> None:
        """Nothing to let go of."""

    return Stores(
        calls=MemoryCallStore(),
        images=MemoryImageStore(),
        siprecs=MemorySiprecStore(),
        outbox=MemoryOutboxStore(),
        accounts=MemoryAccountStore(),
        alerts=MemoryAlertStore(),
        bindings=MemoryBindingStore(),
        close=close,
    )


class MemoryCallStore:
    """Implements calls.ports.CallStore."""

    def __init__(self) -> None:
        self._calls: dict[str, CallRecord] = {}
        self._events: dict[str, list[CallEvent]] = {}

    def save(self, call: CallRecord) -> None:
        self._calls[call.sid] = replace(call)

    def add_event(self, event: CallEvent) -> None:
        self._events.setdefault(event.call_sid, []).append(deepcopy(event))

    async def fetch(self, account_sid: str, sid: str) -> CallRecord | None:
        call = self._calls.get(sid)
        return replace(call) if call is not None and call.account_sid == account_sid else None

    async def find(self, account_sid: str, where: CallFilter, *, offset: int, limit: int) -> list[CallRecord]:
        found = [call for call in self._calls.values() if call.account_sid == account_sid and _matches(call, where)]
        found.sort(key=lambda call: (call.date_created, call.sid), reverse=True)
        return [replace(call) for call in found[offset : offset + limit]]

    async def delete(self, account_sid: str, sid: str) -> bool:
        if await self.fetch(account_sid, sid) is None:
            return False
        del self._calls[sid]
        self._events.pop(sid, None)
        return True

    async def events(self, call_sid: str) -> list[CallEvent]:
        return deepcopy(self._events.get(call_sid, []))

    async def unfinished(self) -> list[CallRecord]:
        found = [replace(call) for call in self._calls.values() if not call.status.is_final]
        return sorted(found, key=lambda call: (call.date_created, call.sid))

    async def flush(self) -> None:
        """Memory is as durable as it gets."""


class MemoryImageStore:
    """Implements calls.ports.ImageStore."""

    def __init__(self) -> None:
        self._images: dict[str, bytes] = {}

    def save(self, call_sid: str, image: bytes) -> None:
        self._images[call_sid] = image

    def remove(self, call_sid: str) -> None:
        self._images.pop(call_sid, None)

    async def all(self) -> dict[str, bytes]:
        return dict(self._images)


class MemorySiprecStore:
    """Implements recording.ports.SiprecStore."""

    def __init__(self) -> None:
        self._siprecs: dict[str, Siprec] = {}

    def save(self, siprec: Siprec) -> None:
        self._siprecs[siprec.sid] = deepcopy(siprec)

    async def fetch(self, account_sid: str, call_sid: str, sid: str) -> Siprec | None:
        return deepcopy(next((s for s in self._of_call(account_sid, call_sid) if s.sid == sid), None))

    async def find_by_name(self, account_sid: str, call_sid: str, name: str) -> Siprec | None:
        named = [siprec for siprec in self._of_call(account_sid, call_sid) if siprec.name == name]
        running = [siprec for siprec in named if siprec.status is SiprecStatus.IN_PROGRESS]
        return deepcopy(next(iter(running or named), None))

    async def find(self, account_sid: str, call_sid: str, *, offset: int, limit: int) -> list[Siprec]:
        return deepcopy(self._of_call(account_sid, call_sid)[offset : offset + limit])

    async def unfinished(self) -> list[Siprec]:
        found = [deepcopy(s) for s in self._siprecs.values() if s.status is SiprecStatus.IN_PROGRESS]
        return sorted(found, key=lambda siprec: (siprec.date_created, siprec.sid))

    async def flush(self) -> None:
        """Memory is as durable as it gets."""

    def _of_call(self, account_sid: str, call_sid: str) -> list[Siprec]:
        found = [s for s in self._siprecs.values() if s.account_sid == account_sid and s.call_sid == call_sid]
        return sorted(found, key=lambda siprec: (siprec.date_created, siprec.sid), reverse=True)


class MemoryOutboxStore:
    """Implements webhooks.ports.OutboxStore."""

    def __init__(self) -> None:
        self._callbacks: dict[str, Callback] = {}
        self._deliveries: dict[str, Delivery] = {}

    def append(self, callback: Callback) -> None:
        self._callbacks.setdefault(callback.id, callback)

    def settle(self, callback_id: str, delivery: Delivery) -> None:
        self._deliveries[callback_id] = delivery

    async def pending(self, *, limit: int) -> list[Callback]:
        return [callback for callback in self._callbacks.values() if callback.id not in self._deliveries][:limit]

    async def deliveries(self, call_sid: str) -> list[tuple[Callback, Delivery | None]]:
        of_call = (callback for callback in self._callbacks.values() if callback.call_sid == call_sid)
        return [(callback, self._deliveries.get(callback.id)) for callback in of_call]

    async def flush(self) -> None:
        """Memory is as durable as it gets."""


class MemoryAccountStore:
    """Implements accounts.ports.AccountStore."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    async def all(self) -> list[Account]:
        return list(self._accounts.values())

    async def add(self, account: Account) -> None:
        if account.sid in self._accounts:
            raise AlreadyStored(f"The account {account.sid} is stored already")
        self._accounts[account.sid] = account


class MemoryBindingStore:
    """Implements registrar.ports.BindingStore."""

    def __init__(self) -> None:
        self._bindings: dict[str, tuple[StoredBinding, ...]] = {}

    def save(self, aor: str, bindings: tuple[StoredBinding, ...]) -> None:
        self._bindings[aor] = bindings

    async def all(self) -> list[tuple[str, tuple[StoredBinding, ...]]]:
        return [(aor, bindings) for aor, bindings in self._bindings.items() if bindings]

    async def flush(self) -> None:
        """Memory is as durable as it gets."""


class MemoryAlertStore:
    """Implements debugger.alert.AlertStore."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}

    def add(self, alert: Alert) -> None:
        self._alerts.setdefault(alert.sid, alert)

    async def find(
        self,
        account_sid: str,
        *,
        call_sid: str | None = None,
        level: Level | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        offset: int,
        limit: int,
    ) -> list[Alert]:
        found = [
            alert
            for alert in reversed(self._alerts.values())
            if alert.account_sid == account_sid
            and (call_sid is None or alert.call_sid == call_sid)
            and (level is None or alert.level is level)
            and _is_between(alert.at, since, until)
        ]
        found.sort(key=lambda alert: alert.at, reverse=True)
        return found[offset : offset + limit]

    async def fetch(self, account_sid: str, sid: str) -> Alert | None:
        alert = self._alerts.get(sid)
        return alert if alert is not None and alert.account_sid == account_sid else None

    async def flush(self) -> None:
        """Memory is as durable as it gets."""


def _matches(call: CallRecord, where: CallFilter) -> bool:
    return (
        where.to in (None, call.to)
        and where.from_ in (None, call.from_)
        and where.parent_call_sid in (None, call.parent_call_sid)
        and where.status in (None, call.status)
        and _is_between(call.start_time, where.started_after, where.started_before)
        and _is_between(call.end_time, where.ended_after, where.ended_before)
    )


def _is_between(moment: datetime | None, low: datetime | None, high: datetime | None) -> bool:
    """Both ends included; a moment that never was lies only between no bounds."""
    if moment is None:
        return low is None and high is None
    return (low is None or moment >= low) and (high is None or moment <= high)
