"""A leg: one SIP session and its audio, speaking the nine events of `calls.events`.

Agent events come in by `take`, on the event loop; what they mean goes into `events`, which the call reads one by one.
Commands on a leg that is over do nothing, so that a crossing BYE is no error for the caller.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.descriptions import SDP_TYPE, body_of, description_of, tolerated_description_of
from sidestream.calls.events import (
    Answered,
    Ended,
    Failed,
    Info,
    LegEvent,
    Progress,
    Redirected,
    Ringing,
    Trying,
    Updated,
)
from sidestream.calls.leg_media import NOT_ACCEPTABLE, LegMedia
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    ByeReceived,
    Cancelled,
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRejected,
    ReinviteAccepted,
    ReinviteCancelled,
    ReinviteReceived,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import Request, Response
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.wire.driver import SipDriver

log = get_logger("calls")

OFFER_TIMEOUT_S = 33.0  # a re-INVITE has its final response by timer B (32 s), or the agent ends the session
UPDATE_RETRY_AFTER_S = 2  # RFC 3311 §5.2 wants up to 10 s; an INVITE or re-INVITE is mostly answered in less

_REQUEST_TIMEOUT = 408
_CANCELLED = 487
_REQUEST_PENDING = 491
_SERVER_ERROR = 500
_UNAVAILABLE = 503
_REDIRECTION = range(300, 400)


class OfferRefused(Exception):
    """The peer did not take our offer; the session goes on as it was. `status` is its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"offer refused with {self.status}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The peer's offer that waits for our answer: a re-INVITE, or the UPDATE with this request id."""

    update_id: str | None = None


