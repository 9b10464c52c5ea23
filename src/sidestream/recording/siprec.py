"""The Siprec resource: one SIPREC stream of a call, as the API, the callbacks and the store see it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

FORK_LIMIT = 4  # forked streams a call at most; the limit that Twilio documents for Siprec and Stream together


class SiprecStatus(StrEnum):
    IN_PROGRESS = "in-progress"
    STOPPED = "stopped"


class Track(StrEnum):
    INBOUND = "inbound_track"
    OUTBOUND = "outbound_track"
    BOTH = "both_tracks"

    @property
    def fork_count(self) -> int:
        """How many of the call's forked streams it uses."""
        return 2 if self is Track.BOTH else 1


class SiprecEvent(StrEnum):
    """Status callback events; each Siprec has at most one STARTED and exactly one of the other two."""

    STARTED = "siprec-started"
    STOPPED = "siprec-stopped"
    ERROR = "siprec-error"


@dataclass(slots=True)
class Siprec:
    """A Siprec and what became of it. Mutable: the running session is its only writer, stores copy it."""

    sid: str
    account_sid: str
    call_sid: str
    name: str | None
    connector_name: str
    track: Track
    parameters: tuple[tuple[str, str], ...]
    status_callback: str | None
    status_callback_method: str
    started_by: str  # "twiml" or "rest"
    date_created: datetime
    date_updated: datetime
    status: SiprecStatus = SiprecStatus.IN_PROGRESS
    stopped_by: str | None = None  # "twiml", "rest", "call-ended", "srs" or "error"
    srs_uri: str | None = None  # the target that accepted
    sip_call_id: str | None = None
    accepted_at: datetime | None = None
    stopped_at: datetime | None = None
    error_code: int | None = None
    error_message: str | None = None
    invite_ms: float | None = None  # INVITE sent until 200 OK received
    first_packet_ms: float | None = None  # 200 OK received until the first forked packet left
    packets_sent: dict[str, int] = field(default_factory=dict)  # by label: inbound, outbound
    sequence: int = 0  # SequenceNumber of the next status callback
