"""The Call resource: what the API, the callbacks and the store see of a call."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CallStatus(StrEnum):
    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        return self not in (CallStatus.QUEUED, CallStatus.RINGING, CallStatus.IN_PROGRESS)


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"
    OUTBOUND_DIAL = "outbound-dial"


@dataclass(slots=True)
class CallRecord:
    """A call and what became of it. Mutable: the live call is its only writer, stores copy it."""

    sid: str
    account_sid: str
    parent_call_sid: str | None
    to: str
    from_: str
    direction: Direction
    status: CallStatus
    date_created: datetime
    date_updated: datetime
    start_time: datetime | None = None  # answered
    end_time: datetime | None = None
    caller_name: str | None = None
    forwarded_from: str | None = None
    sip_call_id: str | None = None
    sip_response_code: int | None = None

    @property
    def duration(self) -> int | None:
        """Whole seconds from the answer to the end, 0 for a call never answered; None while it lives."""
        if self.end_time is None:
            return None
        return 0 if self.start_time is None else int((self.end_time - self.start_time).total_seconds())


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One line of a call's timeline, such as `leg.answered` or `siprec.started`. `detail` is JSON-ready."""

    call_sid: str
    at: datetime
    kind: str
    detail: dict[str, str | int | float | None]