class Leg:
    """`call_sid` names the leg in logs. Made either around a received INVITE or for one that `invite` sends."""

    def __init__(self, driver: SipDriver, media: LegMedia, *, call_sid: str) -> None:
        self._driver = driver
        self._session: str | None = None
        self._call_sid = call_sid
        self._asked: _Asked | None = None
        self._awaits_answer = False  # our 200 held the offer, so the ACK must hold the answer
        self._offer_result: asyncio.Future[SessionDescription] | None = None
        self._final: Failed | Redirected | None = None
        self.media = media
        self.phase = LegPhase.CALLING
        self.invite_request: Request | None = None
        self.remote_offer: SessionDescription | None = None  # of an incoming INVITE; None if it made none
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()

    # --- an incoming INVITE

    def adopt(self, session: str, request: Request) -> None:
        """Take over a received INVITE. Raises SdpError if its body is no session description."""
        self._session = session
        self.phase = LegPhase.WAITING
        self.invite_request = request
        self.remote_offer = description_of(request)
        self._driver.attach(session, self.take)

    def alert(self, status: int, reason: str, sdp: SessionDescription | None = None) -> None:
        """Answer the INVITE provisionally."""
        if self.phase is LegPhase.WAITING:
            self._respond(status, reason, sdp)

    def accept(self, sdp: SessionDescription) -> bool:
        """Answer the INVITE with 200; False if nobody waits for it any more."""
        if self.phase is not LegPhase.WAITING:
            return False
        self.phase = LegPhase.ESTABLISHED
        self._awaits_answer = self.remote_offer is None
        self._respond(200, "OK", sdp)
        return True

    def reject(self, status: int, reason: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Refuse the INVITE."""
        if self.phase is LegPhase.WAITING:
            self._finish(Failed(status, reason))
            self._respond(status, reason, None, headers)

    # --- an outgoing INVITE

    def invite(
        self,
        *,
        target: Uri,
        from_: NameAddr,
        to: NameAddr,
        offer: SessionDescription,
        headers: Sequence[tuple[str, str]] = (),
        credentials: DigestCredentials | None = None,
        max_forwards: int = 70,
        call_id: str | None = None,
    ) -> None:
        """Send the INVITE; its fate arrives as events."""
        with self._driver.turn() as (agent, now):
            self._session = agent.invite(
                target=target,
                from_=from_,
                to=to,
                headers=headers,
                body=offer.to_bytes(),
                content_type=SDP_TYPE,
                credentials=credentials,
                max_forwards=max_forwards,
                call_id=call_id,
                now=now,
            )
            self._driver.attach(self._session, self.take)

    # --- an established session

    async def offer(self, sdp: SessionDescription) -> SessionDescription:
        """Send a re-INVITE and return the peer's answer. Raises OfferRefused, with 491 while another one is pending."""
        if self.phase is not LegPhase.ESTABLISHED or self._session is None or self._offer_result is not None:
            raise OfferRefused(_REQUEST_PENDING)
        result: asyncio.Future[SessionDescription] = asyncio.get_running_loop().create_future()
        with self._driver.turn() as (agent, now):
            if not agent.may_reinvite(self._session):
                raise OfferRefused(_REQUEST_PENDING)
            self._offer_result = result
            agent.reinvite(self._session, body=sdp.to_bytes(), content_type=SDP_TYPE, now=now)
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                return await result
        except TimeoutError:
            raise OfferRefused(_REQUEST_TIMEOUT) from None
        finally:
            self._offer_result = None

    def answer_offer(self, sdp: SessionDescription) -> None:
        """Accept the peer's re-INVITE or UPDATE."""
        self._answer_pending(200, sdp)

    def refuse_offer(self, status: int) -> None:
        """Refuse the peer's re-INVITE or UPDATE; the session stays as it was."""
        self._answer_pending(status, None)

    def tell(self, content_type: str, body: bytes) -> None:
        """Send an INFO."""
        if self.phase is LegPhase.ESTABLISHED and self._session is not None:
            with self._driver.turn() as (agent, now):
                agent.request(self._session, "INFO", body=body, content_type=content_type, now=now)

    # --- the end

    def hang_up(self, reason: str | None = None) -> None:
        """End the leg whatever its phase: refuse (603), cancel or BYE. `reason`: the value of a Reason header."""
        if self.phase is LegPhase.WAITING:
            self.reject(603, "Decline")
            return
        if self.phase is LegPhase.OVER or self._session is None:
            return
        headers = [("Reason", reason)] if reason else []
        established = self.phase is LegPhase.ESTABLISHED
        self._finish(Ended(by_remote=False, reason=reason) if established else Failed(_CANCELLED, "Request Terminated"))
        with self._driver.turn() as (agent, now):
            agent.bye(self._session, headers=headers, now=now)  # for an unanswered INVITE of ours it is CANCEL

    # --- what the agent says

    def take(self, event: AgentEvent) -> None:
        """The sink of this leg's session."""
        try:
            self._take(event)
        except Exception as error:
            # An event that got lost would leave the call waiting for ever: it ends instead, and says so in the log.
            log.error("! leg failed", call=self._call_sid, event_type=type(event).__name__, exc_info=error)
            self._finish(Failed(_SERVER_ERROR, "Server Internal Error"))
            if self._session is not None:
                with self._driver.turn() as (agent, now):
                    agent.bye(self._session, now=now)

    def _take(self, event: AgentEvent) -> None:
        match event:
            case InviteProgress(_, response):
                self._progress(response)
            case InviteAccepted(_, response):
                self._accepted(response)
            case InviteRejected(_, response):
                if response.status in _REDIRECTION:
                    contacts = tuple(str(contact.uri) for contact in response.contacts)
                    self._final = Redirected(response.status, contacts)
                else:
                    self._final = Failed(response.status, response.reason)
            case InviteFailed(_, cause):
                # RFC 3261 §8.1.3.1: silence counts as 408, a fatal transport error as 503.
                status = _REQUEST_TIMEOUT if cause is Failure.TIMEOUT else _UNAVAILABLE
                self._final = Failed(status, cause.value)
            case Cancelled():
                self._final = Failed(_CANCELLED, "Request Terminated")
            case AckReceived(_, request):
                self._acknowledged(request)
            case ReinviteReceived(_, request):
                self._updated(request, _Asked())
            case ReinviteCancelled():
                self._asked = None  # the agent has answered it
            case ReinviteAccepted(_, response):
                self._offer_accepted(response)
            case ReinviteRejected(_, maybe):
                self._offer_done(OfferRefused(maybe.status if maybe is not None else _REQUEST_TIMEOUT))
            case RequestReceived(request_id, _, request):
                self._requested(request_id, request)
            case ByeReceived(_, request):
                self._finish(Ended(by_remote=True, reason=request.headers.get("Reason")))
            case SessionEnded(_, cause):
                self._session_ended(cause)
            case _:
                pass  # answers to our INFO and BYE change nothing

    def _progress(self, response: Response) -> None:
        if response.status == 100:
            self._speak(Trying())
            return
        sdp = tolerated_description_of(response, self._call_sid)
        if sdp is None:
            self._speak(Ringing(response.status, response.reason))
        else:
            self._speak(Progress(response.status, response.reason, sdp))

    def _accepted(self, response: Response) -> None:
        if self.phase is LegPhase.OVER or self._session is None:
            return
        with self._driver.turn() as (agent, now):
            agent.acknowledge(self._session, now=now)
        self.phase = LegPhase.ESTABLISHED
        try:
            sdp = description_of(response)
        except SdpError as error:
            # RFC 3261 §13.2.2.4: an unacceptable answer in a 2xx is acknowledged, then the session is ended.
            log.info("! unusable answer", call=self._call_sid, problem=str(error))
            self.fail(NOT_ACCEPTABLE, "Not Acceptable Here")
            return
        self._speak(Answered(sdp))

    def fail(self, status: int, reason: str) -> None:
        """End an established session that turned out useless; the leg speaks Failed instead of Ended."""
        if self.phase is LegPhase.ESTABLISHED and self._session is not None:
            self._finish(Failed(status, reason))
            with self._driver.turn() as (agent, now):
                agent.bye(self._session, now=now)

    def _acknowledged(self, request: Request) -> None:
        # RFC 3261 §13.2.2.4: when our 2xx held the offer, the answer is in the ACK.
        awaited, self._awaits_answer = self._awaits_answer, False
        sdp = tolerated_description_of(request, self._call_sid)
        if sdp is not None:
            self._speak(Answered(sdp))
        elif awaited:
            log.info("! the ACK holds no answer to our offer", call=self._call_sid)
            self.fail(NOT_ACCEPTABLE, "Not Acceptable Here")

    def _updated(self, request: Request, asked: _Asked) -> None:
        self._asked = asked
        try:
            sdp = description_of(request)
        except SdpError as error:
            self.refuse_offer(error.status)
            return
        self._speak(Updated(sdp))

    def _requested(self, request_id: str, request: Request) -> None:
        content_type = request.headers.get("Content-Type")
        if request.method == "UPDATE" and request.body:
            self._update_requested(request_id, request)
            return
        with self._driver.turn() as (agent, now):
            agent.answer(request_id, 200, now=now)
        if request.method == "INFO" and content_type is not None:
            self._speak(Info(content_type, request.body))

    def _update_requested(self, request_id: str, request: Request) -> None:
        """An UPDATE with an offer; one without only refreshes the session."""
        # RFC 3311 §5.2: 500 while an offer of the peer waits for our answer, 491 while one of ours waits for its.
        if self.phase is LegPhase.WAITING or self._asked is not None:
            status, headers = _SERVER_ERROR, [("Retry-After", str(UPDATE_RETRY_AFTER_S))]
        elif self.phase is LegPhase.CALLING or self._offer_result is not None or self._awaits_answer:
            status, headers = _REQUEST_PENDING, []
        else:
            self._updated(request, _Asked(request_id))
            return
        with self._driver.turn() as (agent, now):
            agent.answer(request_id, status, headers=headers, now=now)

    def _offer_accepted(self, response: Response) -> None:
        if self._session is not None:
            with self._driver.turn() as (agent, now):
                agent.acknowledge(self._session, now=now)
        try:
            sdp = description_of(response)
        except SdpError as error:
            self._offer_done(OfferRefused(error.status))
            return
        self._offer_done(sdp if sdp is not None else OfferRefused(NOT_ACCEPTABLE))

    def _offer_done(self, outcome: SessionDescription | OfferRefused) -> None:
        if self._offer_result is None or self._offer_result.done():
            return
        if isinstance(outcome, OfferRefused):
            self._offer_result.set_exception(outcome)
        else:
            self._offer_result.set_result(outcome)

    def _session_ended(self, cause: EndCause) -> None:
        self._offer_done(OfferRefused(_REQUEST_TIMEOUT))
        if self.phase is LegPhase.ESTABLISHED:
            self._finish(Ended(by_remote=cause is EndCause.REMOTE_BYE))
        else:
            self._finish(self._final or Failed(_SERVER_ERROR, cause.value))

    def _answer_pending(self, status: int, sdp: SessionDescription | None) -> None:
        asked, self._asked = self._asked, None
        if self.phase is LegPhase.OVER or asked is None:
            return
        if asked.update_id is None:
            self._respond(status, None, sdp)
            return
        with self._driver.turn() as (agent, now):
            body, content_type = body_of(sdp)
            try:
                agent.answer(asked.update_id, status, body=body, content_type=content_type, now=now)
            except UnknownRequest:
                log.info("! UPDATE answered too late", call=self._call_sid)

    def _respond(
        self, status: int, reason: str | None, sdp: SessionDescription | None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        if self._session is None:
            return
        body, content_type = body_of(sdp)
        with self._driver.turn() as (agent, now):
            agent.respond(
                self._session, status, reason=reason, headers=headers, body=body, content_type=content_type, now=now
            )

    def _speak(self, event: LegEvent) -> None:
        if self.phase is not LegPhase.OVER:
            self.events.put_nowait(event)

    def _finish(self, event: Ended | Failed | Redirected) -> None:
        self._speak(event)
        self.phase = LegPhase.OVER
