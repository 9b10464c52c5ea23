"""Requests besides INVITE, ACK, CANCEL and BYE, both ways: in a session or on their own."""

from dataclasses import dataclass

from sidestream.sip.agent.compose import TARGET_METHODS, Fields
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import EndCause, RequestAnswered, RequestReceived
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.session import Exchange, Phase, Session
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.message import Request, Response
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Peer


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A peer's request that the application is to answer by `deadline`."""

    key: str
    request: Request
    session: Session | None
    tag: str
    deadline: float


class Requests:
    """Owner of the exchanges of `Agent.request`, and keeper of what waits for `Agent.answer`."""

    def __init__(self, core: Core, exchanges: Exchanges, ending: Ending) -> None:
        self._core = core
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
        if dialog is not None and request.method in TARGET_METHODS:
            dialog.refresh(request)
        self._drop_late(now)
        name = self._core.token()
        self._waiting[name] = _Waiting(key, request, session, tag, now + self._core.config.timers.patience)
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
        # RFC 3311 §5.1: the 2xx to an UPDATE has a Contact, as the UPDATE has.
        refreshes = waiting.session is not None and waiting.request.method in TARGET_METHODS and status < 300
        response = self._core.compose.response(
            waiting.request,
            status,
            tag=waiting.tag,
            reason=reason,
            contact=self._core.contact(waiting.session) if refreshes and waiting.session is not None else None,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        self._core.layer.respond(waiting.key, response, now)

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        session = exchange.session
        if response.status < 200:
            return
        if session is not None:
            session.requests.pop(exchange.name, None)
            dialog = session.current_dialog
            if exchange.request.method in TARGET_METHODS and response.status < 300 and dialog is not None:
                dialog.refresh(response)
        self._core.emit(RequestAnswered(exchange.name, session.id if session is not None else None, response))
        # RFC 3261 §12.2.1.2: these two say that the dialog is gone.
        if session is not None and response.status in (481, 408):
            self._lost(session, now)

    def failed(self, exchange: Exchange, cause: Failure, now: float) -> None:
        session = exchange.session
        if session is not None:
            session.requests.pop(exchange.name, None)
        self._core.emit(RequestAnswered(exchange.name, session.id if session is not None else None, None))
        if session is not None:
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
