"""What the agent remembers of an INVITE usage and of the requests it has under way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Protocol

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.agent.routing import Hop, Way
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.digest import DigestClient
from sidestream.sip.grammar import Params
from sidestream.sip.message import Request, Response
from sidestream.sip.session_timer import SessionInterval
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Destination, Peer, Transport

REMEMBERED_METHODS = 64  # lists of methods; phones of one make all say the same


class Phase(Enum):
    CALLING = "our INVITE is unanswered"
    RINGING = "the peer's INVITE is unanswered"
    ESTABLISHED = "the INVITE was answered with a 2xx"
    ENDED = "over; kept for late messages only"


class SessionTimer(IdentityEnum):
    """A session's deadlines besides those of its transactions."""

    TRYING = "say 100, for the application has said nothing (§17.2.1)"
    REPEAT_OK = "repeat our 2xx, for its ACK has not come (RFC 3261 §13.3.1.4)"
    MISSED_ACK = "the ACK of our 2xx will not come any more"
    REPEAT_PROGRESS = "repeat our provisional response, or proxies cancel the INVITE (§13.3.1.1)"
    EXPIRES = "the Expires of the peer's INVITE has passed (§13.3.1)"
    CANCEL = "no final response after our CANCEL (§9.1)"
    REPEAT_RELIABLE = "repeat our reliable provisional response, for its PRACK has not come (RFC 3262 §3)"
    MISSED_PRACK = "that PRACK will not come any more"
    REFRESH = "it is our turn to refresh the session (RFC 4028 §10)"
    LAPSE = "nobody has refreshed the session in time"
    FORGET = "no late message will come for the ended session any more"


class Cancel(Enum):
    """How far our CANCEL is."""

    NONE = "not wanted"
    WAITING = "wanted, but no provisional response has come yet"
    SENT = "sent"


class Owner(Protocol):
    """Who is told how an exchange went."""

    def answered(self, exchange: "Exchange", response: Response, now: float) -> None:
        """A response, provisional or final; to an INVITE several 2xx may come."""
        ...

    def failed(self, exchange: "Exchange", cause: Failure, now: float) -> None:
        """There will be no final response."""
        ...


@dataclass(slots=True)
class Exchange:
    """One request of ours until its final response, over digest challenges and changes of transport.

    `request` is what was sent last; `key` its transaction. `name` is the id given by `Agent.request`.
    """

    request: Request
    hops: list[Way]  # ways not tried yet
    owner: Owner | None
    session: "Session | None"
    digest: DigestClient | None
    next_seq: Callable[[], int]
    name: str = ""
    key: str = ""
    hop: Hop | None = None  # the way it went; None while its server is being looked for
    provisional: bool = False  # a provisional response has come
    retries: int = 0  # after challenges and 422s
    is_refresh: bool = False  # the application knows nothing of it
    failure: Failure = Failure.TRANSPORT  # of the last way tried
    reason: str = ""  # what the wire said about it


@dataclass(slots=True)
class Accepted:
    """A 2xx of the peer that the application has not acknowledged yet."""

    dialog: Dialog
    seq: int
    authorization: tuple[tuple[str, str], ...]  # RFC 3261 §13.2.2.4: the ACK repeats the INVITE's credentials


@dataclass(slots=True)
class SentAck:
    """An ACK to send again for each copy of its 2xx."""

    request: Request
    dialog: Dialog


@dataclass(slots=True)
class Incoming:
    """The peer's INVITE or re-INVITE that waits for our final response; `progress`: our last 101–199 on the wire.

    `agreed` and `offered`: a reliable 101–199 of ours held the answer, or an offer that has none yet. `is_refresh`:
    the application knows nothing of it.
    """

    key: str
    request: Request
    progress: tuple[int, bytes] = (100, b"")
    agreed: bool = False
    offered: bool = False
    rseq: int = 0
    unpracked: "Unpracked | None" = None
    queue: list[Response] = field(default_factory=list)  # reliable ones that wait for the PRACK of the one before
    accepting: Response | None = None  # our 2xx, which waits for a PRACK
    is_refresh: bool = False


@dataclass(slots=True)
class Unpracked:
    """Our reliable provisional response that waits for its PRACK."""

    status: int
    data: bytes
    interval: float
    has_description: bool


