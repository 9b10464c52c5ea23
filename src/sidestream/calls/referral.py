"""The REFERs of one leg's peer: their answers, and the subscription that each makes (RFC 3515)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidestream.calls.events import Referred
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request
from sidestream.sip.refer import SIPFRAG_TYPE, refer_to, sipfrag
from sidestream.wire.driver import SipDriver

REFER_EXPIRES_S = 90  # what NOTIFY says; longer than anybody may ring

_DECLINED = 603


@dataclass(slots=True)
class _Refer:
    """A REFER: the request while it waits for its answer, then the subscription that came of it."""

    request_id: str | None
    event: str  # value of the Event field of its NOTIFYs
    is_silent: bool  # RFC 4488: the peer wants no NOTIFYs


class Referral:
    """One REFER at a time; another one that comes meanwhile is declined."""

    def __init__(self, driver: SipDriver) -> None:
        self._driver = driver
        self._current: _Refer | None = None
        self._was_referred = False

    def receive(self, request_id: str, request: Request) -> Referred | None:
        """What the peer asks for, to be answered by `answer`; None if it was refused here."""
        # RFC 3515 §2.4.6: the id tells a second subscription of the dialog from the first.
        event = "refer" if not self._was_referred else f"refer;id={request.cseq.number}"
        try:
            wanted = refer_to(request)
        except MessageError as error:
            self.refuse(request_id, error.status)
            return None
        if self._current is not None:
            self.refuse(request_id, _DECLINED)
            return None
        self._was_referred = True
        self._current = _Refer(request_id, event, (request.headers.get("Refer-Sub") or "").lower() == "false")
        return Referred(wanted.uri, wanted.replaces, request.headers.get("Referred-By"))

    def refuse(self, request_id: str, status: int = _DECLINED) -> None:
        """Refuse a REFER that is not the one that waits."""
        with self._driver.turn() as (agent, now):
            agent.answer(request_id, status, now=now)

    def answer(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Take (202) or refuse the REFER that waits; once taken, `tell` tells how it goes."""
        refer = self._current
        if refer is None or refer.request_id is None:
            return
        request_id, refer.request_id = refer.request_id, None
        if status >= 300:
            self._current = None
        elif refer.is_silent:
            headers = [*headers, ("Refer-Sub", "false")]
        with self._driver.turn() as (agent, now):
            agent.answer(request_id, status, headers=headers, now=now)

    def tell(self, session: str | None, status: int) -> None:
        """Tell who sent the REFER what the newcomer answered; a final status is the last that it hears.

        `session` None: the peer has left, and hears nothing.
        """
        refer = self._current
        if status >= 200:
            self._current = None
        if refer is None or refer.is_silent or session is None:
            return
        # RFC 3515 §2.4.7
        state = "terminated;reason=noresource" if status >= 200 else f"active;expires={REFER_EXPIRES_S}"
        with self._driver.turn() as (agent, now):
            agent.request(
                session,
                "NOTIFY",
                headers=[("Event", refer.event), ("Subscription-State", state)],
                body=sipfrag(status),
                content_type=SIPFRAG_TYPE,
                now=now,
            )
