"""A leg: one SIP session and its audio, speaking the nine events of `calls.events`.

Agent events come in by `take`, on the event loop; what they mean goes into `events`, which the call reads one by one.
Commands on a leg that is over do nothing, so that a crossing BYE is no error for the caller.
"""

from collections.abc import Sequence

from sidestream.base.inbox import Inbox
from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.descriptions import body_of, description_of, tolerated_description_of
from sidestream.calls.events import (
    Answered,
    Ended,
    Failed,
    Info,
    LegEvent,
    Redirected,
    Trying,
    Updated,
)
from sidestream.calls.guard import Guard
from sidestream.calls.image import LegImage
from sidestream.calls.invitation import Invitation, Invite
from sidestream.calls.leg_media import NOT_ACCEPTABLE, LegMedia
from sidestream.calls.negotiation import Negotiation, OfferRefused
from sidestream.calls.referral import Referral
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
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
    Refreshed,
    ReinviteAccepted,
    ReinviteCancelled,
    ReinviteReceived,
    ReinviteRejected,
    RequestDoubted,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.agent.unanswered import UnansweredImage
from sidestream.sip.message import Request, Response
from sidestream.sip.values import STAR
from sidestream.wire.driver import SipDriver

log = get_logger("calls")

_REQUEST_TIMEOUT = 408
_CANCELLED = 487
_REQUEST_PENDING = 491
_SERVER_ERROR = 500
_UNAVAILABLE = 503
_REDIRECTION = range(300, 400)
_GLOBAL_FAILURE = 600  # RFC 3261 §21.6: and nobody else is to be tried
_OFFER_METHODS = frozenset({"UPDATE", "PRACK"})


