"""Keeping sessions alive (RFC 4028 §10): our refreshes by UPDATE or re-INVITE, and the end of those that lapsed."""

from sidestream.sip.agent.caller import Caller
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import SDP_TYPE
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.events import EndCause
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.offers import is_free
from sidestream.sip.agent.session import Exchange, Phase, Session, SessionTimer
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.message import Response
from sidestream.sip.transaction.machine import Failure

BUSY_WAIT = 5.0  # seconds until a refresh that met another exchange is tried again; that one may well be a refresh
_NO_SUCH_METHOD = (405, 501)


class Refreshing:
    """Owner of UPDATEs that only refresh; re-INVITEs that do are run by the `Caller`. The application sees neither."""

    def __init__(self, core: Core, exchanges: Exchanges, ending: Ending, caller: Caller, clock: SessionClock) -> None:
        self._core = core
        self._exchanges = exchanges
        self._ending = ending
        self._caller = caller
        self._clock = clock

    def handle_timeout(self, session: Session, timer: SessionTimer, now: float) -> None:
        """The session's own two timers."""
        if timer is SessionTimer.LAPSE:
            self._ending.hang_up(session, EndCause.LAPSED, now)
        elif is_free(session):
            self._refresh(session, now)
        else:
            self._clock.put_off(session, BUSY_WAIT, now)

    def _refresh(self, session: Session, now: float) -> None:
        core, dialog = self._core, session.dialog
        assert dialog is not None
        # RFC 4028 §7.4: UPDATE if the peer knows it, without an offer; a re-INVITE with one, its o= line unchanged.
        by_update = "UPDATE" in session.peer_allows or not session.sent_sdp
        request = core.compose.in_dialog(
            "UPDATE" if by_update else "INVITE",
            dialog,
            dialog.next_seq(),
            contact=core.contact(session),
            own=self._clock.fields(session),
            body=b"" if by_update else session.sent_sdp,
            content_type=SDP_TYPE,
        )
        if by_update:
            hops = core.hops(session, dialog)
            self._exchanges.start(Exchange(request, hops, self, session, session.digest, dialog.next_seq), now)
        else:
            self._caller.reinvite(session, request, now, is_refresh=True)

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        session = exchange.session
        assert session is not None
        if response.status < 200 or session.phase is Phase.ENDED:
            return
        if response.status < 300:
            assert session.dialog is not None
            session.dialog.refresh(response)
            session.learn(response)
            self._clock.accepted(session, exchange.request, response, now)
        elif response.status in (481, 408):
            self._ending.hang_up(session, EndCause.LOST, now)
        elif response.status in _NO_SUCH_METHOD and session.sent_sdp:
            session.peer_allows -= {"UPDATE"}
            self._clock.put_off(session, 0.0, now)
        else:
            self._clock.refused(session, now)

    def failed(self, exchange: Exchange, cause: Failure, now: float) -> None:
        session = exchange.session
        assert session is not None
        if session.phase is not Phase.ENDED:
            self._ending.hang_up(session, EndCause.LOST, now)
