"""An alert: one problem that the application's or the platform's owner should hear of."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Alert:
    """A debugger entry, in the shape of Monitor's Alert. `text` names what happened this time, in plain words."""

    sid: str  # NO + 32 hex digits
    account_sid: str
    resource_sid: str | None  # CA…, SR… or None
    code: int  # of debugger.catalog
    level: Level
    text: str
    at: datetime
    call_sid: str | None = None
    request_method: str | None = None
    request_url: str | None = None
    details: dict[str, str] = field(default_factory=dict)


class AlertStore(Protocol):
    """Alerts. `add` queues and returns."""

    def add(self, alert: Alert) -> None: ...

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
        """Newest first."""
        ...

    async def fetch(self, account_sid: str, sid: str) -> Alert | None: ...

    async def flush(self) -> None: ...
