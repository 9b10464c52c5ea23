"""Two calls that hear each other: carries out what `bridge.decide` says, in signalling and in the engine."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from sidestream.base.flag import Flag
from sidestream.base.logs import get_logger
from sidestream.base.task_set import TaskSet
from sidestream.calls.bridge import (
    REQUEST_PENDING,
    Accept,
    Alert,
    AlertWithMedia,
    Hear,
    Join,
    LegPhase,
    Offer,
    RefuseOffer,
    Release,
    Tell,
    decide,
)
from sidestream.calls.digits import DigitRelay, digit_of
from sidestream.calls.events import Answered, LegEvent, Progress, Ringing, Updated
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.calls.negotiation import OfferRefused
from sidestream.calls.record import CallStatus
from sidestream.media.engine import MediaEngine, MediaEngineError
from sidestream.media.together import together
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

OFFER_ATTEMPTS = 3  # RFC 3261 §14.1: after a 491 the waits of both sides differ, so the second mostly succeeds

_SERVER_ERROR = 500
# Answers of one peer that say nothing about the other's offer, or would end the other's session (RFC 3261 §12.2.1.2).
_NOT_PASSED_ON = frozenset({401, 405, 407, 408, 414, 415, 420, 421, 481, 487, 494})


class Pairing:
    """Joins `first`, whose TwiML dials, and `second`, which it dialled; both live in the engine session of the first.

    `audible` is set once the first hears the second, so that a ringing tone can stop. Of several dialled at once, not
    `alone`, only the one that answers first is joined, and none is heard before.
    """

    def __init__(self, first: "Call", second: "Call", engine: MediaEngine, *, alone: bool) -> None:
        self._first = first
        self._second = second
        self._engine = engine
        self._alone = alone
        self._exchanges = TaskSet()
        self._is_parted = False
        self.audible = Flag()
        self._digits = DigitRelay(first)

    def restore(self) -> None:
        """The two hear each other from before a restart."""
        self._first.pairing = self._second.pairing = self
        self._first.partner, self._second.partner = self._second, self._first
        self.audible.set()

    async def pass_on(self, source: "Call", event: LegEvent) -> None:
        """Do for the other call what `event` of `source` asks for. Trouble ends the source's leg, nothing is raised."""
        other = self._second if source is self._first else self._first
        if not self._alone and isinstance(event, Progress):
            event = Ringing(180, "Ringing")
        if isinstance(event, Progress | Answered) and not self._claim():
            source.hang_up(CallStatus.CANCELED)
            return
        try:
            await self._carry_out(source, other, event)
        except SdpError as error:
            log.info("! unusable description", call=source.record.sid, problem=str(error))
            self._fail(source, NOT_ACCEPTABLE, "Not Acceptable Here")
        except MediaEngineError as error:
            log.error("! media engine refused", call=source.record.sid, problem=str(error))
            self._fail(source, _SERVER_ERROR, "Media Failure")

    def _claim(self) -> bool:
        """Join the first with this second, unless it is joined with another one already, or nobody waits any more."""
        if self._first.pairing is None and not self._is_parted:
            self._first.pairing = self
            self._first.partner = self._second
        return self._first.pairing is self

    def _fail(self, source: "Call", status: int, reason: str) -> None:
        """`source` cannot be joined. If it was the answer of one of several, another one may still be."""
        source.leg.fail(status, reason)
        if source is self._second and source.leg.phase is LegPhase.OVER and self._first.pairing is self:
            self._first.pairing = self._first.partner = None

    async def part(self) -> None:
        """Cut the audio between the two, for good; their legs stay as they are. Raises nothing."""
        self._is_parted = True
        for call in (self._first, self._second):
            call.abort_transfer()
        self._digits.stop()
        exchanges = list(self._exchanges)
        for exchange in exchanges:
            exchange.cancel()
        if exchanges:
            await asyncio.wait(exchanges)
        was_joined = self._first.pairing is self
        calls = (self._first, self._second) if was_joined else (self._second,)
        for call in calls:
            call.pairing = call.partner = None
        if any(call.leg.phase is not LegPhase.OVER for call in (self._first, self._second)):
            for call in calls:
                await self._cut(call)
        if was_joined and self._first.leg.phase is LegPhase.ESTABLISHED:
            self._first.media_changed()

    async def _cut(self, call: "Call") -> None:
        media = call.leg.media
        if media.ports is None:
            return
        try:
            await self._engine.set_route(media.session, media.endpoint, None)
        except MediaEngineError as error:
            log.error("! route not cut", call=call.record.sid, problem=str(error))

    async def _carry_out(self, source: "Call", other: "Call", event: LegEvent) -> None:
        if isinstance(event, Updated) and event.sdp is not None and source.leg.phase is not LegPhase.ESTABLISHED:
            await self._answer_early(source, other, event.sdp)
            return
        match decide(event, other.leg.phase):
            case Alert(status, reason):
                other.alert(status, reason)
            case AlertWithMedia(status, reason) if other.leg.remote_offer is None:
                # RFC 3261 §13.2.1: the offer that this caller waits for must come reliably, so in the 200.
                other.alert(status, reason)
            case AlertWithMedia(_, _, sdp):
                await source.leg.media.apply(sdp)
                # RFC 3960 §3: media before the answer is announced by 183, whatever the callee's phone called it.
                other.alert(183, "Session Progress", await self._answer_for(other, sdp))
                await self._route(source, other)
                self._media_changed()
            case Accept(sdp):
                # A 200 should repeat the answer of the 183 before it (RFC 3261 §13.2.1); not every phone does.
                sdp = sdp or source.leg.media.remote
                if sdp is None:
                    raise SdpError("the answer has no description", status=NOT_ACCEPTABLE)
                await source.leg.media.apply(sdp)
                answer = await self._answer_for(other, sdp)
                if not self._is_parted:  # it may have been, during either of these
                    other.accept(answer)
                    await self._join()
            case Hear():
                await self._take_answer(source, event)
                await self._route(source, other)
                self._heard(source)
                self._media_changed()
            case Join():
                await self._take_answer(source, event)
                await self._join()
            case Offer(sdp):
                self._exchanges.start(self._pass_offer(source, other, sdp))
            case RefuseOffer(status):
                source.leg.refuse_offer(status)
            case Tell(content_type, body):
                self._tell(source, other, content_type, body)
            case Release() | None:
                pass

    def _tell(self, source: "Call", other: "Call", content_type: str, body: bytes) -> None:
        """Pass an INFO on; a key in it goes as an event if that is how the other side, and only it, wants keys."""
        digit = digit_of(content_type, body)
        if digit is not None:
            source.pressed(digit)
        if digit is None or source.leg.media.takes_events or not other.leg.media.takes_events:
            other.leg.tell(content_type, body)
        else:
            self._digits.send(other, digit)

    def key_pressed(self, endpoint: str, digit: str) -> None:
        """A telephone event of one side has ended; the engine relays it unless the other side takes none."""
        for source, other in ((self._first, self._second), (self._second, self._first)):
            agreed = other.leg.media.is_agreed and not other.leg.media.takes_events
            if source.leg.media.endpoint == endpoint and agreed and self.audible.is_set():
                self._digits.send(other, digit)

    async def _answer_for(self, other: "Call", sdp: SessionDescription) -> SessionDescription:
        """What answers the other's waiting INVITE: this description if it made an offer, else an offer of ours."""
        offered = other.leg.remote_offer
        if offered is None:
            return await other.leg.media.describe_relayed(sdp, answers=None)
        answer = await other.leg.media.describe_relayed(sdp, answers=offered)
        await other.leg.media.apply(offered)
        return answer

    async def _answer_early(self, source: "Call", other: "Call", sdp: SessionDescription) -> None:
        """A new offer before the call is answered: the other side need not know, its description answers as before."""
        media, theirs = source.leg.media, other.leg.media.remote or other.leg.remote_offer
        before = media.local
        try:
            if theirs is None:
                answer = await media.describe_answer(sdp)
            else:
                answer = await media.describe_relayed(theirs, answers=sdp)
            await media.apply(sdp)
        except (SdpError, MediaEngineError) as error:
            media.local = before
            log.info("! early offer not taken", call=source.record.sid, problem=str(error))
            source.leg.refuse_offer(NOT_ACCEPTABLE)
            return
        source.leg.answer_offer(answer)
        self._media_changed()

    async def _take_answer(self, source: "Call", event: LegEvent) -> None:
        sdp: SessionDescription | None = getattr(event, "sdp", None)
        if sdp is not None:
            await source.leg.media.apply(sdp)
        elif not source.leg.media.is_agreed:
            raise SdpError("the answer has no description", status=NOT_ACCEPTABLE)

    async def _join(self) -> None:
        if not self._is_parted:
            await together(self._relay(self._first, self._second), self._relay(self._second, self._first))
        self.audible.set()
        self._media_changed()

    async def _route(self, source: "Call", sink: "Call") -> None:
        if not self._is_parted:
            await self._relay(source, sink)

    def _relay(self, source: "Call", sink: "Call") -> Awaitable[None]:
        return self._engine.set_route(source.leg.media.session, source.leg.media.endpoint, sink.leg.media.endpoint)

    def _heard(self, source: "Call") -> None:
        if source is self._second:
            self.audible.set()

    def _media_changed(self) -> None:
        self._first.media_changed()
        self._second.media_changed()

    async def _offer(self, other: "Call", sdp: SessionDescription) -> SessionDescription:
        """Offer `sdp` to the other; one that has met another offer is tried again. Raises OfferRefused."""
        before = other.leg.media.local
        for _ in range(OFFER_ATTEMPTS - 1):
            try:
                return await other.leg.offer(await other.leg.media.describe_relayed(sdp, answers=None))
            except OfferRefused as refused:
                if refused.retry_in is None:
                    raise
                other.leg.media.local = before
                await asyncio.sleep(refused.retry_in)
        return await other.leg.offer(await other.leg.media.describe_relayed(sdp, answers=None))

    async def renew(self, source: "Call") -> None:
        """Tell the other side what `source`, whose leg is a new one, has agreed on. Raises OfferRefused, SdpError."""
        other = self._second if source is self._first else self._first
        sdp, before = source.leg.media.remote, other.leg.media.local
        if sdp is None or self._is_parted:
            return
        try:
            await other.leg.media.apply(await self._offer(other, sdp))
        except OfferRefused:
            other.leg.media.local = before
            raise

    async def _pass_offer(self, source: "Call", other: "Call", sdp: SessionDescription | None) -> None:
        """A re-INVITE of one side, offered to the other; its answer goes back. The session of both survives a no."""
        try:
            await self._exchange(source, other, sdp)
        except asyncio.CancelledError:
            # The two are parted: without an answer the asking side could never make an offer again.
            source.leg.refuse_offer(REQUEST_PENDING)
            raise
        except Exception as error:
            # The driver's catch-all of this task: a defect of ours ends the call that asked.
            source.break_off(error)

    async def _exchange(self, source: "Call", other: "Call", sdp: SessionDescription | None) -> None:
        media = source.leg.media
        if sdp is None:
            # RFC 3261 §14.1: an offerless re-INVITE asks for our offer; the answer comes in the ACK, as Answered.
            if media.local is None:
                source.leg.refuse_offer(REQUEST_PENDING)
            else:
                source.leg.answer_offer(media.local)
            return
        before = other.leg.media.local
        try:
            answer = await self._offer(other, sdp)
            await other.leg.media.apply(answer)
            back = await media.describe_relayed(answer, answers=sdp)
            await media.apply(sdp)
            source.leg.answer_offer(back)
        except OfferRefused as refused:
            other.leg.media.local = before
            is_telling = refused.status >= 400 and refused.status not in _NOT_PASSED_ON
            source.leg.refuse_offer(refused.status if is_telling else REQUEST_PENDING)
        except (SdpError, MediaEngineError) as error:
            other.leg.media.local = before
            log.info("! re-INVITE not passed on", call=source.record.sid, problem=str(error))
            source.leg.refuse_offer(NOT_ACCEPTABLE)
        else:
            if source.leg.phase is LegPhase.ESTABLISHED:
                self._media_changed()