class Leg:
    """Made either around a received INVITE or for one that `invite` sends. `guard` knows who is at its other end."""

    def __init__(self, driver: SipDriver, media: LegMedia, guard: Guard) -> None:
        self._driver = driver
        self._session: str | None = None
        self._guard = guard
        self._call_sid = call_sid = guard.call_sid
        self._awaits_answer = False  # our 200 held the offer, so the ACK must hold the answer
        self._alerted: tuple[int, str] | None = None  # our last provisional answer
        self._final: Failed | Redirected | None = None
        self._invitation: Invitation | None = None
        self._negotiation = Negotiation(driver, call_sid)
        self._referral = Referral(driver)
        self.media = media
        self.phase = LegPhase.CALLING
        self.max_forwards: int | None = None  # what the peer's INVITE left of it
        self.remote_offer: SessionDescription | None = None  # of an incoming INVITE; None if it made none
        self.events: Inbox[LegEvent] = Inbox()

    # --- an incoming INVITE

    def adopt(self, session: str, request: Request) -> None:
        """Take over a received INVITE. Raises SdpError if its body is no session description."""
        self._begin(session)
        self.phase = LegPhase.WAITING
        self.max_forwards = request.max_forwards
        self.remote_offer = self._description_of(request)

    def alert(self, status: int, reason: str, sdp: SessionDescription | None = None) -> None:
        """Answer the INVITE provisionally, unless that would only say once more what was said last."""
        if self.phase is LegPhase.WAITING and (sdp is not None or self._alerted != (status, reason)):
            self._alerted = (status, reason)
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

    def invite(self, invite: Invite) -> None:
        """Send the INVITE; its fate arrives as events."""
        self._invitation = Invitation(self._driver, self._begin, invite)
        self._invitation.send()

    def _begin(self, session: str) -> None:
        self._session = session
        self._driver.attach(session, self.take)
        with self._driver.turn() as (agent, _):
            agent.ask_about_strangers(session)

    # --- a restart

    def image(self) -> LegImage | None:
        """The leg as `restore` takes it; None unless it is established and nothing is under way in it."""
        media = self.media.image()
        if self.phase is not LegPhase.ESTABLISHED or self._session is None or self._awaits_answer or media is None:
            return None
        with self._driver.turn() as (agent, _):
            session = agent.image(self._session)
        return None if session is None else LegImage(session, media, self.max_forwards)

    def unanswered(self) -> UnansweredImage | None:
        """The INVITE that waits for its final answer, if there is one of which the peer has heard."""
        if self._session is None or self.phase not in (LegPhase.WAITING, LegPhase.CALLING):
            return None
        with self._driver.turn() as (agent, _):
            return agent.unanswered(self._session)

    def restore(self, image: LegImage) -> None:
        """Go on with the leg of a process before. Raises LocalError, MessageError, SdpError."""
        self.media.restore(image.media)
        self.max_forwards = image.max_forwards
        with self._driver.turn() as (agent, now):
            self._begin(agent.restore(image.session, now))
        self.phase = LegPhase.ESTABLISHED

    # --- an established session

    async def offer(self, sdp: SessionDescription) -> SessionDescription:
        """Send a re-INVITE and return the peer's answer. Raises OfferRefused, with 491 while another one is pending."""
        if self.phase is not LegPhase.ESTABLISHED or self._session is None:
            raise OfferRefused(_REQUEST_PENDING)
        return await self._negotiation.offer(self._session, sdp)

    def answer_offer(self, sdp: SessionDescription) -> None:
        """Accept the peer's re-INVITE or UPDATE."""
        self._negotiation.answer(self._living, 200, sdp)

    def refuse_offer(self, status: int) -> None:
        """Refuse the peer's re-INVITE or UPDATE; the session stays as it was."""
        self._negotiation.answer(self._living, status)

    def tell(self, content_type: str, body: bytes) -> None:
        """Send an INFO."""
        if self.phase is LegPhase.ESTABLISHED and self._session is not None:
            with self._driver.turn() as (agent, now):
                agent.request(self._session, "INFO", body=body, content_type=content_type, now=now)

    # --- a transfer

    def answer_refer(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Take (202) or refuse the peer's REFER; once taken, `tell_transfer` tells how it goes."""
        self._referral.answer(status, headers)

    def tell_transfer(self, status: int) -> None:
        """Tell the peer whose REFER was taken what the newcomer answered; a final status is the last that it hears."""
        self._referral.tell(self._session if self.phase is LegPhase.ESTABLISHED else None, status)

    def continue_queue(self, former: "Leg") -> None:
        """Speak from now on to whoever listens to `former`, which is heard no more."""
        waiting = self.events.take_all()
        self.events, former.events = former.events, Inbox()
        self.events.take_all()
        for event in waiting:
            self.events.put_nowait(event)

    def leave_behind(self) -> "Leg":
        """What stays in the call that this leg leaves: one that is over, with the media of before."""
        ghost = Leg(self._driver, self.media, self._guard)
        ghost.continue_queue(self)
        ghost._finish(Ended(by_remote=False))
        return ghost

    @property
    def is_outside(self) -> bool:
        """Whether the peer is not on this machine or link, so that what it names is to be called `confined`."""
        if self._session is None:
            return True
        with self._driver.turn() as (agent, _):
            return agent.is_outside(self._session)

    @property
    def session(self) -> str | None:
        """The agent's name for it."""
        return self._session

    @property
    def _living(self) -> str | None:
        """The session, unless the leg is over."""
        return None if self.phase is LegPhase.OVER else self._session

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
        if event.session != self._session:
            return  # of an INVITE that was redirected since
        match event:
            case InviteProgress(_, response):
                self._progress(response)
            case InviteAccepted(_, response):
                self._accepted(response)
            case InviteRejected(_, response):
                self._rejected(response)
            case InviteFailed(_, cause, reason):
                # RFC 3261 §8.1.3.1: silence counts as 408, a fatal transport error as 503.
                status = _REQUEST_TIMEOUT if cause is Failure.TIMEOUT else _UNAVAILABLE
                self._final = Failed(status, reason or cause.value)
                self._try_next()
            case Cancelled(_, request):
                self._final = Failed(_CANCELLED, "Request Terminated", request.headers.get("Reason"))
            case AckReceived(_, request):
                self._acknowledged(request)
            case ReinviteReceived(_, request):
                self._updated(request)
            case ReinviteCancelled():
                self._negotiation.withdrawn()
            case ReinviteAccepted(_, response):
                self._offer_accepted(response)
            case ReinviteRejected(_, maybe, retry_in):
                self._negotiation.settle(
                    OfferRefused(maybe.status if maybe is not None else _REQUEST_TIMEOUT, retry_in)
                )
            case Refreshed(_, response):
                sdp = self._tolerated_of(response)
                if sdp is not None:
                    self._speak(Answered(sdp))
            case RequestDoubted():
                self._guard.decide(event)
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
        assert self._invitation is not None  # whose progress this is
        self._speak(self._invitation.progressed(response, self._tolerated_of(response)))

    def _rejected(self, response: Response) -> None:
        contacts = tuple(contact for contact in response.contacts if contact.uri != STAR)
        if response.status in _REDIRECTION:
            self._final = Redirected(response.status, tuple(str(contact.uri) for contact in contacts))
            if self._invitation is not None:
                self._invitation.redirected(contacts)
        else:
            self._final = Failed(response.status, response.reason, response.headers.get("Reason"))
        if response.status < _GLOBAL_FAILURE:
            self._try_next()

    def _try_next(self) -> None:
        """Call the next place that a redirection named, if the call is still wanted."""
        if self.phase is LegPhase.CALLING and self._invitation is not None:
            where = self._invitation.go_on()
            if where is not None:
                log.info("> redirected", call=self._call_sid, to=str(where))

    def _accepted(self, response: Response) -> None:
        if self.phase is LegPhase.OVER or self._session is None:
            return
        with self._driver.turn() as (agent, now):
            agent.acknowledge(self._session, now=now)
        self.phase = LegPhase.ESTABLISHED
        try:
            sdp = self._description_of(response)
        except SdpError as error:
            # RFC 3261 §13.2.2.4: an unacceptable answer in a 2xx is acknowledged, then the session is ended.
            log.info("! unusable answer", call=self._call_sid, problem=str(error))
            self.fail(NOT_ACCEPTABLE, "Not Acceptable Here")
            return
        early = self._invitation.early_answer(response) if self._invitation is not None else None
        self._invitation = None  # it holds the offer, and what the forks said
        self._speak(Answered(sdp or early))

    def fail(self, status: int, reason: str) -> None:
        """End an established session that turned out useless; the leg speaks Failed instead of Ended."""
        if self.phase is LegPhase.ESTABLISHED and self._session is not None:
            self._finish(Failed(status, reason))
            with self._driver.turn() as (agent, now):
                agent.bye(self._session, now=now)

    def _acknowledged(self, request: Request) -> None:
        # RFC 3261 §13.2.2.4: when our 2xx held the offer, the answer is in the ACK.
        awaited, self._awaits_answer = self._awaits_answer, False
        sdp = self._tolerated_of(request)
        if sdp is not None:
            self._speak(Answered(sdp))
        elif awaited:
            log.info("! the ACK holds no answer to our offer", call=self._call_sid)
            self.fail(NOT_ACCEPTABLE, "Not Acceptable Here")

    def _updated(self, request: Request, update_id: str | None = None) -> None:
        self._negotiation.asked(update_id)
        try:
            sdp = self._description_of(request)
        except SdpError as error:
            self.refuse_offer(error.status)
            return
        self._speak(Updated(sdp))

    def _requested(self, request_id: str, request: Request) -> None:
        content_type = request.headers.get("Content-Type")
        if request.method in _OFFER_METHODS and request.body:
            # RFC 3311 §5.2: the agent has refused those that cross another offer.
            self._updated(request, request_id)
            return
        if request.method == "REFER":
            self._referred(request_id, request)
            return
        with self._driver.turn() as (agent, now):
            agent.answer(request_id, 200, now=now)
        if request.method == "INFO" and content_type is not None:
            self._speak(Info(content_type, request.body))

    def _referred(self, request_id: str, request: Request) -> None:
        if self.phase is not LegPhase.ESTABLISHED:
            self._referral.refuse(request_id)
            return
        wanted = self._referral.receive(request_id, request)
        if wanted is not None:
            self._speak(wanted)

    def _offer_accepted(self, response: Response) -> None:
        if self._session is not None:
            with self._driver.turn() as (agent, now):
                agent.acknowledge(self._session, now=now)
        try:
            sdp = self._description_of(response)
        except SdpError as error:
            self._negotiation.settle(OfferRefused(error.status))
            return
        self._negotiation.settle(sdp if sdp is not None else OfferRefused(NOT_ACCEPTABLE))

    def _session_ended(self, cause: EndCause) -> None:
        self._negotiation.settle(OfferRefused(_REQUEST_TIMEOUT))
        if self.phase is LegPhase.ESTABLISHED:
            self._finish(Ended(by_remote=cause is EndCause.REMOTE_BYE))
        else:
            self._finish(self._final or Failed(_SERVER_ERROR, cause.value))

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

    def _description_of(self, message: Request | Response) -> SessionDescription | None:
        """The peer's description, without what its security forbids. Raises SdpError."""
        sdp = description_of(message)
        return None if sdp is None else self.media.admitted(sdp)

    def _tolerated_of(self, message: Request | Response) -> SessionDescription | None:
        """Like `_description_of` where a bad body only loses what it would have said."""
        sdp = tolerated_description_of(message, self._call_sid)
        return None if sdp is None else self.media.admitted(sdp)

    def _speak(self, event: LegEvent) -> None:
        if self.phase is not LegPhase.OVER:
            self.events.put_nowait(event)

    def _finish(self, event: Ended | Failed | Redirected) -> None:
        self._speak(event)
        self.phase = LegPhase.OVER
        self._invitation = None  # it knows us, and circles are left to the garbage collector
