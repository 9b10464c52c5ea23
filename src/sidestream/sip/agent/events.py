"""What an agent tells the application. Every event is a frozen dataclass.

`session` names an INVITE usage: the value that `Agent.invite` returned or that an `InviteReceived` brought. Headers
and bodies are reached through the message each event carries. Deviations from the first sketch of this interface:
`InviteFailed` is only for an INVITE without any final response; `ReinviteCancelled`, `ReinviteRejected.retry_in` and
`ReinviteReceived.peer` are additions.
"""

from dataclasses import dataclass
from enum import Enum

from sidestream.sip.message import Request, Response
from sidestream.sip.transaction.machine import Failure as Failure
from sidestream.sip.transport import Peer


class EndCause(Enum):
    """Why a session ended."""

    LOCAL_BYE = "we sent BYE"
    REMOTE_BYE = "the peer sent BYE"
    REJECTED = "the INVITE got a final response above 299, from the peer or from us"
    CANCELLED = "the INVITE was cancelled, by the peer or by us, before it was answered"
    EXPIRED = "the Expires of an incoming INVITE passed before it was answered"
    FAILED = "the INVITE got no final response"
    NO_ACK = "the peer never acknowledged our 2xx; we sent BYE"
    NO_PRACK = "the peer never acknowledged our reliable provisional response; its INVITE got a 504"
    LAPSED = "nobody refreshed the session in time (RFC 4028 §10); we sent BYE"
    LOST = "the peer no longer knows the dialog (481, 408 or silence to a request of ours); we sent BYE"


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new incoming INVITE; a 100 was sent already. Do next: `Agent.respond`, or wait for it to be cancelled."""

    session: str
    request: Request
    peer: Peer


@dataclass(frozen=True, slots=True)
class InviteProgress:
    """A provisional response 101–199 to our INVITE; forks are told apart by `response.to.tag`.

    A reliable one (RFC 3262) is acknowledged by the agent, unless it holds an offer, which it does only if our INVITE
    had none: then `Agent.acknowledge_progress` is to bring the answer.
    """

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class InviteAccepted:
    """The first 2xx to our INVITE. Do next: `Agent.acknowledge` (the 2xx is repeated by the peer until then)."""

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class InviteRejected:
    """A final response 300–699 to our INVITE (already acknowledged; digest was tried). `SessionEnded` follows."""

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class InviteFailed:
    """Our INVITE got no final response. `SessionEnded` follows. `reason`: what the wire said, for people; or empty."""

    session: str
    cause: Failure
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The peer cancelled its INVITE: 200 and 487 were sent. `SessionEnded` follows."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The ACK of a 2xx of ours, for the INVITE or a re-INVITE; it holds the answer when our 2xx held the offer."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """An INVITE inside the session, free of glare. Do next: `Agent.respond`. The remote target is already refreshed."""

    session: str
    request: Request
    peer: Peer


@dataclass(frozen=True, slots=True)
class ReinviteCancelled:
    """The peer cancelled its re-INVITE: 200 and 487 were sent; the session goes on as before."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class ReinviteAccepted:
    """A 2xx to our re-INVITE. Do next: `Agent.acknowledge`."""

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class ReinviteRejected:
    """Our re-INVITE changed nothing. `response` is None when none came (then `SessionEnded` follows).

    `retry_in`: after a 491, the seconds to wait before trying again if it is still wanted (RFC 3261 §14.1).
    """

    session: str
    response: Response | None
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class ProgressAcknowledged:
    """The PRACK of a reliable provisional response of ours; it holds the answer when the response held the offer."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Our re-INVITE that was only to refresh the session brought another description of the peer than before."""

    session: str
    response: Response


@dataclass(frozen=True, slots=True)
class ByeReceived:
    """The peer hung up; 200 was sent. `SessionEnded` follows."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class RequestDoubted:
    """A request in the session, ACK and CANCEL included, that does not come from where its peer is known to be.

    Only where `Agent.ask_about_strangers` was said. Do next: `Agent.admit`, and it is taken as if the peer had sent it,
    or `Agent.answer` with the status that refuses it, such as a challenge.
    """

    request_id: str
    session: str
    request: Request
    peer: Peer


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request other than INVITE, ACK, CANCEL and BYE, in a session or (None) outside. Do next: `Agent.answer`."""

    request_id: str
    session: str | None
    request: Request
    peer: Peer


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The final response to a request made with `Agent.request`; None when there was none.

    `retry_in`: after a 491 to an UPDATE, the seconds to wait before trying again (RFC 3311 §5.3).
    """

    request_id: str
    session: str | None
    response: Response | None
    retry_in: float | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Exactly once a session, and its last event."""

    session: str
    cause: EndCause


AgentEvent = (
    InviteReceived
    | InviteProgress
    | InviteAccepted
    | InviteRejected
    | InviteFailed
    | Cancelled
    | AckReceived
    | ReinviteReceived
    | ReinviteCancelled
    | ReinviteAccepted
    | ReinviteRejected
    | ProgressAcknowledged
    | Refreshed
    | ByeReceived
    | RequestDoubted
    | RequestReceived
    | RequestAnswered
    | SessionEnded
)
