"""Which part of the agent takes what the transactions and timers bring."""

from sidestream.sip.agent.callee import Callee
from sidestream.sip.agent.caller import Caller
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import description
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.events import ProgressAcknowledged
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.refreshing import Refreshing
from sidestream.sip.agent.requests import Requests
from sidestream.sip.agent.screening import Refusal, Screening
from sidestream.sip.agent.session import Phase, Session, SessionTimer
from sidestream.sip.agent.strangers import Strangers
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.transaction.layer import AckArrived, RequestArrived, ResponseArrived

OVERLOAD_RETRY_S = 5  # Retry-After of a 503: calls end all the time, so soon there is room again

# Methods that make no sense outside a dialog.
DIALOG_METHODS = frozenset({"BYE", "INFO", "UPDATE", "PRACK"})


class Dispatch:
    """Screens requests, finds their sessions, and hands each thing to the part that knows what to do."""

    def __init__(
        self,
        core: Core,
        exchanges: Exchanges,
        ending: Ending,
        caller: Caller,
        callee: Callee,
        requests: Requests,
        refreshing: Refreshing,
        strangers: Strangers,
    ) -> None:
        self.overloads = 0  # INVITEs refused because there are too many sessions
        self._core = core
        self._screening = Screening(core.config)
        self._exchanges = exchanges
        self._ending = ending
        self._caller = caller
        self._callee = callee
        self._requests = requests
        self._refreshing = refreshing
        self._strangers = strangers

    def drain(self, now: float) -> None:
        """Act on what the transactions report."""
        layer = self._core.layer
        while (event := layer.poll_event()) is not None:
            match event:
                case RequestArrived():
                    self._request_arrived(event, now)
                case AckArrived():
                    self._ack_arrived(event, now)
                case ResponseArrived():
                    self._exchanges.receive_response(event.context, event.response, now)
                case _:
                    self._exchanges.receive_failure(event.context, event.cause, event.reason, now)

    def _request_arrived(self, event: RequestArrived, now: float) -> None:
        key, request = event.key, event.request
        if request.method == "CANCEL":
            self._cancel_arrived(event, now)
            return
        refusal = Refusal(482) if event.merged else self._screening.inspect(request)
        if refusal is not None:
            tag = self._core.token()
            response = self._core.compose.response(
                request, refusal.status, tag=tag, reason=refusal.reason, own=refusal.headers
            )
            self._core.layer.respond(key, response, now)
        elif request.to.tag is not None:
            self._in_dialog(event, now)
        elif request.method == "INVITE" and self._core.is_full:
            self.overloads += 1
            self._core.refuse(key, request, 503, now, [("Retry-After", str(OVERLOAD_RETRY_S))])
        elif request.method == "INVITE":
            self._callee.receive_first(key, request, event.peer, now)
        elif request.method in DIALOG_METHODS:
            self._core.refuse(key, request, 481, now)
        else:
            self._requests.receive(None, None, key, request, event.peer, now)

    def _in_dialog(self, event: RequestArrived, now: float) -> None:
        key, request = event.key, event.request
        found = self._core.find(request)
        if found is None:
            # RFC 3261 §12.2.2: nobody here has that dialog.
            self._core.refuse(key, request, 481, now)
            return
        if not self._strangers.stop(*found, event, now):
            self._take(*found, event, now)

    def admit(self, name: str, now: float) -> None:
        """Go on with what was held back because of where it came from. Raises UnknownRequest."""
        arrived = self._strangers.admit(name, now)
        found = self._core.find(arrived.request)
        if isinstance(arrived, AckArrived):
            if found is not None:
                self._callee.receive_ack(found[0], arrived.request, now)
        elif arrived.request.method == "CANCEL":
            self._callee.receive_cancel(arrived.key, arrived.request, now)
        elif found is None:
            self._core.refuse(arrived.key, arrived.request, 481, now)
        else:
            self._take(*found, arrived, now)

    def _ack_arrived(self, event: AckArrived, now: float) -> None:
        found = self._core.find(event.request)
        if found is None:
            return
        # Without a description it says no more than that our 2xx has arrived.
        if event.request.body and self._strangers.stop(*found, event, now):
            return
        self._callee.receive_ack(found[0], event.request, now)

    def _cancel_arrived(self, event: RequestArrived, now: float) -> None:
        invite_key = self._core.layer.cancelled_by(event.request)
        session = self._core.waiting(invite_key) if invite_key is not None else None
        dialog = session.dialog if session is not None else None
        # RFC 3261 §22.1: a CANCEL is accepted if it comes from the hop that sent the INVITE.
        if session is None or dialog is None or not self._strangers.stop(session, dialog, event, now):
            self._callee.receive_cancel(event.key, event.request, now)

    def _take(self, session: Session, dialog: Dialog, event: RequestArrived, now: float) -> None:
        key, request = event.key, event.request
        if not event.peer.transport.can_be_opened:
            session.connection = event.peer  # a page that has lost its connection goes on by another
        if not dialog.accept_seq(request.cseq.number):
            self._core.refuse(key, request, 500, now)
        elif request.method == "BYE" and session.phase is Phase.CALLING:
            # RFC 3261 §15 forbids a callee the BYE in an early dialog; who sends it all the same wants no call.
            self._core.layer.respond(key, self._core.compose.response(request, 200, tag=dialog.local.tag or ""), now)
            self._caller.cancel(session, (), now)
        elif request.method == "BYE":
            self._ending.receive_bye(session, key, request, now)
        elif request.method == "INVITE":
            self._callee.receive_again(session, dialog, key, request, event.peer, now)
        elif request.method == "PRACK":
            self._prack(session, dialog, event, now)
        else:
            self._requests.receive(session, dialog, key, request, event.peer, now)

    def _prack(self, session: Session, dialog: Dialog, event: RequestArrived, now: float) -> None:
        key, request = event.key, event.request
        # RFC 3262 §5: an answer, if our reliable response held the offer; else it is a new offer.
        awaited = session.incoming is not None and session.incoming.offered
        if not self._callee.receive_prack(session, key, request, now):
            return
        if description(request) and not awaited:
            self._requests.receive(session, dialog, key, request, event.peer, now)
        else:
            response = self._core.compose.response(request, 200, tag=dialog.local.tag or "")
            self._core.layer.respond(key, response, now)
            self._core.emit(ProgressAcknowledged(session.id, request))
        self._callee.go_on(session, now)

    def session_timeout(self, session: Session, timer: SessionTimer, now: float) -> None:
        if timer is SessionTimer.FORGET:
            self._core.forget(session)
        elif timer is SessionTimer.CANCEL:
            self._caller.cancel_timed_out(session, now)
        elif timer in (SessionTimer.REFRESH, SessionTimer.LAPSE):
            self._refreshing.handle_timeout(session, timer, now)
        else:
            self._callee.handle_timeout(session, timer, now)
