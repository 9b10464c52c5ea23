"""One call of a test phone: what its user does, and everything that happened, in order."""

import asyncio
from collections.abc import Callable
from enum import Enum

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    Cancelled,
    EndCause,
    InviteAccepted,
    InviteProgress,
    InviteRejected,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.message import Request, Response
from sidestream.testing.g711 import Samples
from sidestream.testing.phone.media import PhoneMedia
from sidestream.testing.phone.stream import RtpStream
from sidestream.testing.phone.tracks import Transit, transit
from sidestream.wire.driver import SipDriver

SDP_TYPE = "application/sdp"
WAIT_SECONDS = 10.0  # default of every wait: far above what a loopback call needs, below a test's own limit
POLL_SECONDS = 0.02  # one packet: how often waits for audio look


class CallState(Enum):
    NEW = "the INVITE is sent, or has come and is not answered"
    RINGING = "180 or another provisional response was sent or received"
    ANSWERED = "200 was sent or received"
    ENDED = "over"


class CallFailed(Exception):
    """The call ended while something else was waited for. `status` is the final response's, if there was one."""

    def __init__(self, waited_for: str, cause: EndCause | None, status: int | None) -> None:
        super().__init__(waited_for, cause, status)
        self.waited_for = waited_for
        self.cause = cause
        self.status = status

    def __str__(self) -> str:
        return f"the call ended ({self.cause}, status {self.status}) instead of being {self.waited_for}"


