"""What recording asks of a store. `storage` implements it; `app` hands it in."""

from typing import Protocol

from sidestream.recording.siprec import Siprec, SiprecEvent


class SiprecStore(Protocol):
    """Siprecs. `save` queues and returns; reads see everything saved before."""

    def save(self, siprec: Siprec) -> None:
        """Insert or replace by SID. The record is copied before this returns."""
        ...

    async def fetch(self, account_sid: str, call_sid: str, sid: str) -> Siprec | None: ...

    async def find_by_name(self, account_sid: str, call_sid: str, name: str) -> Siprec | None:
        """The in-progress Siprec of that name, else the latest with it (twilio contract 11.7)."""
        ...

    async def find(self, account_sid: str, call_sid: str, *, offset: int, limit: int) -> list[Siprec]:
        """Newest first."""
        ...

    async def unfinished(self) -> list[Siprec]:
        """Every Siprec in progress, oldest first; for a start after a crash."""
        ...

    async def flush(self) -> None: ...


class RecordingObserver(Protocol):
    """What a running recording tells its call. Called in order, on the event loop; it must not block or raise."""

    def siprec_changed(self, siprec: Siprec, event: SiprecEvent | None) -> None:
        """The resource has changed: store it. With an event also send its status callback."""
        ...

    def recording_settled(self) -> None:
        """An image of the recording was wanted while something was under way in it: now there is one."""
        ...

    def media_discarded(self, siprec: Siprec, reason: str) -> None:
        """Packets for the recording server do not reach it; told once of a recording at most."""
        ...
