"""Siprecs in SQL."""

from typing import Any

import msgspec
from sqlalchemy import RowMapping, Select, case, select

from sidestream.recording.siprec import Siprec, SiprecStatus, Track
from sidestream.storage.database import Database
from sidestream.storage.tables import siprecs
from sidestream.storage.times import from_micros, to_micros
from sidestream.storage.writer import Row


class SqlSiprecStore:
    """Implements recording.ports.SiprecStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, siprec: Siprec) -> None:
        self._database.put(self._database.siprecs, _row(siprec), siprec.sid)

    async def fetch(self, account_sid: str, call_sid: str, sid: str) -> Siprec | None:
        return await self._first(_of_call(account_sid, call_sid).where(siprecs.c.sid == sid))

    async def find_by_name(self, account_sid: str, call_sid: str, name: str) -> Siprec | None:
        running_first = case((siprecs.c.status == SiprecStatus.IN_PROGRESS.value, 0), else_=1)
        query = _of_call(account_sid, call_sid).where(siprecs.c.name == name)
        return await self._first(_newest_first(query.order_by(running_first)))

    async def find(self, account_sid: str, call_sid: str, *, offset: int, limit: int) -> list[Siprec]:
        query = _newest_first(_of_call(account_sid, call_sid)).offset(offset).limit(limit)
        return [_record(row) for row in await self._database.all(query)]

    async def unfinished(self) -> list[Siprec]:
        query = select(siprecs).where(siprecs.c.status == SiprecStatus.IN_PROGRESS.value)
        oldest_first = query.order_by(siprecs.c.date_created_us, siprecs.c.sid)
        return [_record(row) for row in await self._database.all(oldest_first)]

    async def flush(self) -> None:
        await self._database.flush()

    async def _first(self, query: Select[Any]) -> Siprec | None:
        row = await self._database.first(query)
        return None if row is None else _record(row)


def _of_call(account_sid: str, call_sid: str) -> Select[Any]:
    return select(siprecs).where(siprecs.c.account_sid == account_sid, siprecs.c.call_sid == call_sid)


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(siprecs.c.date_created_us.desc(), siprecs.c.sid.desc())


def _row(siprec: Siprec) -> Row:
    return {
        "sid": siprec.sid,
        "account_sid": siprec.account_sid,
        "call_sid": siprec.call_sid,
        "name": siprec.name,
        "connector_name": siprec.connector_name,
        "track": siprec.track,
        "parameters": msgspec.json.encode(siprec.parameters).decode(),
        "status_callback": siprec.status_callback,
        "status_callback_method": siprec.status_callback_method,
        "started_by": siprec.started_by,
        "date_created_us": to_micros(siprec.date_created),
        "date_updated_us": to_micros(siprec.date_updated),
        "status": siprec.status,
        "stopped_by": siprec.stopped_by,
        "srs_uri": siprec.srs_uri,
        "sip_call_id": siprec.sip_call_id,
        "accepted_at_us": to_micros(siprec.accepted_at),
        "stopped_at_us": to_micros(siprec.stopped_at),
        "error_code": siprec.error_code,
        "error_message": siprec.error_message,
        "invite_ms": siprec.invite_ms,
        "first_packet_ms": siprec.first_packet_ms,
        "packets_sent": msgspec.json.encode(siprec.packets_sent).decode(),
        "sequence": siprec.sequence,
    }


def _record(row: RowMapping) -> Siprec:
    return Siprec(
        sid=row["sid"],
        account_sid=row["account_sid"],
        call_sid=row["call_sid"],
        name=row["name"],
        connector_name=row["connector_name"],
        track=Track(row["track"]),
        parameters=msgspec.json.decode(row["parameters"], type=tuple[tuple[str, str], ...]),
        status_callback=row["status_callback"],
        status_callback_method=row["status_callback_method"],
        started_by=row["started_by"],
        date_created=from_micros(row["date_created_us"]),
        date_updated=from_micros(row["date_updated_us"]),
        status=SiprecStatus(row["status"]),
        stopped_by=row["stopped_by"],
        srs_uri=row["srs_uri"],
        sip_call_id=row["sip_call_id"],
        accepted_at=from_micros(row["accepted_at_us"]),
        stopped_at=from_micros(row["stopped_at_us"]),
        error_code=row["error_code"],
        error_message=row["error_message"],
        invite_ms=row["invite_ms"],
        first_packet_ms=row["first_packet_ms"],
        packets_sent=msgspec.json.decode(row["packets_sent"], type=dict[str, int]),
        sequence=row["sequence"],
    )
