"""The outbox of status callbacks in SQL."""

import msgspec
from sqlalchemy import RowMapping, select

from sidestream.storage.database import SETTLED_ID, Database
from sidestream.storage.tables import callbacks
from sidestream.storage.times import from_micros, to_micros
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState


class SqlOutboxStore:
    """Implements webhooks.ports.OutboxStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, callback: Callback) -> None:
        row = {
            "id": callback.id,
            "account_sid": callback.account_sid,
            "resource_sid": callback.resource_sid,
            "call_sid": callback.call_sid,
            "kind": callback.kind,
            "ordering_key": callback.ordering_key,
            "sequence": callback.sequence,
            "url": callback.url,
            "method": callback.method,
            "parameters": msgspec.json.encode(callback.parameters).decode(),
            "created_at_us": to_micros(callback.created_at),
            "state": DeliveryState.PENDING.value,
        }
        self._database.put(self._database.callbacks, row)

    def settle(self, callback_id: str, delivery: Delivery) -> None:
        row = {
            SETTLED_ID: callback_id,
            "state": delivery.state.value,
            "settled_at_us": to_micros(delivery.at),
            "attempts": delivery.attempts,
            "status_code": delivery.status_code,
            "error_code": delivery.error_code,
        }
        self._database.put(self._database.settlements, row, callback_id)

    async def pending(self, *, limit: int) -> list[Callback]:
        query = select(callbacks).where(callbacks.c.state == DeliveryState.PENDING.value)
        return [_callback(row) for row in await self._database.all(query.order_by(callbacks.c.position).limit(limit))]

    async def deliveries(self, call_sid: str) -> list[tuple[Callback, Delivery | None]]:
        query = select(callbacks).where(callbacks.c.call_sid == call_sid).order_by(callbacks.c.position)
        return [(_callback(row), _delivery(row)) for row in await self._database.all(query)]

    async def flush(self) -> None:
        await self._database.flush()


def _callback(row: RowMapping) -> Callback:
    return Callback(
        id=row["id"],
        account_sid=row["account_sid"],
        resource_sid=row["resource_sid"],
        call_sid=row["call_sid"],
        kind=row["kind"],
        ordering_key=row["ordering_key"],
        sequence=row["sequence"],
        url=row["url"],
        method=row["method"],
        parameters=msgspec.json.decode(row["parameters"], type=tuple[tuple[str, str], ...]),
        created_at=from_micros(row["created_at_us"]),
    )


def _delivery(row: RowMapping) -> Delivery | None:
    if row["state"] == DeliveryState.PENDING:
        return None
    return Delivery(
        state=DeliveryState(row["state"]),
        at=from_micros(row["settled_at_us"]),
        attempts=row["attempts"],
        status_code=row["status_code"],
        error_code=row["error_code"],
    )
