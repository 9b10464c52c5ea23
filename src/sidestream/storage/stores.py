"""What a backend hands out: one store a room, and a way to close them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidestream.accounts.ports import AccountStore
from sidestream.calls.ports import CallStore, ImageStore
from sidestream.debugger.alert import AlertStore
from sidestream.recording.ports import SiprecStore
from sidestream.registrar.ports import BindingStore
from sidestream.webhooks.ports import OutboxStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The seven stores of one backend. `close` makes all that was queued durable and lets go of the backend."""

    calls: CallStore
    images: ImageStore
    siprecs: SiprecStore
    outbox: OutboxStore
    accounts: AccountStore
    alerts: AlertStore
    bindings: BindingStore
    close: Callable[[], Awaitable[None]]
