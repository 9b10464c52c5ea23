"""Ending a session: BYE both ways (RFC 3261 §15)."""

from sidestream.sip.agent.compose import Fields
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import description
from sidestream.sip.agent.events import ByeReceived, EndCause
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.session import Accepted, Exchange, Incoming, Phase, SentAck, Session
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.message import Request, Response
from sidestream.sip.transaction.machine import Failure


class Ending:
    """Sends and takes BYE, and sends the ACKs that have to come first."""

    def __init__(self, core: Core, exchanges: Exchanges) -> None:
        self._core = core
        self._exchanges = exchanges

    def hang_up(
        self,
        session: Session,
        cause: EndCause,
        now: float,
        *,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Send BYE in the session's dialog and end the session with `cause`."""
        core, dialog = self._core, session.dialog
        assert dialog is not None
        if session.accepted is not None:
            self.acknowledge(session, session.accepted)
        if session.incoming is not None:
            # RFC 3261 §15.1.2 has the receiver of a BYE answer 487 to what is pending; so does its sender here.
            self._refuse_pending(session, session.incoming, dialog, now)
        self.send_bye(session, dialog, now, headers=headers, body=body, content_type=content_type)
        core.end(session, cause, now)

    def send_bye(
        self,
        session: Session,
        dialog: Dialog,
        now: float,
        *,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Send BYE in `dialog`, which may be one that the application has never seen (a second fork)."""
        request = self._core.compose.in_dialog(
            "BYE", dialog, dialog.next_seq(), headers=headers, body=body, content_type=content_type
        )
        hops = self._core.hops(session, dialog)
        self._exchanges.start(Exchange(request, hops, self, session, session.digest, dialog.next_seq), now)

    def acknowledge(
        self, session: Session, accepted: Accepted, body: bytes = b"", content_type: str | None = None
    ) -> None:
        """Send the ACK of a 2xx, and keep it for the copies of that 2xx."""
        dialog = accepted.dialog
        request = self._core.compose.in_dialog("ACK", dialog, accepted.seq, body=body, content_type=content_type)
        for name, value in accepted.authorization:
            request.headers.add(name, value)
        ack = SentAck(request, dialog)
        session.acks[(accepted.seq, dialog.remote.tag or "")] = ack
        if session.accepted is accepted:
            session.accepted = None
            session.agree(sent=description(request))
        self._exchanges.send_ack(session, ack)

    def receive_bye(self, session: Session, key: str, request: Request, now: float) -> None:
        """The peer hangs up, in whatever phase (RFC 3261 §15.1.2)."""
        core, dialog = self._core, session.current_dialog
        assert dialog is not None
        core.layer.respond(key, core.compose.response(request, 200, tag=dialog.local.tag or ""), now)
        if session.phase is Phase.ENDED:
            return  # two BYEs have crossed
        if session.incoming is not None:
            self._refuse_pending(session, session.incoming, dialog, now)
        core.emit(ByeReceived(session.id, request))
        core.end(session, EndCause.REMOTE_BYE, now)

    def _refuse_pending(self, session: Session, pending: Incoming, dialog: Dialog, now: float) -> None:
        self._core.settle(session)
        response = self._core.compose.response(pending.request, 487, tag=dialog.local.tag or "")
        self._core.layer.respond(pending.key, response, now)

    def answered(self, exchange: Exchange, response: Response, now: float) -> None:
        """The peer's answer to a BYE changes nothing: the session ended when it was sent (RFC 3261 §15.1.1)."""

    def failed(self, exchange: Exchange, cause: Failure, now: float) -> None:
        """Nor does its silence."""
