"""The offers under way in an established session: ours, and the peer's (RFC 3261 §14, RFC 3311)."""

import asyncio
from dataclasses import dataclass

from sidestream.base.logs import get_logger
from sidestream.calls.descriptions import SDP_TYPE, body_of
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.wire.driver import SipDriver

log = get_logger("calls")

OFFER_TIMEOUT_S = 33.0  # a re-INVITE has its final response by timer B (32 s), or the agent ends the session
BUSY_WAIT_S = 1.0  # how long another exchange of ours, such as a refresh, mostly takes at most

_REQUEST_TIMEOUT = 408
_REQUEST_PENDING = 491


class OfferRefused(Exception):
    """The peer did not take our offer; the session goes on as it was. `status` is its answer.

    `retry_in`: seconds after which the same offer may be taken (RFC 3261 §14.1); None if that is up to the peer.
    """

    def __init__(self, status: int, retry_in: float | None = None) -> None:
        super().__init__(status, retry_in)
        self.status = status
        self.retry_in = retry_in

    def __str__(self) -> str:
        return f"offer refused with {self.status}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The peer's offer that waits for our answer: a re-INVITE, or the UPDATE or PRACK with this request id."""

    update_id: str | None = None


class Negotiation:
    """At most one offer each way. `call_sid` names the leg in logs."""

    def __init__(self, driver: SipDriver, call_sid: str) -> None:
        self._driver = driver
        self._call_sid = call_sid
        self._asked: _Asked | None = None
        self._result: asyncio.Future[SessionDescription] | None = None

    async def offer(self, session: str, sdp: SessionDescription) -> SessionDescription:
        """Send a re-INVITE and return the peer's answer. Raises OfferRefused, with 491 while another one is pending."""
        # An offer of the peer waits for us, perhaps for this very one: who waits for the other must not be told to.
        busy_wait = BUSY_WAIT_S if self._asked is None else None
        if self._result is not None:
            raise OfferRefused(_REQUEST_PENDING)
        result: asyncio.Future[SessionDescription] = asyncio.get_running_loop().create_future()
        with self._driver.turn() as (agent, now):
            if not agent.may_reinvite(session):
                raise OfferRefused(_REQUEST_PENDING, busy_wait)
            self._result = result
            agent.reinvite(session, body=sdp.to_bytes(), content_type=SDP_TYPE, now=now)
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                return await result
        except TimeoutError:
            raise OfferRefused(_REQUEST_TIMEOUT) from None
        finally:
            self._result = None

    def settle(self, outcome: SessionDescription | OfferRefused) -> None:
        """Our offer has its answer; nothing, if there is no offer of ours."""
        if self._result is None or self._result.done():
            return
        if isinstance(outcome, OfferRefused):
            self._result.set_exception(outcome)
        else:
            self._result.set_result(outcome)

    def asked(self, update_id: str | None = None) -> None:
        """The peer has made an offer: by a re-INVITE, or by the request of that id."""
        self._asked = _Asked(update_id)

    def withdrawn(self) -> None:
        """The peer has cancelled its re-INVITE, which the agent has answered."""
        self._asked = None

    def answer(self, session: str | None, status: int, sdp: SessionDescription | None = None) -> None:
        """Answer the peer's offer, once; `session` None: it is over, so nobody waits."""
        asked, self._asked = self._asked, None
        if session is None or asked is None:
            return
        body, content_type = body_of(sdp)
        with self._driver.turn() as (agent, now):
            if asked.update_id is None:
                agent.respond(session, status, body=body, content_type=content_type, now=now)
                return
            try:
                agent.answer(asked.update_id, status, body=body, content_type=content_type, now=now)
            except UnknownRequest:
                log.info("! UPDATE answered too late", call=self._call_sid)
