"""What webhooks ask of a store: a durable outbox of status callbacks."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"  # the application answered, with whatever status
    FAILED = "failed"  # no answer after all retries


@dataclass(frozen=True, slots=True)
class Callback:
    """One status callback to be sent. Callbacks of one `ordering_key` are sent one after the other, by `sequence`."""

    id: str  # also the I-Twilio-Idempotency-Token
    account_sid: str
    resource_sid: str  # SR… or CA…, for alerts
    call_sid: str
    kind: str  # "siprec" or "call"
    ordering_key: str
    sequence: int
    url: str  # with its fragment of connection overrides
    method: str
    parameters: tuple[tuple[str, str], ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a callback's delivery ended."""

    state: DeliveryState
    at: datetime
    attempts: int
    status_code: int | None = None
    error_code: int | None = None


class OutboxStore(Protocol):
    """Callbacks until they are delivered, and their deliveries afterwards. `append` and `settle` queue and return."""

    def append(self, callback: Callback) -> None: ...

    def settle(self, callback_id: str, delivery: Delivery) -> None: ...

    async def pending(self, *, limit: int) -> list[Callback]:
        """The oldest `limit` callbacks without a delivery, in the order they were appended."""
        ...

    async def deliveries(self, call_sid: str) -> list[tuple[Callback, Delivery | None]]:
        """Every callback of a call in the order of creation."""
        ...

    async def flush(self) -> None: ...
