"""The nine events that a leg speaks, whatever protocol it runs on, and one for transfers.

`sdp` is the remote's session description as it came. A leg speaks `Ended` or `Failed` exactly once, as its last event.
"""

from dataclasses import dataclass

from sidestream.sdp.session import SessionDescription
from sidestream.sip.refer import Replaces
from sidestream.sip.uri import Uri


@dataclass(frozen=True, slots=True)
class Trying:
    """The other side has the request."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """The other side alerts, without media of its own."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The other side sends media before it answers."""

    status: int
    reason: str
    sdp: SessionDescription


@dataclass(frozen=True, slots=True)
class Answered:
    """The other side took the call, or the offer of a re-INVITE. `sdp` is None only if it sent none."""

    sdp: SessionDescription | None


@dataclass(frozen=True, slots=True)
class Updated:
    """The other side wants to change the session and waits for an answer; without `sdp` it asks for our offer."""

    sdp: SessionDescription | None


@dataclass(frozen=True, slots=True)
class Info:
    """Mid-call information that has a content type of its own (RFC 6086 or older)."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The established leg is over. `reason` is the value of a Reason header (RFC 3326), if one came."""

    by_remote: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The leg was never established: the final SIP status, 408 for no answer at all, 487 when it was cancelled.

    `because` is the value of a Reason header (RFC 3326, RFC 6432), if one came.
    """

    status: int
    reason: str
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Redirected:
    """The other side names other places to call (3xx)."""

    status: int
    contacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Referred:
    """The other side wants `target` called in its own place (REFER); to be answered by `Leg.answer_refer`.

    `replaces` names the call that is to be taken over there; `by` is the value of a Referred-By header.
    """

    target: Uri
    replaces: Replaces | None = None
    by: str | None = None


LegEvent = Trying | Ringing | Progress | Answered | Updated | Info | Ended | Failed | Redirected | Referred
