"""What the console reads."""

from typing import Protocol

from sidestream.calls.ports import CallStore
from sidestream.debugger.alert import AlertStore
from sidestream.recording.ports import SiprecStore
from sidestream.webhooks.ports import OutboxStore


class ConsoleStores(Protocol):
    """The stores of one backend, of which the console only reads."""

    @property
    def calls(self) -> CallStore: ...

    @property
    def siprecs(self) -> SiprecStore: ...

    @property
    def outbox(self) -> OutboxStore: ...

    @property
    def alerts(self) -> AlertStore: ...


class RecordingIndex(Protocol):
    """Where the bundled recording server shows what it recorded."""

    def page_of(self, sip_call_id: str) -> str | None:
        """The path of the page of the recording that this Call-ID made; None if there is none."""
        ...
