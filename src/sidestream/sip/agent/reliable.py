"""Provisional responses that arrive (RFC 3262): sending ours until their PRACK comes, and the PRACKs for the peer's."""

from sidestream.sip.agent.core import Core
from sidestream.sip.agent.description import description
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.exchange import Exchanges
from sidestream.sip.agent.session import Exchange, Incoming, OwedPrack, Session, SessionTimer, Unpracked
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.message import Request, Response

OPTION_TAG = "100rel"
LAST_FIRST_RSEQ = 2**31 - 1  # RFC 3262 §3: the first number is drawn from 1 to here


class ReliableProgress:
    """The callee's half: one reliable response on its way at a time, the others wait in `Incoming.queue`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def is_wanted(self, request: Request, response: Response) -> bool:
        """Whether `response` has to go reliably."""
        if OPTION_TAG not in self._core.config.option_tags:
            return False
        # RFC 3262 §3: it must if the caller requires it. If the caller only can, what holds an answer is worth it.
        return OPTION_TAG in request.require or (OPTION_TAG in request.supported and bool(response.body))

    def send(self, session: Session, incoming: Incoming, response: Response, now: float) -> bytes | None:
        """Send `response`, or keep it until the one before is acknowledged: then None."""
        # RFC 3262 §3: no second one before the PRACK of the first.
        if incoming.unpracked is not None:
            incoming.queue.append(response)
            return None
        core, request = self._core, incoming.request
        incoming.rseq = incoming.rseq + 1 if incoming.rseq else core.ids.integer(1, LAST_FIRST_RSEQ)
        response.headers.add("Require", OPTION_TAG)
        response.headers.add("RSeq", str(incoming.rseq))
        data = core.layer.respond(incoming.key, response, now)
        has_description = bool(description(response))
        if has_description and request.body:
            incoming.agreed = True
        elif has_description:
            incoming.offered = True
        timers = core.config.timers
        incoming.unpracked = Unpracked(response.status, data, timers.t1, has_description)
        session.prackable = (incoming.rseq, request.cseq.number)
        core.timers.set((session.id, SessionTimer.REPEAT_RELIABLE), now + timers.t1)
        core.timers.set((session.id, SessionTimer.MISSED_PRACK), now + timers.patience)
        return data

    def repeat(self, session: Session, incoming: Incoming, now: float) -> None:
        """Its PRACK has not come."""
        unpracked = incoming.unpracked
        assert unpracked is not None
        # RFC 3262 §3: T1, doubled each time, without the limit of T2.
        self._core.layer.respond_again(incoming.key, unpracked.status, unpracked.data, now)
        unpracked.interval *= 2
        self._core.timers.set((session.id, SessionTimer.REPEAT_RELIABLE), now + unpracked.interval)

    def is_acknowledged(self, session: Session, prack: Request) -> bool:
        """Whether `prack` means the reliable response that was sent last; repeating it then ends."""
        rack = prack.rack
        if rack is None or session.prackable != (rack[0], rack[1].number) or rack[1].method != "INVITE":
            return False
        session.prackable = None
        self.stop(session)
        incoming = session.incoming
        if incoming is not None and incoming.unpracked is not None:
            incoming.unpracked = None
            if incoming.offered and description(prack):
                # RFC 3262 §5: our offer was in the response, so the answer is here.
                incoming.offered, incoming.agreed = False, True
        return True

    def stop(self, session: Session) -> None:
        self._core.timers.stop((session.id, SessionTimer.REPEAT_RELIABLE))
        self._core.timers.stop((session.id, SessionTimer.MISSED_PRACK))


class Pracks:
    """The caller's half: acknowledges reliable responses in their order."""

    def __init__(self, core: Core, exchanges: Exchanges, ending: Ending) -> None:
        self._core = core
        self._exchanges = exchanges
        self._ending = ending

    def receive(self, session: Session, exchange: Exchange, dialog: Dialog, response: Response, now: float) -> bool:
        """Acknowledge `response` if it is reliable; False if it is a copy, or came before one that is missing."""
        rseq = response.rseq
        if rseq is None or OPTION_TAG not in response.require:
            return True
        tag = dialog.remote.tag or ""
        last = session.rseqs.get(tag)
        # RFC 3262 §4: in order, without a gap; a copy is not acknowledged anew, its PRACK is repeated by itself.
        if last is not None and rseq != last + 1:
            return False
        session.rseqs[tag] = rseq
        owed = OwedPrack(dialog, rseq, response.cseq.number)
        if description(response):
            if not exchange.request.body:
                # RFC 3262 §5: an offer, so the PRACK needs the application's answer.
                session.owed_prack = owed
                return True
            session.agreed_tags += (tag,)
        self.send(session, owed, b"", None, now)
        return True

    def send(self, session: Session, owed: OwedPrack, body: bytes, content_type: str | None, now: float) -> None:
        core, dialog = self._core, owed.dialog
        request = core.compose.in_dialog(
            "PRACK",
            dialog,
            dialog.next_seq(),
            own=[("RAck", f"{owed.rseq} {owed.seq} INVITE")],
            body=body,
            content_type=content_type,
        )
        # Whatever is said to a PRACK changes nothing; `Ending` is an owner that knows as much.
        hops = core.hops(session, dialog)
        self._exchanges.start(Exchange(request, hops, self._ending, session, session.digest, dialog.next_seq), now)
