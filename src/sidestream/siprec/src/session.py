"""The client's side of one recording session with one recording server, without IO (RFC 7866 §6.1, §7.1, §9).

Feed it with `start`, `update`, `stop`, the agent's events of its SIP session and `handle_timeout`; after each drain
`poll_transmit` (actions, to be carried out in order), then `poll_event`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from sidestream.base.identity_enum import IdentityEnum
from sidestream.base.ids import Ids
from sidestream.base.timer_table import TimerTable
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    ByeReceived,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteRejected,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.message import Request, Response
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec import failure, snapshot
from sidestream.siprec.body import ACCEPTED_TYPES, Body, boundary_of, compose, parse_body
from sidestream.siprec.failure import SrsFailure, failure_of_status
from sidestream.siprec.metadata import ExtensionParameters, Reason, Recording
from sidestream.siprec.reader import read
from sidestream.siprec.snapshot import RecordingContext, Snapshot
from sidestream.siprec.src.actions import (
    Action,
    AnswerRequest,
    Failed,
    HeaderList,
    Params,
    Respond,
    SendAck,
    SendBye,
    SendCancel,
    SendInvite,
    SendReinvite,
    SrcEvent,
    Started,
    Stopped,
    UpdateRefused,
)
from sidestream.siprec.src.image import SrcImage
from sidestream.siprec.src.lines import OfferedFork
from sidestream.siprec.src.media import SrcMedia
from sidestream.siprec.writer import write

# C1, RFC 7866 §6.1.1: the feature tag in each Contact of ours.
CONTACT_PARAMS: Params = (("+sip.src", None),)
# C2, RFC 7866 §6.1.1, §11.1.1: in INVITE, and by our choice in re-INVITE and BYE; never in CANCEL or ACK.
REQUIRE: HeaderList = (("Require", "siprec"),)
ACCEPT: HeaderList = (("Accept", ", ".join(ACCEPTED_TYPES)),)

BOUNDARY_DIGITS = 16  # hex digits of chance in a boundary: no caller can guess it
GLARE_WAIT_S = (2.1, 4.0)  # RFC 3261 §14.1, for the side that made the Call-ID; we always did
REFUSED_WAIT_S = 30.0  # before the state is sent again after a refusal other than 491
REFUSALS_LIMIT = 3  # in a row, then the next change of the call is waited for


class State(Enum):
    IDLE = auto()
    INVITING = auto()  # the INVITE has no final response
    ESTABLISHED = auto()
    ENDING = auto()  # the outcome is told; the SIP session is not over
    ENDED = auto()


class Timer(IdentityEnum):
    ANSWER = auto()  # B22: the server has not answered the INVITE
    RETRY = auto()  # C33, B17: a refused update may be tried again


@dataclass(frozen=True, slots=True)
class SrcSettings:
    """How to speak to one recording server. `media_host` is our address in SDP; `headers` are extra INVITE headers.

    `suites`: those that SRTP is offered with, best first; none means plain RTP.
    """

    target: Uri
    identity: NameAddr
    media_host: str
    answer_timeout_s: float
    headers: HeaderList = ()
    extension: ExtensionParameters | None = None
    legacy_media_type: bool = False
    final_metadata: bool = True  # in BYE
    suites: tuple[CryptoSuite, ...] = ()


class SrcSession:
    """One INVITE usage toward one server. Make a new one for each attempt: new Call-ID, full offer, full snapshot."""

    def __init__(self, settings: SrcSettings, ids: Ids) -> None:
        self._settings = settings
        self._ids = ids
        self._state = State.IDLE
        self._actions: list[Action] = []  # a handful at most; an empty deque takes 760 octets
        self._events: list[SrcEvent] = []
        self._timers: TimerTable[Timer] = TimerTable()
        self._media = SrcMedia(settings.media_host, ids)
        self._snapshot: Snapshot | None = None
        self._told: Snapshot | None = None  # what the server knows or is being told; None: it has to be told again
        self._associated_at: datetime | None = None
        self._is_offering = False  # our re-INVITE waits for its final response
        self._awaits_ack = False  # our 2xx to an offerless re-INVITE holds an offer; the ACK will hold the answer
        self._refusals = 0

    @property
    def state(self) -> State:
        return self._state

    def start(self, call: Snapshot, forks: Sequence[OfferedFork], at: datetime, now: float) -> None:
        """B27: send the INVITE with the offer of `forks` and a full snapshot of `call`. `at`: wall clock."""
        self._media.begin(forks, self._settings.suites)
        self._associated_at = at
        self._snapshot = call
        settings = self._settings
        body = self._state_body(call)
        # S24: the Date header tells the server when its session began.
        date = (("Date", at.strftime("%a, %d %b %Y %H:%M:%S GMT")),)
        # C5, RFC 7866 §6.1.1: From is the client and To the server; the parties appear in metadata only.
        self._actions.append(
            SendInvite(
                settings.target,
                settings.identity,
                NameAddr(None, settings.target),
                REQUIRE + ACCEPT + date + settings.headers + body.headers,
                body.content_type,
                body.data,
                CONTACT_PARAMS,
            )
        )
        self._state = State.INVITING
        self._timers.set(Timer.ANSWER, now + settings.answer_timeout_s)

    def image(self) -> SrcImage | None:
        """The session as `restore` takes it; None while it does not stand, or while an exchange is open."""
        busy = self._is_offering or self._awaits_ack or self._actions or self._events
        if self._state is not State.ESTABLISHED or busy:
            return None
        # Set by start, and nothing is established without it.
        media = self._media
        assert media.local is not None
        assert self._snapshot is not None
        assert self._associated_at is not None
        return SrcImage(
            media.forks,
            media.lines,
            media.cryptos,
            media.local.to_bytes(),
            self._snapshot,
            self._told,
            self._associated_at,
        )

    def restore(self, image: SrcImage) -> None:
        """Instead of `start`: go on with a session that an earlier process began. Raises SdpError.

        Nothing is sent; do next: `update` with the call as it is now.
        """
        media = self._media
        media.local = SessionDescription.parse(image.local)
        media.forks, media.lines, media.cryptos = image.forks, image.lines, image.cryptos
        self._snapshot, self._told = image.snapshot, image.told
        self._associated_at = image.associated_at
        self._state = State.ESTABLISHED

    def update(self, call: Snapshot, now: float) -> None:
        """The call changed: the server is told as soon as no other exchange is open, the newest state only (C44)."""
        if self._state in (State.INVITING, State.ESTABLISHED):
            self._snapshot = call
            self._refusals = 0
            self._flush()

    def stop(self, at: datetime, *, call_ended: bool, reason: Reason | None = None) -> None:
        """End the session as wanted; `Stopped` follows unless its outcome is told already. `at`: wall clock."""
        self._end(at, Stopped(by_server=False), call_ended=call_ended, reason=reason)

    def abandon(self, why: SrsFailure, at: datetime) -> None:
        """End the session because our own side cannot go on; `Failed(why)` follows unless its outcome is told."""
        self._end(at, Failed(why), call_ended=False, reason=None)

    def receive(self, event: AgentEvent, now: float) -> None:
        """An event of the session's SIP agent."""
        if isinstance(event, SessionEnded):
            self._session_ended()
        elif self._state is State.INVITING:
            self._receive_inviting(event)
        elif self._state is State.ESTABLISHED:
            self._receive_established(event, now)
        # Else the outcome is told: the agent acknowledges and ends by itself whatever still crosses (B20, B21).

    def blocked(self, now: float) -> None:
        """The re-INVITE could not be sent because the server's own was already there; to be treated as a 491."""
        self._refused_update(491, None, now)

    def poll_transmit(self) -> Action | None:
        return self._actions.pop(0) if self._actions else None

    def poll_event(self) -> SrcEvent | None:
        return self._events.pop(0) if self._events else None

    def poll_timeout(self) -> float | None:
        return self._timers.next()

    def handle_timeout(self, now: float) -> None:
        while (timer := self._timers.pop_due(now)) is not None:
            if timer is Timer.ANSWER:
                # B22: the answer timer runs far below SIP's own; a silent server counts as failed.
                self._actions.append(SendCancel())
                message = f"The recording server did not answer within {self._settings.answer_timeout_s:g} s"
                self._finish(Failed(SrsFailure(failure.TIMEOUT, message)))
            else:
                self._flush()

    # The INVITE

    def _receive_inviting(self, event: AgentEvent) -> None:
        match event:
            case InviteAccepted():
                self._accepted(event.response)
            case InviteRejected():
                self._finish(Failed(failure_of_status(event.response.status, event.response.reason)))
            case InviteFailed(cause=Failure.TIMEOUT):
                self._finish(Failed(SrsFailure(failure.TIMEOUT, "The recording server did not answer")))
            case InviteFailed(reason=reason):
                self._finish(Failed(failure.failure_to_reach(reason)))
            case _:
                pass  # provisional responses change nothing: the answer timer goes on

    def _accepted(self, response: Response) -> None:
        self._actions.append(SendAck())
        try:
            lines = self._media.answered(response)
        except SdpError as error:
            self._unusable(f"The recording server's answer is unusable: {error.problem}")
            return
        media = self._media
        refused = tuple(fork.label for fork, line in zip(media.forks, lines, strict=True) if line.refused)
        if len(refused) == len(media.forks):
            self._unusable("The recording server accepted no stream" + (" with SRTP" if media.cryptos else ""))
            return
        # B27, M14: forwarding runs from the 2xx on.
        self._state = State.ESTABLISHED
        self._timers.stop(Timer.ANSWER)
        self._actions.extend(media.apply(lines))
        self._events.append(Started(refused))
        self._flush()

    def _unusable(self, message: str) -> None:
        # B39: 2xx without usable SDP: ACK, BYE, next server.
        self._actions.append(SendBye(REQUIRE))
        self._finish(Failed(SrsFailure(failure.BAD_SDP, message)))

    # The session

    def _receive_established(self, event: AgentEvent, now: float) -> None:
        match event:
            case ReinviteAccepted():
                self._update_accepted(event.response)
            case ReinviteRejected():
                status = event.response.status if event.response is not None else None
                self._refused_update(status, event.retry_in, now)
            case ReinviteReceived():
                self._reinvited(event.request)
            case AckReceived():
                self._acknowledged(event.request)
            case RequestReceived():
                self._actions.append(self._answered(event))
                self._flush()
            case ByeReceived():
                # B18: forwarding stops; the call goes on.
                self._actions.extend(self._media.silence())
                self._finish(Stopped(by_server=True))
            case _:
                pass  # answers to requests that this machine never makes

    def _update_accepted(self, response: Response) -> None:
        self._is_offering = False
        self._refusals = 0
        self._actions.append(SendAck())
        try:
            self._actions.extend(self._media.apply(self._media.answered(response)))
        except SdpError:
            # B17: what was agreed before remains in force.
            self._events.append(UpdateRefused(response.status))
        self._flush()

    def _refused_update(self, status: int | None, retry_in: float | None, now: float) -> None:
        # B17: session and old descriptions remain in force; the newest metadata is sent later.
        self._is_offering = False
        self._told = None
        if status == 491:
            # C33, RFC 3261 §14.1
            self._timers.set(Timer.RETRY, now + (retry_in or self._ids.fraction(*GLARE_WAIT_S)))
            return
        self._events.append(UpdateRefused(status))
        self._refusals += 1
        if self._refusals < REFUSALS_LIMIT:
            self._timers.set(Timer.RETRY, now + REFUSED_WAIT_S)

    def _reinvited(self, request: Request) -> None:
        body = parse_body(request)
        if body.sdp is None and not body.others and body.metadata is None:
            # RFC 3261 §14.2: no offer in the re-INVITE, so the 2xx has one and the ACK the answer.
            self._awaits_ack = True
            offer = self._media.offer()
            self._actions.append(Respond(200, (), *_sdp(offer), contact_params=CONTACT_PARAMS))
            return
        status, description = self._offered(body.sdp)
        self._actions.append(Respond(status, (), *_sdp(description), contact_params=CONTACT_PARAMS))
        self._flush()

    def _acknowledged(self, request: Request) -> None:
        if self._awaits_ack:
            self._awaits_ack = False
            try:
                self._actions.extend(self._media.apply(self._media.answered(request)))
            except SdpError:
                self._events.append(UpdateRefused(None))
        self._flush()

    def _answered(self, event: RequestReceived) -> AnswerRequest:
        """The answer to another request of the server inside the session."""
        method, request_id = event.request.method, event.request_id
        if method != "UPDATE":
            # C36: an INFO asks for a picture or for nothing we have; the session goes on either way.
            return AnswerRequest(request_id, 200 if method in ("INFO", "OPTIONS") else 501)
        body = parse_body(event.request)
        if body.sdp is not None:
            # B15, RFC 3311 §5.2: an offer while ours is unanswered is refused for now.
            if self._is_offering:
                return AnswerRequest(request_id, 491)
            if self._awaits_ack:
                return AnswerRequest(request_id, 500, (("Retry-After", str(self._ids.integer(0, 10))),))
            status, description = self._offered(body.sdp)
            return AnswerRequest(request_id, status, (), *_sdp(description))
        if body.metadata is not None:
            # B12, C21, RFC 7866 §9.2: a full snapshot in a transaction of its own; the 200 has no body.
            if read(body.metadata, body.charset).snapshot_reason is None:
                return AnswerRequest(request_id, 400)
            self._told = None
            return AnswerRequest(request_id, 200)
        if body.others or body.problems:
            return AnswerRequest(request_id, 415)
        return AnswerRequest(request_id, 200)

    def _offered(self, sdp: bytes | None) -> tuple[int, SessionDescription | None]:
        """Take the server's offer; status and description of our answer."""
        if sdp is None:
            return 415, None
        try:
            answer, lines = self._media.answer(SessionDescription.parse(sdp))
        except SdpError as error:
            return error.status, None
        self._actions.extend(self._media.apply(lines))
        return 200, answer

    # What is sent

    def _flush(self) -> None:
        """Tell the server the newest state if it does not know it and the session is free (C44)."""
        call = self._snapshot
        is_busy = self._is_offering or self._awaits_ack or self._timers.is_armed(Timer.RETRY)
        if self._state is not State.ESTABLISHED or call is None or call == self._told or is_busy:
            return
        if self._refusals >= REFUSALS_LIMIT:
            return
        # C18, C19: a full snapshot on each change. C11, RFC 7866 §9.1: labels travel with the offer that has them.
        body = self._state_body(call)
        self._is_offering = True
        self._actions.append(
            SendReinvite(REQUIRE + ACCEPT + body.headers, body.content_type, body.data, CONTACT_PARAMS)
        )

    def _state_body(self, call: Snapshot) -> Body:
        """C16, C20: our offer and a full snapshot of `call` in one body."""
        self._told = call
        return self._compose(self._media.offer().to_bytes(), snapshot.complete(call, self._context()))

    def _context(self) -> RecordingContext:
        assert self._associated_at is not None  # set by start, without which nothing is sent
        return RecordingContext(self._media.streams, self._associated_at, self._settings.extension)

    def _compose(self, sdp: bytes | None, metadata: Recording | None) -> Body:
        return compose(
            sdp=sdp,
            metadata=None if metadata is None else write(metadata),
            boundary=boundary_of(self._ids.hex(BOUNDARY_DIGITS)),
            legacy_media_type=self._settings.legacy_media_type,
        )

    # The end

    def _end(self, at: datetime, outcome: SrcEvent, *, call_ended: bool, reason: Reason | None) -> None:
        if self._state is State.IDLE:
            self._finish(outcome)
            self._state = State.ENDED
        elif self._state is State.INVITING:
            # B20: CANCEL; the agent waits for the first 1xx, and ends a 2xx that crosses.
            self._actions.append(SendCancel())
            self._finish(outcome)
        elif self._state is State.ESTABLISHED:
            # B19: the last packets first, then BYE. B21: at once, whatever is pending.
            self._actions.extend(self._media.silence())
            self._actions.append(self._bye(at, call_ended=call_ended, reason=reason))
            self._finish(outcome)

    def _bye(self, at: datetime, *, call_ended: bool, reason: Reason | None) -> SendBye:
        if self._snapshot is None or not self._settings.final_metadata:
            return SendBye(REQUIRE)
        call = self._snapshot
        # C20, RFC 8068 §3.2.4: the last partial update in the BYE.
        last = snapshot.call_ended(call, at, reason) if call_ended else snapshot.recording_ended(call, at)
        body = self._compose(None, last)
        return SendBye(REQUIRE + body.headers, body.content_type, body.data)

    def _session_ended(self) -> None:
        if self._state in (State.INVITING, State.ESTABLISHED):
            self._actions.extend(self._media.silence())
            self._finish(Failed(SrsFailure(failure.BROKEN, "The recording server no longer knows the session")))
        self._state = State.ENDED

    def _finish(self, outcome: SrcEvent) -> None:
        """Tell how it ended, once; nothing is sent after the actions queued so far."""
        self._state = State.ENDING
        self._timers.stop(Timer.ANSWER)
        self._timers.stop(Timer.RETRY)
        self._events.append(outcome)


def _sdp(description: SessionDescription | None) -> tuple[str | None, bytes]:
    body = compose(sdp=None if description is None else description.to_bytes(), metadata=None, boundary="")
    return body.content_type, body.data
