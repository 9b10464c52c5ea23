"""Alerts in SQL."""

from datetime import datetime

import msgspec
from sqlalchemy import RowMapping, select

from sidestream.debugger.alert import Alert, Level
from sidestream.storage.database import Database
from sidestream.storage.tables import alerts
from sidestream.storage.times import from_micros, to_micros


class SqlAlertStore:
    """Implements debugger.alert.AlertStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, alert: Alert) -> None:
        row = {
            "sid": alert.sid,
            "account_sid": alert.account_sid,
            "resource_sid": alert.resource_sid,
            "code": alert.code,
            "level": alert.level.value,
            "text": alert.text,
            "at_us": to_micros(alert.at),
            "call_sid": alert.call_sid,
            "request_method": alert.request_method,
            "request_url": alert.request_url,
            "details": msgspec.json.encode(alert.details).decode(),
        }
        self._database.put(self._database.alerts, row)

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
        query = select(alerts).where(alerts.c.account_sid == account_sid)
        if call_sid is not None:
            query = query.where(alerts.c.call_sid == call_sid)
        if level is not None:
            query = query.where(alerts.c.level == level.value)
        if since is not None:
            query = query.where(alerts.c.at_us >= to_micros(since))
        if until is not None:
            query = query.where(alerts.c.at_us <= to_micros(until))
        newest_first = query.order_by(alerts.c.at_us.desc(), alerts.c.position.desc())
        return [_alert(row) for row in await self._database.all(newest_first.offset(offset).limit(limit))]

    async def fetch(self, account_sid: str, sid: str) -> Alert | None:
        query = select(alerts).where(alerts.c.account_sid == account_sid, alerts.c.sid == sid)
        row = await self._database.first(query)
        return None if row is None else _alert(row)

    async def flush(self) -> None:
        await self._database.flush()


def _alert(row: RowMapping) -> Alert:
    return Alert(
        sid=row["sid"],
        account_sid=row["account_sid"],
        resource_sid=row["resource_sid"],
        code=row["code"],
        level=Level(row["level"]),
        text=row["text"],
        at=from_micros(row["at_us"]),
        call_sid=row["call_sid"],
        request_method=row["request_method"],
        request_url=row["request_url"],
        details=msgspec.json.decode(row["details"], type=dict[str, str]),
    )
