"""The side that takes INVITEs: answering, repeating 2xx until their ACK, CANCEL, glare (RFC 3261 §13.3, §14.2)."""

from collections.abc import Sequence

from sidestream.sip.agent.compose import trying
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import SDP_TYPE, description
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import (
    AckReceived,
    Cancelled,
    EndCause,
    InviteReceived,
    ReinviteCancelled,
    ReinviteReceived,
)
from sidestream.sip.agent.offers import is_ours_open
from sidestream.sip.agent.reliable import ReliableProgress
from sidestream.sip.agent.session import HeldBye, Incoming, Phase, Session, SessionTimer, UnackedOk
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.dialog.dialog import Dialog, uas_dialog
from sidestream.sip.errors import LocalError, MessageError
from sidestream.sip.grammar import Params
from sidestream.sip.message import Request, Response
from sidestream.sip.transport import Peer

TRYING_AFTER = 0.2  # seconds; RFC 3261 §17.2.1: 100 is for an INVITE that nobody answers within them
PROGRESS_INTERVAL = 60.0  # seconds; RFC 3261 §13.3.1.1: proxies cancel an INVITE that is silent for three minutes


class Callee:
    """Takes INVITEs, their CANCELs and ACKs, and sends our responses."""

    def __init__(self, core: Core, ending: Ending, reliable: ReliableProgress, clock: SessionClock) -> None:
        self._core = core
        self._ending = ending
        self._reliable = reliable
        self._clock = clock

    def receive_first(self, key: str, request: Request, peer: Peer, now: float) -> None:
        """An INVITE outside any dialog: a session is born."""
        core = self._core
        try:
            dialog = uas_dialog(request, core.token())
        except MessageError as error:
            core.layer.respond(key, core.compose.response(request, error.status, tag="0", reason=error.reason), now)
            return
        session = Session(
            id=core.token(),
            phase=Phase.RINGING,
            listener=peer.listener,
            transport=peer.transport,
            contact_user=core.config.contact_user or request.uri.user,
            contact_params=(),
            owns_call_id=False,
            dialog=dialog,
            secure=_is_secure(request),
        )
        core.note_caller(session, request, dialog, peer)
        session.learn(request)
        core.add(session)
        core.bind(session, dialog)
        core.open(session, Incoming(key, request))
        core.layer.set_tag(key, dialog.local.tag or "")
        core.timers.set((session.id, SessionTimer.TRYING), now + TRYING_AFTER)
        if request.expires is not None:
            core.timers.set((session.id, SessionTimer.EXPIRES), now + request.expires)
        core.emit(InviteReceived(session.id, request, peer))

    def receive_again(
        self, session: Session, dialog: Dialog, key: str, request: Request, peer: Peer, now: float
    ) -> None:
        """An INVITE inside the dialog (RFC 3261 §14.2), in order."""
        core = self._core
        if session.phase is Phase.ENDED:
            core.refuse(key, request, 481, now)
        elif session.incoming is not None:
            # RFC 3261 §14.2: the one before is not answered yet.
            core.refuse(key, request, 500, now, [core.retry_after()])
        elif session.invite is not None or session.accepted is not None or is_ours_open(session):
            # RFC 3261 §14.2: ours is under way. Just as little can a new offer be taken while the ACK or the answer to
            # an UPDATE is still to bring the answer to ours.
            core.refuse(key, request, 491, now)
        elif session.asked:
            # RFC 6337 §2.4: two offers of the peer at once
            core.refuse(key, request, 500, now, [core.retry_after()])
        else:
            self._take_again(session, dialog, key, request, peer, now)

    def _take_again(self, session: Session, dialog: Dialog, key: str, request: Request, peer: Peer, now: float) -> None:
        core = self._core
        if session.unacked is not None:
            self._stop_repeating(session)  # whoever sends a re-INVITE has the 2xx; only the ACK is lost or late
        dialog.refresh(request)
        session.learn(request)
        # RFC 4028 §7.4: a re-INVITE that only refreshes repeats the description that is in force, so we do the same.
        is_refresh = bool(
            request.session_expires and session.sent_sdp and request.body and request.body == session.heard_sdp
        )
        core.open(session, Incoming(key, request, is_refresh=is_refresh))
        core.timers.set((session.id, SessionTimer.TRYING), now + TRYING_AFTER)
        if not is_refresh:
            core.emit(ReinviteReceived(session.id, request, peer))
            return
        self.respond(session, 200, now, body=session.sent_sdp, content_type=SDP_TYPE)

    def respond(
        self,
        session: Session,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact_params: Params | None = None,
    ) -> None:
        """Send a response of the application to the waiting INVITE or re-INVITE."""
        incoming = session.incoming
        if incoming is None or session.dialog is None or incoming.accepting is not None:
            raise WrongState(session.id, "respond", session.phase.value)
        if not 100 < status < 700:
            raise LocalError(f"no response to send: {status}")
        response = self._core.compose.response(
            incoming.request,
            status,
            tag=session.dialog.local.tag or "",
            reason=reason,
            contact=self._core.contact(session, contact_params) if status < 300 else None,
            headers=headers,
            body=body,
            content_type=content_type,
            own=self._clock.answer(incoming.request)[1] if 200 <= status < 300 else (),
        )
        if status < 200:
            self._progress(session, incoming, response, now)
        elif status >= 300:
            self.reject(session, incoming, response, EndCause.REJECTED, now)
        elif incoming.unpracked is not None and incoming.unpracked.has_description:
            # RFC 3262 §3: no 2xx before the PRACK of what held an offer or answer.
            incoming.accepting = response
        else:
            self._accept(session, incoming, session.dialog, response, now)

    def receive_prack(self, session: Session, key: str, request: Request, now: float) -> bool:
        """The peer has our reliable provisional response. False: not that one, and it is answered 481."""
        if self._reliable.is_acknowledged(session, request):
            return True
        # RFC 3262 §3: it belongs to nothing that waits.
        self._core.refuse(key, request, 481, now)
        return False

    def go_on(self, session: Session, now: float) -> None:
        """Send what waited for a PRACK."""
        incoming, dialog = session.incoming, session.dialog
        if incoming is None or dialog is None:
            return
        if incoming.accepting is not None:
            self._accept(session, incoming, dialog, incoming.accepting, now)
        elif incoming.queue:
            self._progress(session, incoming, incoming.queue.pop(0), now, is_reliable=True)

    def reject(self, session: Session, incoming: Incoming, response: Response, cause: EndCause, now: float) -> None:
        """Send a response above 299; it ends the session if it is to the first INVITE."""
        self._core.layer.respond(incoming.key, response, now)
        self._answered(session)
        if session.phase is Phase.RINGING:
            self._core.end(session, cause, now)

    def refuse(self, session: Session, status: int, cause: EndCause, now: float) -> None:
        """Reject the waiting INVITE with nothing but a status."""
        incoming, dialog = session.incoming, session.dialog
        assert incoming is not None
        assert dialog is not None
        response = self._core.compose.response(incoming.request, status, tag=dialog.local.tag or "")
        self.reject(session, incoming, response, cause, now)

    def receive_cancel(self, key: str, cancel: Request, now: float) -> None:
        """RFC 3261 §9.2: always answered, of effect only while the INVITE is not."""
        core = self._core
        invite_key = core.layer.cancelled_by(cancel)
        if invite_key is None:
            core.refuse(key, cancel, 481, now)
            return
        # RFC 3261 §9.2: To has the same tag as in the responses to the INVITE, also when those are over.
        tag = core.layer.tag_of(invite_key) or core.token()
        core.layer.respond(key, core.compose.response(cancel, 200, tag=tag), now)
        session = core.waiting(invite_key)
        if session is None:
            return
        if session.phase is Phase.RINGING:
            core.emit(Cancelled(session.id, cancel))
        else:
            core.emit(ReinviteCancelled(session.id, cancel))
        self.refuse(session, 487, EndCause.CANCELLED, now)

    def receive_ack(self, session: Session, request: Request, now: float) -> None:
        """The ACK of a 2xx; copies and those that nothing waits for are dropped."""
        unacked = session.unacked
        if unacked is None or request.cseq.number != unacked.seq:
            return
        self._stop_repeating(session)
        if unacked.offerless:
            session.agree(heard=description(request))
        if not unacked.is_refresh:
            self._core.emit(AckReceived(session.id, request))
        held = session.held_bye
        if held is not None:
            self._ending.hang_up(
                session,
                EndCause.LOCAL_BYE,
                now,
                headers=held.headers,
                body=held.body,
                content_type=held.content_type,
            )

    def hold_bye(self, session: Session, bye: HeldBye) -> bool:
        """Keep `bye` until the first 2xx is acknowledged; False if it may be sent at once."""
        # RFC 3261 §15: the callee must not send BYE before its ACK has come or will not come any more.
        if session.unacked is None or not session.unacked.first:
            return False
        session.held_bye = session.held_bye or bye
        return True

    def handle_timeout(self, session: Session, timer: SessionTimer, now: float) -> None:
        """The callee's timers."""
        if timer is SessionTimer.REPEAT_OK:
            unacked = session.unacked
            assert unacked is not None
            # RFC 3261 §13.3.1.4: T1, doubling up to T2, whatever the transport.
            self._core.layer.respond_again(unacked.key, unacked.status, unacked.data, now)
            unacked.interval = min(2 * unacked.interval, self._core.config.timers.t2)
            self._core.timers.set((session.id, timer), now + unacked.interval)
        elif timer is SessionTimer.TRYING:
            assert session.incoming is not None
            self._core.layer.respond(session.incoming.key, trying(session.incoming.request), now)
        elif timer is SessionTimer.MISSED_ACK:
            cause = EndCause.NO_ACK if session.held_bye is None else EndCause.LOCAL_BYE
            self._ending.hang_up(session, cause, now)
        elif timer is SessionTimer.REPEAT_PROGRESS:
            incoming = session.incoming
            assert incoming is not None
            self._core.layer.respond_again(incoming.key, *incoming.progress, now)
            self._core.timers.set((session.id, timer), now + PROGRESS_INTERVAL)
        elif timer is SessionTimer.REPEAT_RELIABLE:
            assert session.incoming is not None
            self._reliable.repeat(session, session.incoming, now)
        elif timer is SessionTimer.MISSED_PRACK:
            # RFC 3262 §3: a 5xx.
            self.refuse(session, 504, EndCause.NO_PRACK, now)
        else:
            # RFC 3261 §13.3.1 item 1: as if it had been cancelled.
            self.refuse(session, 487, EndCause.EXPIRED, now)

    def _progress(
        self, session: Session, incoming: Incoming, response: Response, now: float, *, is_reliable: bool = False
    ) -> None:
        if is_reliable or self._reliable.is_wanted(incoming.request, response):
            data = self._reliable.send(session, incoming, response, now)
            if data is None:
                return
        else:
            data = self._core.layer.respond(incoming.key, response, now)
        incoming.progress = (response.status, data)
        self._core.timers.stop((session.id, SessionTimer.TRYING))
        self._core.timers.set((session.id, SessionTimer.REPEAT_PROGRESS), now + PROGRESS_INTERVAL)

    def _accept(self, session: Session, incoming: Incoming, dialog: Dialog, response: Response, now: float) -> None:
        core, timers, request = self._core, self._core.config.timers, incoming.request
        data = core.layer.respond(incoming.key, response, now)
        self._answered(session)
        session.unacked = UnackedOk(
            incoming.key,
            request.cseq.number,
            response.status,
            data,
            interval=timers.t1,
            offerless=not request.body and not incoming.agreed,
            first=session.phase is Phase.RINGING,
            is_refresh=incoming.is_refresh,
        )
        session.agree(sent=description(response), heard=description(request))
        self._clock.start(session, self._clock.answer(request)[0], now)
        session.phase, dialog.confirmed = Phase.ESTABLISHED, True
        core.timers.set((session.id, SessionTimer.REPEAT_OK), now + timers.t1)
        core.timers.set((session.id, SessionTimer.MISSED_ACK), now + timers.patience)

    def _answered(self, session: Session) -> None:
        self._core.settle(session)
        self._core.timers.stop((session.id, SessionTimer.TRYING))
        self._core.timers.stop((session.id, SessionTimer.EXPIRES))
        self._core.timers.stop((session.id, SessionTimer.REPEAT_PROGRESS))
        self._reliable.stop(session)

    def _stop_repeating(self, session: Session) -> None:
        session.unacked = None
        self._core.timers.stop((session.id, SessionTimer.REPEAT_OK))
        self._core.timers.stop((session.id, SessionTimer.MISSED_ACK))


def _is_secure(request: Request) -> bool:
    """Whether our Contact is to be a sips URI (RFC 3261 §12.1.1)."""
    routes = request.record_routes
    return request.uri.scheme == "sips" or (bool(routes) and routes[0].uri.scheme == "sips")