@dataclass(frozen=True, slots=True)
class OwedPrack:
    """A reliable response of the peer with an offer: its PRACK needs the application's answer."""

    dialog: Dialog
    rseq: int
    seq: int


@dataclass(slots=True)
class UnackedOk:
    """Our 2xx that waits for its ACK. `offerless`: the ACK will hold the answer to the offer in our 2xx."""

    key: str
    seq: int
    status: int
    data: bytes
    interval: float
    offerless: bool
    first: bool  # the INVITE that began the session, not a re-INVITE
    is_refresh: bool


@dataclass(slots=True)
class HeldBye:
    """A BYE that waits for the ACK of our 2xx (RFC 3261 §15)."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    content_type: str | None


@dataclass(slots=True)
class Session:
    """One INVITE usage. `dialog` is None only while our INVITE is unanswered; `early` then holds the early ones."""

    id: str
    phase: Phase
    listener: str
    transport: Transport  # for hosts whose URI names none
    contact_user: str | None
    contact_params: Params
    owns_call_id: bool  # we sent the first INVITE
    digest: DigestClient | None = None
    connection: Peer | None = None  # the stream that the peer's INVITE came by, as long as it stands
    observed: Destination | None = None  # where the peer is seen, if its Contact cannot lead there (NAT)
    spoken_with: tuple[str, ...] = ()  # hosts that have a hand in it: see `Core.is_own_peer`
    confined: bool = False  # somebody outside named its target: see `Core.may_reach`
    asks_about_strangers: bool = False  # the application decides on requests that come from elsewhere
    secure: bool = False  # it was asked for with sips, so our Contact is one (RFC 3261 §8.1.1.8, §12.1.1)
    dialog: Dialog | None = None
    early: dict[str, Dialog] = field(default_factory=dict)  # by remote tag, oldest first
    invite: Exchange | None = None
    cancel: Cancel = Cancel.NONE
    cancel_headers: tuple[tuple[str, str], ...] = ()
    accepted: Accepted | None = None
    acks: dict[tuple[int, str], SentAck] = field(default_factory=dict)  # by CSeq number and remote tag
    incoming: Incoming | None = None
    unacked: UnackedOk | None = None
    held_bye: HeldBye | None = None
    requests: dict[str, Exchange] = field(default_factory=dict)
    asked: tuple[str, ...] = ()  # ids of the peer's offering UPDATEs and PRACKs to be answered
    rseqs: dict[str, int] = field(default_factory=dict)  # RSeq heard last, by remote tag
    agreed_tags: tuple[str, ...] = ()  # forks whose reliable response has answered our offer
    owed_prack: OwedPrack | None = None
    prackable: tuple[int, int] | None = None  # RSeq and CSeq number of our last reliable response
    peer_allows: frozenset[str] = frozenset()
    sent_sdp: bytes = b""  # the description of ours that is in force
    heard_sdp: bytes = b""  # the peer's
    interval: SessionInterval | None = None
    least_interval: int = 0  # seconds; the largest Min-SE heard
    lapses_at: float = 0.0  # when BYE is sent unless the session is refreshed

    def learn(self, message: Request | Response) -> None:
        """Note what a message with capabilities (INVITE, UPDATE, a 2xx to one) says about the peer."""
        if "Allow" in message.headers:
            self.peer_allows = _methods(message.allow)
        if isinstance(message, Request):
            self.least_interval = max(self.least_interval, message.min_se or 0)

    def agree(self, *, sent: bytes = b"", heard: bytes = b"") -> bool:
        """Note the descriptions that are in force from now on, if there are any; True if the peer's is a new one."""
        is_new = bool(heard) and heard != self.heard_sdp
        self.sent_sdp = sent or self.sent_sdp
        self.heard_sdp = heard or self.heard_sdp
        return is_new

    def note_answered(self, name: str) -> None:
        """The peer's offering request of that id has its answer."""
        self.asked = tuple([other for other in self.asked if other != name])

    @property
    def current_dialog(self) -> Dialog | None:
        """The dialog, or the latest early one, or None."""
        if self.dialog is not None or not self.early:
            return self.dialog
        return next(reversed(self.early.values()))


@lru_cache(REMEMBERED_METHODS)
def _methods(allow: tuple[str, ...]) -> frozenset[str]:
    """One set for all whose Allow says the same; each would take 700 octets."""
    return frozenset(allow)
