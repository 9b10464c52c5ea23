"""What calls ask of a store. `storage` implements it; `app` hands it in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sidestream.calls.record import CallEvent, CallRecord, CallStatus

PAGE_SIZE_DEFAULT = 50  # of the 2010-04-01 API
PAGE_SIZE_LIMIT = 1000  # of the 2010-04-01 API


@dataclass(frozen=True, slots=True)
class CallFilter:
    """The list filters of Calls.json; None means any. `*_before` and `*_after` include their moment."""

    to: str | None = None
    from_: str | None = None
    parent_call_sid: str | None = None
    status: CallStatus | None = None
    started_before: datetime | None = None
    started_after: datetime | None = None
    ended_before: datetime | None = None
    ended_after: datetime | None = None


class CallStore(Protocol):
    """Calls and their timelines. `save` and `add_event` queue and return; `flush` waits until all queued is durable."""

    def save(self, call: CallRecord) -> None:
        """Insert or replace the call by its SID. The record is copied before this returns."""
        ...

    def add_event(self, event: CallEvent) -> None: ...

    async def fetch(self, account_sid: str, sid: str) -> CallRecord | None: ...

    async def find(self, account_sid: str, where: CallFilter, *, offset: int, limit: int) -> list[CallRecord]:
        """Newest first; reads what was saved before the call."""
        ...

    async def delete(self, account_sid: str, sid: str) -> bool:
        """True if there was such a call."""
        ...

    async def events(self, call_sid: str) -> list[CallEvent]:
        """The timeline, oldest first."""
        ...

    async def unfinished(self) -> list[CallRecord]:
        """Every call that is not final, oldest first; for a start after a crash."""
        ...

    async def flush(self) -> None: ...


class ImageStore(Protocol):
    """Images of live calls (`calls.image`), as octets. `save` and `remove` queue and return.

    An image may hold passwords and keys, so a store seals it.
    """

    def save(self, call_sid: str, image: bytes) -> None:
        """Insert or replace."""
        ...

    def remove(self, call_sid: str) -> None: ...

    async def all(self) -> dict[str, bytes]:
        """By call SID. One that cannot be unsealed any more is left out."""
        ...