class PhoneCall:
    """Made by `SipPhone`. `events` keeps all that the agent told; `request` is the INVITE of an incoming call."""

    def __init__(
        self,
        driver: SipDriver,
        media: PhoneMedia,
        session: str,
        request: Request | None,
        on_ended: Callable[["PhoneCall"], None],
        *,
        offered: bool,
    ) -> None:
        """`offered`: our INVITE carries an offer of `media`."""
        self.session = session
        self.request = request
        self.media = media
        self.state = CallState.NEW
        self.events: list[AgentEvent] = []
        self.responses: list[Response] = []  # to our INVITE, provisional and final
        self.requests: list[Request] = []  # within the call: INFO and the like
        self.cause: EndCause | None = None
        self.status: int | None = None  # of the final response to the INVITE
        self.offers_taken = 0  # re-INVITEs and UPDATEs of the peer that we answered with a description
        self._driver = driver
        self._on_ended = on_ended
        self._changed = asyncio.Event()
        self._reinvite: bool | None = None  # the outcome of our last one; None while it is open
        self._retry_in: float | None = None  # s; it met one of the peer
        self._offered = offered  # a description of ours awaits its answer

    # What its user does

    def ring(self, status: int = 180) -> None:
        """Answer an incoming call provisionally, without a description."""
        with self._driver.turn() as (agent, now):
            agent.respond(self.session, status, now=now)
        self._reach(CallState.RINGING)

    def early_media(self, status: int = 183) -> None:
        """Answer provisionally with a description, and begin to talk. Raises ValueError if the INVITE made no offer."""
        body = self._description()
        if self._offered:
            raise ValueError("the INVITE made no offer, so there is nothing to answer yet")
        with self._driver.turn() as (agent, now):
            agent.respond(self.session, status, now=now, body=body, content_type=SDP_TYPE)
        self._reach(CallState.RINGING)

    def answer(self) -> None:
        """Answer with 200 and begin to talk; an offer that does not fit us is refused with 488."""
        try:
            body = self._description()
        except SdpError:
            self.reject(488)
            return
        with self._driver.turn() as (agent, now):
            agent.respond(self.session, 200, now=now, body=body, content_type=SDP_TYPE)
        self.status = 200
        self._reach(CallState.ANSWERED)

    def reject(self, status: int = 486) -> None:
        self.status = status
        with self._driver.turn() as (agent, now):
            agent.respond(self.session, status, now=now)

    def cancel(self) -> None:
        """Give up our own call before it is answered."""
        with self._driver.turn() as (agent, now):
            agent.cancel(self.session, now=now)

    def bye(self) -> None:
        """Hang up, whatever the state."""
        with self._driver.turn() as (agent, now):
            agent.bye(self.session, now=now)

    async def hold(self, direction: Direction = Direction.SENDONLY) -> None:
        """Put the peer on hold by re-INVITE; raises `CallFailed` when that is refused."""
        await self._redirect(direction)

    async def resume(self) -> None:
        """End the hold."""
        await self._redirect(Direction.SENDRECV)

    def send_dtmf(self, digits: str) -> None:
        """Press digits: telephone-events of 100 ms with 100 ms between them. ValueError for characters that are none.

        They are sent only if the peer's description has telephone-event, and while we may send.
        """
        self.media.stream.press(digits)

    # What a test waits for

    async def ringing(self, timeout: float = WAIT_SECONDS) -> None:
        """Our call rings (or more). Raises `CallFailed` or TimeoutError, as all waits do."""
        await self._until(lambda: self.state in (CallState.RINGING, CallState.ANSWERED), timeout, "ringing")

    async def answered(self, timeout: float = WAIT_SECONDS) -> None:
        await self._until(lambda: self.state is CallState.ANSWERED, timeout, "answered")

    async def acknowledged(self, timeout: float = WAIT_SECONDS) -> None:
        """The peer acknowledged our 200."""
        await self._until(lambda: any(isinstance(one, AckReceived) for one in self.events), timeout, "acknowledged")

    async def ended(self, timeout: float = WAIT_SECONDS) -> EndCause:
        """The call is over; returns why."""
        await self._until(lambda: self.state is CallState.ENDED, timeout, "ended")
        assert self.cause is not None
        return self.cause

    async def peer_offered(self, count: int, timeout: float = WAIT_SECONDS) -> None:
        """The peer's re-INVITEs and UPDATEs with a description, of which `count` came and were answered."""
        await self._until(lambda: self.offers_taken >= count, timeout, "offered anew")

    async def heard(self, packets: int, timeout: float = WAIT_SECONDS) -> None:
        """At least so many RTP packets arrived since the call began."""
        await self._poll(lambda: len(self.media.stream.received) >= packets, timeout, f"at {packets} packets")

    async def heard_digits(self, digits: str, timeout: float = WAIT_SECONDS) -> None:
        """Exactly these digits have arrived since the call began."""
        await self._poll(lambda: self.media.heard_digits() == digits, timeout, f"at the digits {digits}")

    async def dialled(self, timeout: float = WAIT_SECONDS) -> None:
        """All pressed digits were sent."""
        await self._poll(lambda: not self.media.stream.talker.dialling, timeout, "finished dialling")

    # What a test looks at

    @property
    def stream(self) -> RtpStream:
        return self.media.stream

    def sent_samples(self) -> Samples:
        return self.media.sent_samples()

    def heard_samples(self) -> Samples:
        return self.media.heard_samples()

    def transit_to(self, other: "PhoneCall") -> Transit:
        """How what we sent arrived at another phone of this process."""
        return transit(list(self.stream.sent), list(other.stream.received))

    # What the agent says

    def handle(self, event: AgentEvent) -> None:
        """The sink of this call's session."""
        self.events.append(event)
        match event:
            case InviteProgress(response=response):
                self.responses.append(response)
                self._take_answer(response)
                self._reach(CallState.RINGING)
            case InviteAccepted(response=response):
                self.responses.append(response)
                self.status = response.status
                self._acknowledge(response)
                self._reach(CallState.ANSWERED)
            case InviteRejected(response=response):
                self.responses.append(response)
                self.status = response.status
            case Cancelled():
                self.status = 487
            case AckReceived(request=request):
                if self._offered:
                    self._take_answer(request)
            case ReinviteReceived(request=request):
                self._answer_reinvite(request)
            case ReinviteAccepted(response=response):
                self._acknowledge(response)
                self._reinvite = True
            case ReinviteRejected(retry_in=retry_in):
                self._reinvite = self._offered = False
                self._retry_in = retry_in
            case RequestReceived():
                self._answer_request(event)
            case SessionEnded(cause=cause):
                self.cause = cause
                self._reach(CallState.ENDED)
                self._on_ended(self)
            case _:
                pass
        self._changed.set()

    def _description(self) -> bytes:
        """Our answer to the INVITE's offer, or an offer when it made none. Raises `SdpError` when nothing fits."""
        assert self.request is not None, "only an incoming call is answered"
        if not self.request.body:
            return self._offer()
        if self.media.remote is not None and self.media.local is not None:
            # RFC 3261 §13.2.1: the 200 repeats the answer of the 183
            return self.media.local.to_bytes()
        body = self.media.answer(self.request.body)
        if body is None:
            raise SdpError("no codec of ours is offered", status=488)
        return body

    def _take_answer(self, message: Request | Response) -> None:
        if not self._offered or not message.body:
            return
        try:
            self.media.take_answer(message.body)
        except SdpError:
            # A phone that cannot read the answer hangs up (RFC 3261 §13.2.2.4), once there is a dialog to end.
            if isinstance(message, Request) or message.status >= 200:
                self.bye()
            return
        if isinstance(message, Request) or message.status >= 200:
            self._offered = False

    def _acknowledge(self, response: Response) -> None:
        """ACK a 2xx: with the answer if it brought the offer, else after taking its answer."""
        body: bytes | None = b""
        if self._offered:
            self._take_answer(response)
        elif response.body:
            body = self._take_offer(response)
        if self.state is CallState.ENDED:
            return
        with self._driver.turn() as (agent, now):
            agent.acknowledge(self.session, now=now, body=body or b"", content_type=SDP_TYPE if body else None)
        if body is None:
            self.bye()

    def _answer_reinvite(self, request: Request) -> None:
        body = self._take_offer(request)
        with self._driver.turn() as (agent, now):
            if body is None:
                agent.respond(self.session, 488, now=now)
            else:
                agent.respond(self.session, 200, now=now, body=body, content_type=SDP_TYPE)

    def _answer_request(self, event: RequestReceived) -> None:
        self.requests.append(event.request)
        body: bytes | None = b""
        if event.request.method == "UPDATE" and event.request.body:
            body = self._take_offer(event.request)
        with self._driver.turn() as (agent, now):
            if body is None:
                agent.answer(event.request_id, 488, now=now)
            else:
                agent.answer(event.request_id, 200, now=now, body=body, content_type=SDP_TYPE if body else None)

    def _offer(self) -> bytes:
        self._offered = True
        return self.media.offer()

    def _take_offer(self, message: Request | Response) -> bytes | None:
        """Our answer to the offer in `message`, or None when nothing in it fits us; without one, an offer of ours."""
        if not message.body:
            return self._offer()
        try:
            body = self.media.answer(message.body)
        except SdpError:
            return None
        if body is not None:
            self.offers_taken += 1
        return body

    async def _redirect(self, direction: Direction) -> None:
        self.media.wanted = direction
        while True:
            # The ACK of the peer's own re-INVITE may still be on its way.
            await self._until(self._may_reinvite, WAIT_SECONDS, "free for a re-INVITE")
            self._reinvite = self._retry_in = None
            with self._driver.turn() as (agent, now):
                agent.reinvite(self.session, now=now, body=self._offer(), content_type=SDP_TYPE)
            await self._until(lambda: self._reinvite is not None, WAIT_SECONDS, "answered its re-INVITE")
            if self._reinvite:
                return
            if self._retry_in is None:
                raise CallFailed(f"turned to {direction}", self.cause, self.status)
            # RFC 3261 §14.1: after glare, try again when this time has passed
            await asyncio.sleep(self._retry_in)

    def _may_reinvite(self) -> bool:
        with self._driver.turn() as (agent, _):
            return agent.may_reinvite(self.session)

    def _reach(self, state: CallState) -> None:
        # A 180 can overtake a 200 on UDP.
        if self.state in (CallState.NEW, CallState.RINGING) or state is CallState.ENDED:
            self.state = state
        self._changed.set()

    async def _until(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not reached():
                    if self.state is CallState.ENDED:
                        raise CallFailed(what, self.cause, self.status)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not {what} within {timeout:g} s, but {self.state.name}") from None

    async def _poll(self, reached: Callable[[], bool], timeout: float, what: str) -> None:
        # The audio thread appends without waking the loop: at 50 packets a second, looking is cheaper than telling.
        try:
            async with asyncio.timeout(timeout):
                while not reached():  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            count = len(self.stream.received)
            raise TimeoutError(f"not {what} within {timeout:g} s; {count} packets arrived") from None
