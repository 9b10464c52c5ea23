"""What one leg's event means for the other leg. Pure: `pairing` carries the decision out.

event of one leg     the other leg is WAITING (an unanswered    the other leg is ESTABLISHED
                     incoming INVITE)
Trying               nothing                                    nothing
Ringing              Alert                                      nothing (it hears a ringing tone from us)
Progress             AlertWithMedia                             Hear
Answered             Accept                                     Join
Updated              RefuseOffer (491) to the asking leg        Offer
Info                 nothing                                    Tell
Ended, Failed,       Release                                    Release
Redirected
Referred             nothing: the call itself brings somebody else     (see `transfer`)
"""

from dataclasses import dataclass
from enum import Enum, auto

from sidestream.calls.events import (
    Answered,
    Ended,
    Failed,
    Info,
    LegEvent,
    Progress,
    Redirected,
    Referred,
    Ringing,
    Trying,
    Updated,
)
from sidestream.sdp.session import SessionDescription

REQUEST_PENDING = 491  # RFC 3261 §21.4.27: the other leg cannot take an offer now, ask again


class LegPhase(Enum):
    """How far a leg is, as the bridge needs to know."""

    WAITING = auto()  # an incoming INVITE without a final answer
    CALLING = auto()  # an outgoing INVITE without a final answer
    ESTABLISHED = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Alert:
    """Answer the other leg's INVITE with this provisional status, without media."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class AlertWithMedia:
    """Answer the other leg's INVITE provisionally with this description, and let it hear."""

    status: int
    reason: str
    sdp: SessionDescription


@dataclass(frozen=True, slots=True)
class Accept:
    """Answer the other leg's INVITE with 200 and this description; both hear each other."""

    sdp: SessionDescription | None


@dataclass(frozen=True, slots=True)
class Hear:
    """The other leg is established: let it hear this leg."""


@dataclass(frozen=True, slots=True)
class Join:
    """Both legs are established: let both hear each other."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Offer this description (None: whatever is in force) to the other leg, and its answer to the asking one."""

    sdp: SessionDescription | None


@dataclass(frozen=True, slots=True)
class RefuseOffer:
    """Refuse the asking leg's offer with this status; its session stays as it was."""

    status: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Send the other leg the same INFO."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """This leg is over: whoever joined the two decides about the other. `reason` is a Reason header's value."""

    reason: str | None


Action = Alert | AlertWithMedia | Accept | Hear | Join | Offer | RefuseOffer | Tell | Release


def decide(event: LegEvent, other: LegPhase) -> Action | None:
    """The action that `event` of one leg asks for, given the other leg's phase; None for nothing to do."""
    waiting = other is LegPhase.WAITING
    established = other is LegPhase.ESTABLISHED
    match event:
        case Trying() | Referred():
            return None
        case Ringing(status, reason):
            return Alert(status, reason) if waiting else None
        case Progress(status, reason, sdp):
            if waiting:
                return AlertWithMedia(status, reason, sdp)
            return Hear() if established else None
        case Answered(sdp):
            if waiting:
                return Accept(sdp)
            return Join() if established else None
        case Updated(sdp):
            return Offer(sdp) if established else RefuseOffer(REQUEST_PENDING)
        case Info(content_type, body):
            return Tell(content_type, body) if established else None
        case Ended(_, reason):
            return Release(reason)
        case Failed(_, _, because):
            return Release(because)
        case Redirected():
            return Release(None)
