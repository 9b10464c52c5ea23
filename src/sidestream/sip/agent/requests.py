"""Requests besides INVITE, ACK, CANCEL and BYE, both ways: in a session or on their own."""

from dataclasses import dataclass

from sidestream.sip.agent.compose import TARGET_METHODS, Fields
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import description
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import EndCause, RequestAnswered, RequestReceived
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.offers import is_ours_open, is_theirs_open
from sidestream.sip.agent.session import Exchange, Phase, Session
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.message import Request, Response
from sidestream.sip.session_timer import SessionInterval
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Peer

_OFFER_METHODS = frozenset({"UPDATE", "PRACK"})  # besides INVITE


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A peer's request that the application is to answer by `deadline`."""

    key: str
    request: Request
    session: Session | None
    tag: str
    deadline: float
    name: str = ""


class Requests:
    """Owner of the exchanges of `Agent.request`, and keeper of what waits for `Agent.answer`."""

    def __init__(self, core: Core, exchanges: Exchanges, ending: Ending, clock: SessionClock) -> None:
        self._core = core
        self._clock = clock
        self._exchanges = exchanges
        self._ending = ending
        self._waiting: dict[str, _Waiting] = {}  # in the order of their deadlines

    def send(self, exchange: Exchange, now: float) -> str:
        """Send a request; its answer will name the returned id."""
        exchange.name = self._core.token()
        if exchange.session is not None:
            exchange.session.requests[exchange.name] = exchange
        self._exchanges.start(exchange, now)
        return exchange.name

    def receive(
        self, session: Session | None, dialog: Dialog | None, key: str, request: Request, peer: Peer, now: float
    ) -> None:
        """A request that passed screening; in a dialog its number is in order."""
        if session is not None and session.phase is Phase.ENDED:
            self._core.refuse(key, request, 481, now)
            return
        tag = dialog.local.tag or "" if dialog is not None else self._core.token()
        if request.method == "OPTIONS":
            # RFC 3261 §11.2: what an INVITE would be told about us.
            self._core.layer.respond(key, self._core.compose.response(request, 200, tag=tag), now)
            return
        self._drop_late(now)
        is_offer = request.method in _OFFER_METHODS and bool(description(request))
        if session is not None and dialog is not None and request.method in TARGET_METHODS:
            if self._refuse_crossing(session, key, request, now, is_offer=is_offer):
                return
            dialog.refresh(request)
            session.learn(request)
            if not request.body:
                # RFC 4028 §7.4: an UPDATE that only refreshes the session and the target.
                self._respond(_Waiting(key, request, session, tag, now), 200, now)
                return
        name = self._core.token()
        if session is not None and is_offer:
            session.asked += (name,)
        self._waiting[name] = _Waiting(key, request, session, tag, now + self._core.config.timers.patience, name)
        self._core.emit(RequestReceived(name, session.id if session is not None else None, request, peer))

    def answer(
        self,
        name: str,
        status: int,
        now: float,
        *,
        reason: str | None,
        headers: Fields,
        body: bytes,
        content_type: str | None,
    ) -> None:
        self._drop_late(now)
        waiting = self._waiting.pop(name, None)
        if waiting is None:
            raise UnknownRequest(name)
        self._respond(waiting, status, now, reason=reason, headers=headers, body=body, content_type=content_type)

    def _respond(
        self,
        waiting: _Waiting,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        request, session = waiting.request, waiting.session
        contact: str | None = None
        own: Fields = ()
        interval: SessionInterval | None = None
        refreshes = session is not None and request.method in TARGET_METHODS and status < 300
        if session is not None and refreshes:
            # RFC 3311 §5.1: the 2xx to an UPDATE has a Contact, as the UPDATE has.
            contact = self._core.contact(session)
            interval, own = self._clock.answer(request)
        response = self._core.compose.response(
            request,
            status,
            tag=waiting.tag,
            reason=reason,
            contact=contact,
            headers=headers,
            body=body,
            content_type=content_type,
            own=own,
        )
        self._core.layer.respond(waiting.key, response, now)
        if session is None:
            return
        session.note_answered(waiting.name)
        if status < 300 and request.method in _OFFER_METHODS:
            session.agree(sent=description(response), heard=description(request))
        if refreshes and session.phase is Phase.ESTABLISHED:
            self._clock.start(session, interval, now)

    def _refuse_crossing(self, session: Session, key: str, request: Request, now: float, *, is_offer: bool) -> bool:
        """RFC 3311 §5.2: refuse an UPDATE that comes before the answer to another offer."""
        if is_offer and is_ours_open(session):
            self._core.refuse(key, request, 491, now)
            return True
        if session.asked or (is_offer and is_theirs_open(session)):
            self._core.refuse(key, request, 500, now, [self._core.retry_after()])
            return True
        return False

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        session = exchange.session
        if response.status < 200:
            return
        if session is not None:
            session.requests.pop(exchange.name, None)
            self._update_answered(session, exchange, response, now)
        # RFC 3311 §5.3: after a 491 wait like after one to a re-INVITE.
        retry_in = self._core.glare_wait(session) if session is not None and response.status == 491 else None
        self._core.emit(RequestAnswered(exchange.name, session.id if session is not None else None, response, retry_in))
        # RFC 3261 §12.2.1.2: these two say that the dialog is gone; to a NOTIFY only that the subscription is, RFC 5057
        # §5.1.
        if session is not None and response.status in (481, 408) and exchange.request.method != "NOTIFY":
            self._lost(session, now)

    def _update_answered(self, session: Session, exchange: Exchange, response: Response, now: float) -> None:
        dialog = session.current_dialog
        if exchange.request.method not in TARGET_METHODS or response.status >= 300 or dialog is None:
            return
        dialog.refresh(response)
        session.learn(response)
        session.agree(sent=description(exchange.request), heard=description(response))
        if session.phase is Phase.ESTABLISHED:
            self._clock.accepted(session, exchange.request, response, now)

    def failed(self, exchange: Exchange, cause: Failure, now: float) -> None:
        session = exchange.session
        if session is not None:
            session.requests.pop(exchange.name, None)
        self._core.emit(RequestAnswered(exchange.name, session.id if session is not None else None, None))
        if session is not None and exchange.request.method != "NOTIFY":
            self._lost(session, now)

    def _lost(self, session: Session, now: float) -> None:
        if session.phase is Phase.ESTABLISHED:
            self._ending.hang_up(session, EndCause.LOST, now)

    def _drop_late(self, now: float) -> None:
        """Forget what nobody answered in time; the transaction has done so too."""
        while self._waiting:
            name, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                return
            del self._waiting[name]
            if waiting.session is not None:
                waiting.session.note_answered(name)
