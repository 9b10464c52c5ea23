"""Two calls that hear each other: carries out what `bridge.decide` says, in signalling and in the engine."""

import asyncio
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
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
from sidestream.calls.events import Answered, LegEvent, Progress, Ringing
from sidestream.calls.leg import OfferRefused
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.media.engine import MediaEngine, MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

_SERVER_ERROR = 500


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
        self._exchange: asyncio.Task[None] | None = None
        self.audible = asyncio.Event()

    async def pass_on(self, source: "Call", event: LegEvent) -> None:
        """Do for the other call what `event` of `source` asks for. Trouble ends the source's leg, nothing is raised."""
        other = self._second if source is self._first else self._first
        if not self._alone and isinstance(event, Progress):
            event = Ringing(180, "Ringing")
        if isinstance(event, Progress | Answered) and not self._claim():
            source.hang_up()
            return
        try:
            await self._carry_out(source, other, event)
        except SdpError as error:
            log.info("! unusable description", call=source.record.sid, problem=str(error))
            source.leg.fail(NOT_ACCEPTABLE, "Not Acceptable Here")
        except MediaEngineError as error:
            log.error("! media engine refused", call=source.record.sid, problem=str(error))
            source.leg.fail(_SERVER_ERROR, "Media Failure")

    def _claim(self) -> bool:
        """Join the first with this second, unless it is joined with another one already."""
        if self._first.pairing is None:
            self._first.pairing = self
            self._first.partner = self._second
        return self._first.pairing is self

    async def part(self) -> None:
        """Cut the audio between the two; their legs stay as they are."""
        if self._exchange is not None:
            self._exchange.cancel()
        for call in (self._first, self._second):
            call.pairing = None
            call.partner = None
            if call.leg.media.ports is not None:
                await self._engine.set_route(call.leg.media.session, call.leg.media.endpoint, None)

    async def _carry_out(self, source: "Call", other: "Call", event: LegEvent) -> None:
        match decide(event, other.leg.phase):
            case Alert(status, reason):
                other.alert(status, reason)
            case AlertWithMedia(_, _, sdp):
                await source.leg.media.apply(sdp)
                # RFC 3960 §3: media before the answer is announced by 183, whatever the callee's phone called it.
                other.alert(183, "Session Progress", await self._answer_for(other, sdp))
                await self._route(source, other)
                self._media_changed()
            case Accept(sdp):
                if sdp is None:
                    raise SdpError("the answer has no description", status=NOT_ACCEPTABLE)
                await source.leg.media.apply(sdp)
                other.accept(await self._answer_for(other, sdp))
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
                self._exchange = asyncio.create_task(self._pass_offer(source, other, sdp))
            case RefuseOffer(status):
                source.leg.refuse_offer(status)
            case Tell(content_type, body):
                other.leg.tell(content_type, body)
            case Release() | None:
                pass

    async def _answer_for(self, other: "Call", sdp: SessionDescription) -> SessionDescription:
        """What answers the other's waiting INVITE: this description if it made an offer, else an offer of ours."""
        offered = other.leg.remote_offer
        if offered is None:
            return await other.leg.media.describe_relayed(sdp, answers=None)
        answer = await other.leg.media.describe_relayed(sdp, answers=offered)
        await other.leg.media.apply(offered)
        return answer

    async def _take_answer(self, source: "Call", event: LegEvent) -> None:
        sdp: SessionDescription | None = getattr(event, "sdp", None)
        if sdp is not None:
            await source.leg.media.apply(sdp)
        elif not source.leg.media.is_agreed:
            raise SdpError("the answer has no description", status=NOT_ACCEPTABLE)

    async def _join(self) -> None:
        await self._route(self._first, self._second)
        await self._route(self._second, self._first)
        self.audible.set()
        self._media_changed()

    async def _route(self, source: "Call", sink: "Call") -> None:
        await self._engine.set_route(source.leg.media.session, source.leg.media.endpoint, sink.leg.media.endpoint)

    def _heard(self, source: "Call") -> None:
        if source is self._second:
            self.audible.set()

    def _media_changed(self) -> None:
        self._first.media_changed()
        self._second.media_changed()

    async def _pass_offer(self, source: "Call", other: "Call", sdp: SessionDescription | None) -> None:
        """A re-INVITE of one side, offered to the other; its answer goes back. The session of both survives a no."""
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
            answer = await other.leg.offer(await other.leg.media.describe_relayed(sdp, answers=None))
            await other.leg.media.apply(answer)
            source.leg.answer_offer(await media.describe_relayed(answer, answers=sdp))
            await media.apply(sdp)
        except OfferRefused as refused:
            other.leg.media.local = before
            source.leg.refuse_offer(refused.status)
        except (SdpError, MediaEngineError) as error:
            other.leg.media.local = before
            log.info("! re-INVITE not passed on", call=source.record.sid, problem=str(error))
            source.leg.refuse_offer(NOT_ACCEPTABLE)
        else:
            if source.leg.phase is LegPhase.ESTABLISHED:
                self._media_changed()
