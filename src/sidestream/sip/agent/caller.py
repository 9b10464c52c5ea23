"""The side that sends INVITEs: calling, forks, CANCEL, re-INVITE (RFC 3261 §9.1, §13.2, §14.1)."""

from sidestream.sip.agent.compose import Fields, cancel_of
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import description
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.events import (
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRejected,
    Refreshed,
    ReinviteAccepted,
    ReinviteRejected,
)
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.reliable import Pracks
from sidestream.sip.agent.session import Accepted, Cancel, Exchange, Phase, Session, SessionTimer
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.dialog.dialog import Dialog, uac_dialog
from sidestream.sip.message import Request, Response

# Of one INVITE: early dialogs, and 2xx that are acknowledged. Each holds memory for 32 s or longer, and who was called
# decides how many there are; proxies fork to a handful of phones.
MAX_FORKS = 512


class Caller:
    """Owner of every INVITE exchange of one agent."""

    def __init__(self, core: Core, exchanges: Exchanges, ending: Ending, pracks: Pracks, clock: SessionClock) -> None:
        self._core = core
        self._exchanges = exchanges
        self._ending = ending
        self._pracks = pracks
        self._clock = clock

    def call(self, session: Session, exchange: Exchange, now: float) -> None:
        """Send the first INVITE of a session."""
        session.invite = exchange
        self._exchanges.start(exchange, now)

    def reinvite(self, session: Session, request: Request, now: float, *, is_refresh: bool = False) -> None:
        """Send an INVITE inside the session's dialog; the application hears nothing of one that is a refresh."""
        dialog = session.dialog
        assert dialog is not None
        hops = self._core.hops(session, dialog)
        session.invite = Exchange(request, hops, self, session, session.digest, dialog.next_seq, is_refresh=is_refresh)
        self._exchanges.start(session.invite, now)

    def cancel(self, session: Session, headers: Fields, now: float) -> None:
        """Cancel the first INVITE, now or once a provisional response has come."""
        exchange = session.invite
        assert exchange is not None
        if session.cancel is not Cancel.NONE:
            return
        if exchange.hop is None:
            # Its server is still being looked for, so nobody has heard of it.
            exchange.owner = session.invite = None
            self._core.end(session, EndCause.CANCELLED, now)
            return
        exchange.digest = None  # a challenge that comes now ends the matter
        session.cancel_headers = tuple(headers)
        # RFC 3261 §9.1: no CANCEL before a provisional response, or it might overtake its INVITE.
        if exchange.provisional:
            self._send_cancel(session, exchange, now)
        else:
            session.cancel = Cancel.WAITING

    def cancel_timed_out(self, session: Session, now: float) -> None:
        """RFC 3261 §9.1: 64*T1 after the CANCEL the INVITE counts as cancelled, answered or not."""
        assert session.invite is not None
        self._core.layer.abandon(session.invite.key)
        session.invite = None
        self._core.end(session, EndCause.CANCELLED, now)

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        session = exchange.session
        assert session is not None
        if exchange.request.to.tag is not None:
            self._reinvite_answered(session, exchange, response, now)
        elif response.status < 200:
            self._progress(session, exchange, response, now)
        elif response.status < 300:
            self._accepted(session, exchange, response, now)
        else:
            session.invite = None
            self._core.emit(InviteRejected(session.id, response))
            cancelled = session.cancel is not Cancel.NONE
            self._core.end(session, EndCause.CANCELLED if cancelled else EndCause.REJECTED, now)

    def failed(self, exchange: Exchange, cause: Failure, now: float) -> None:
        session = exchange.session
        assert session is not None
        session.invite = None
        if session.phase is Phase.ENDED:
            return
        if session.dialog is not None:
            # RFC 3261 §12.2.1.2: silence to a request in the dialog ends it.
            if not exchange.is_refresh:
                self._core.emit(ReinviteRejected(session.id, None))
            self._ending.hang_up(session, EndCause.LOST, now)
        elif session.cancel is not Cancel.NONE:
            self._core.end(session, EndCause.CANCELLED, now)
        else:
            self._core.emit(InviteFailed(session.id, cause, exchange.reason))
            self._core.end(session, EndCause.FAILED, now)

    def _progress(self, session: Session, exchange: Exchange, response: Response, now: float) -> None:
        if session.cancel is Cancel.WAITING:
            self._send_cancel(session, exchange, now)
        tag = response.to.tag
        if response.status > 100:
            # RFC 3261 §13.2.2.1: a tag makes an early dialog; each fork has its own.
            if tag is not None:
                if len(session.early) >= MAX_FORKS and tag not in session.early:
                    return
                dialog = self._early(session, exchange, response, tag)
                session.learn(response)
                if not self._pracks.receive(session, exchange, dialog, response, now):
                    return
            self._core.emit(InviteProgress(session.id, response))

    def _early(self, session: Session, exchange: Exchange, response: Response, tag: str) -> Dialog:
        known = session.early.get(tag)
        if known is not None:
            known.refresh(response)
            return known
        dialog = session.early[tag] = uac_dialog(exchange.request, response)
        self._core.bind(session, dialog)
        return dialog

    def _accepted(self, session: Session, exchange: Exchange, response: Response, now: float) -> None:
        tag = response.to.tag or ""
        seq = response.cseq.number
        ack = session.acks.get((seq, tag))
        if ack is not None:
            self._exchanges.send_ack(session, ack)
        elif len(session.acks) >= MAX_FORKS:
            return  # without an ACK that fork ends by itself (RFC 3261 §13.3.1.4)
        elif session.accepted is not None and session.accepted.dialog.remote.tag == response.to.tag:
            return  # a copy of the 2xx that the application is still to acknowledge
        else:
            self._new_dialog(session, exchange, response, tag, now)

    def _new_dialog(self, session: Session, exchange: Exchange, response: Response, tag: str, now: float) -> None:
        """The first 2xx from a fork."""
        dialog = uac_dialog(exchange.request, response)
        early = session.early.pop(tag, None)
        if early is not None:
            # RFC 3261 §13.2.2.4: the route set is computed anew from the 2xx; the numbers go on.
            dialog.local_seq, dialog.remote_seq = max(dialog.local_seq, early.local_seq), early.remote_seq
        accepted = Accepted(dialog, response.cseq.number, _authorization(exchange.request))
        if session.phase is not Phase.CALLING or session.cancel is not Cancel.NONE:
            # RFC 3261 §13.2.2.4, §9.1: nobody wants this fork, or this call any more: ACK, then BYE.
            self._ending.acknowledge(session, accepted)
            self._ending.send_bye(session, dialog, now)
            if session.phase is Phase.CALLING:
                session.invite = None
                self._core.end(session, EndCause.CANCELLED, now)
            return
        for other in session.early.values():
            self._core.unbind(other)
        session.early.clear()
        self._core.bind(session, dialog)
        session.phase, session.dialog, session.accepted, session.invite = Phase.ESTABLISHED, dialog, accepted, None
        self._core.note_callee(session, dialog, exchange.hop)
        if tag not in session.agreed_tags:
            # RFC 3261 §13.2.1: only the first description counts; a reliable 101–199 may have brought it.
            session.agree(sent=description(exchange.request), heard=description(response))
        session.agreed_tags = ()
        session.owed_prack = None
        session.learn(response)
        self._clock.accepted(session, exchange.request, response, now)
        # The 2xx of other forks are still to be acknowledged for half a minute, but the INVITE is not sent again.
        exchange.request.body = b""
        self._core.emit(InviteAccepted(session.id, response))

    def _reinvite_answered(self, session: Session, exchange: Exchange, response: Response, now: float) -> None:
        dialog = session.dialog
        assert dialog is not None
        if response.status < 200:
            return
        if response.status < 300:
            self._reinvite_accepted(session, dialog, exchange, response, now)
            return
        session.invite = None
        if session.phase is Phase.ENDED:
            return
        # RFC 3261 §14.1: after a 491 wait, the owner of the Call-ID longer than the other.
        retry_in = self._core.glare_wait(session) if response.status == 491 else None
        if not exchange.is_refresh:
            self._core.emit(ReinviteRejected(session.id, response, retry_in))
        elif retry_in is not None:
            self._clock.put_off(session, retry_in, now)
        else:
            self._clock.refused(session, now)
        # RFC 3261 §12.2.1.2: 481 and 408 end the dialog.
        if response.status in (481, 408):
            self._ending.hang_up(session, EndCause.LOST, now)

    def _reinvite_accepted(
        self, session: Session, dialog: Dialog, exchange: Exchange, response: Response, now: float
    ) -> None:
        seq = exchange.request.cseq.number
        ack = session.acks.get((seq, dialog.remote.tag or ""))
        if ack is not None:
            self._exchanges.send_ack(session, ack)
            return
        if session.invite is not exchange:
            return  # a copy of the 2xx that the application is still to acknowledge
        session.invite = None
        dialog.refresh(response)
        accepted = Accepted(dialog, seq, _authorization(exchange.request))
        session.acks.clear()
        if session.phase is Phase.ENDED:
            self._ending.acknowledge(session, accepted)
            return
        session.learn(response)
        is_new = session.agree(sent=description(exchange.request), heard=description(response))
        self._clock.accepted(session, exchange.request, response, now)
        if not exchange.is_refresh:
            session.accepted = accepted
            self._core.emit(ReinviteAccepted(session.id, response))
            return
        self._ending.acknowledge(session, accepted)
        if is_new:
            self._core.emit(Refreshed(session.id, response))

    def _send_cancel(self, session: Session, exchange: Exchange, now: float) -> None:
        session.cancel = Cancel.SENT
        hop = exchange.hop
        assert hop is not None
        request = cancel_of(exchange.request, session.cancel_headers)
        self._core.layer.request(
            request,
            request.to_bytes(),
            hop.target,
            hop.listener.name,
            Exchange(request, [], None, session, None, lambda: 0),
            now,
        )
        self._core.timers.set((session.id, SessionTimer.CANCEL), now + self._core.config.timers.patience)


def _authorization(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value) for name in ("Authorization", "Proxy-Authorization") for value in request.headers.get_all(name)
    )
