"""Calls and their timelines in SQL."""

import msgspec
from sqlalchemy import RowMapping, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallEvent, CallRecord, CallStatus, Direction
from sidestream.storage.database import Database
from sidestream.storage.tables import call_events, calls
from sidestream.storage.times import from_micros, to_micros
from sidestream.storage.writer import Row

UNFINISHED = tuple(status.value for status in CallStatus if not status.is_final)


class SqlCallStore:
    """Implements calls.ports.CallStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, call: CallRecord) -> None:
        self._database.put(self._database.calls, _row(call), call.sid)

    def add_event(self, event: CallEvent) -> None:
        row = {
            "call_sid": event.call_sid,
            "at_us": to_micros(event.at),
            "kind": event.kind,
            "detail": msgspec.json.encode(event.detail).decode(),
        }
        self._database.put(self._database.call_events, row)

    async def fetch(self, account_sid: str, sid: str) -> CallRecord | None:
        row = await self._database.first(select(calls).where(calls.c.account_sid == account_sid, calls.c.sid == sid))
        return None if row is None else _record(row)

    async def find(self, account_sid: str, where: CallFilter, *, offset: int, limit: int) -> list[CallRecord]:
        query = select(calls).where(calls.c.account_sid == account_sid)
        for column, value in (
            (calls.c.to_address, where.to),
            (calls.c.from_address, where.from_),
            (calls.c.parent_call_sid, where.parent_call_sid),
            (calls.c.status, where.status),
        ):
            if value is not None:
                query = query.where(column == str(value))
        for column, low, high in (
            (calls.c.start_time_us, where.started_after, where.started_before),
            (calls.c.end_time_us, where.ended_after, where.ended_before),
        ):
            if low is not None:
                query = query.where(column >= to_micros(low))
            if high is not None:
                query = query.where(column <= to_micros(high))
        newest_first = query.order_by(calls.c.date_created_us.desc(), calls.c.sid.desc())
        return [_record(row) for row in await self._database.all(newest_first.offset(offset).limit(limit))]

    async def delete(self, account_sid: str, sid: str) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            found = await connection.execute(
                delete(calls).where(calls.c.account_sid == account_sid, calls.c.sid == sid)
            )
            if not found.rowcount:
                return False
            await connection.execute(delete(call_events).where(call_events.c.call_sid == sid))
            return True

        return await self._database.run(work)

    async def events(self, call_sid: str) -> list[CallEvent]:
        query = select(call_events).where(call_events.c.call_sid == call_sid).order_by(call_events.c.position)
        return [
            CallEvent(
                call_sid=row["call_sid"],
                at=from_micros(row["at_us"]),
                kind=row["kind"],
                detail=msgspec.json.decode(row["detail"]),
            )
            for row in await self._database.all(query)
        ]

    async def unfinished(self) -> list[CallRecord]:
        query = select(calls).where(calls.c.status.in_(UNFINISHED)).order_by(calls.c.date_created_us, calls.c.sid)
        return [_record(row) for row in await self._database.all(query)]

    async def flush(self) -> None:
        await self._database.flush()


def _row(call: CallRecord) -> Row:
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "parent_call_sid": call.parent_call_sid,
        "to_address": call.to,
        "from_address": call.from_,
        "direction": call.direction,
        "status": call.status,
        "date_created_us": to_micros(call.date_created),
        "date_updated_us": to_micros(call.date_updated),
        "start_time_us": to_micros(call.start_time),
        "end_time_us": to_micros(call.end_time),
        "caller_name": call.caller_name,
        "forwarded_from": call.forwarded_from,
        "sip_call_id": call.sip_call_id,
        "sip_response_code": call.sip_response_code,
    }


def _record(row: RowMapping) -> CallRecord:
    return CallRecord(
        sid=row["sid"],
        account_sid=row["account_sid"],
        parent_call_sid=row["parent_call_sid"],
        to=row["to_address"],
        from_=row["from_address"],
        direction=Direction(row["direction"]),
        status=CallStatus(row["status"]),
        date_created=from_micros(row["date_created_us"]),
        date_updated=from_micros(row["date_updated_us"]),
        start_time=from_micros(row["start_time_us"]),
        end_time=from_micros(row["end_time_us"]),
        caller_name=row["caller_name"],
        forwarded_from=row["forwarded_from"],
        sip_call_id=row["sip_call_id"],
        sip_response_code=row["sip_response_code"],
    )
