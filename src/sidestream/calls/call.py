"""A live call: one leg with its record, its Siprecs and, if it has instructions, the TwiML that runs on it."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime

from sidestream.accounts.account import Account
from sidestream.base.flag import Flag
from sidestream.base.logs import get_logger
from sidestream.base.task_set import TaskSet
from sidestream.calls.bridge import LegPhase
from sidestream.calls.events import Answered, Ended, Failed, LegEvent, Progress, Redirected, Referred, Ringing, Updated
from sidestream.calls.hearing import heard
from sidestream.calls.image import CallImage
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.calls.pairing import Pairing
from sidestream.calls.party import Party
from sidestream.calls.playback import player_ended
from sidestream.calls.progress import Progress as ProgressCallbacks
from sidestream.calls.reception import Sender
from sidestream.calls.record import CallEvent, CallRecord, CallStatus, Direction
from sidestream.calls.requests import Instructions
from sidestream.calls.script_runner import ScriptRunner
from sidestream.calls.services import Services
from sidestream.calls.streams import RecordedSession, Streams
from sidestream.calls.takeover import take_over
from sidestream.calls.transfer import Transfer, may_transfer
from sidestream.calls.trouble import MediaTrouble
from sidestream.media.engine import Dtmf, EngineLost, MediaEngineError, MediaEvent, PlayerEnded
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.message import Request
from sidestream.webhooks.parameters import DialOutcome, SipParameters

log = get_logger("calls")

STREAMS_STOP_S = 3.0  # how long the end of a call waits for its recording sessions' BYE to be answered

_SERVER_ERROR = 500
_UNAVAILABLE = 503
_DECLINED = 603
_DEFECT = 20500  # of the catalogue: a mistake in the platform
LOST = 20501  # of the catalogue: a restart that the call did not survive

_STATUS_OF_FAILURE = {
    486: CallStatus.BUSY,
    600: CallStatus.BUSY,
    408: CallStatus.NO_ANSWER,
    480: CallStatus.NO_ANSWER,
    603: CallStatus.NO_ANSWER,
    487: CallStatus.CANCELED,
}


class Call:
    """Runs until its leg is over. `run` is the one task that reads the leg's events and changes the record."""

    def __init__(
        self,
        services: Services,
        account: Account,
        record: CallRecord,
        leg: Leg,
        party: Party,
        callbacks: ProgressCallbacks,
    ) -> None:
        self.services = services
        self.account = account
        self.record = record
        self.leg = leg
        self.party = party
        self.callbacks = callbacks
        self.recorded = RecordedSession(services.ids.uuid_base64(), record.date_created)
        self.transfer: Transfer | None = None  # the one under way
        self._taking_over = TaskSet()
        self.sip_parameters: SipParameters | None = None  # of an incoming call, for requests to the application
        self.streams = Streams(self)
        self.trouble = MediaTrouble(self)
        self.script = ScriptRunner(self)
        self.pairing: Pairing | None = None
        self.partner: Call | None = None  # the call at the other side of the pairing
        self.answered = Flag()
        self.agreed = Flag()  # offer and answer have met
        self.over = Flag()
        self.star_pressed = Flag()
        self.players: dict[str, asyncio.Event] = {}  # set when the engine says that the player has ended
        self.end_reason: str | None = None  # the Reason header's value that the leg's end came with
        self.farewell: str | None = None  # that of the dialled leg that ended last, if nothing was done since
        self.dial_outcome: DialOutcome | None = None  # of the last Dial
        self._answer_limit: asyncio.TimerHandle | None = None
        self._talk_limit: asyncio.TimerHandle | None = None
        self.talk_limit_s: float | None = None
        self._final_status: CallStatus | None = None
        self._is_lost = False

    # --- life

    async def run(self, instructions: Instructions | None) -> None:
        """Live through the call; `instructions` start at once (incoming) or when it is answered (outgoing)."""
        event: LegEvent = Failed(_SERVER_ERROR, "Server Internal Error")
        try:
            if self.owns_media_session:
                self.services.engine.subscribe(self.leg.media.session, self.take_media_event)
            if instructions is not None and self.record.direction is Direction.INBOUND:
                self.script.start(instructions)
            self.changed()
            while not await self._is_end(event := await self.leg.events.get()):
                await self._take(event, instructions)
        except Exception as error:
            # The driver's catch-all: a defect of ours ends this call, cleanly, and no other.
            self.break_off(error)
            event = Failed(_SERVER_ERROR, "Server Internal Error")
        finally:
            await self._wind_up(event)

    async def _is_end(self, event: LegEvent) -> bool:
        """Whether the call is over with `event`: unless somebody is about to take the place of who has left."""
        if not isinstance(event, Ended | Failed | Redirected):
            return False
        return self.transfer is None or not await self.transfer.succeeded()

    def break_off(self, error: Exception) -> None:
        """End the call because of a defect of ours, and tell the debugger."""
        self._report_defect(error)
        self.refuse(_SERVER_ERROR, "Server Internal Error", CallStatus.FAILED)
        self.hang_up(CallStatus.FAILED)

    def hang_up(self, status: CallStatus | None = None, *, reason: str | None = None) -> None:
        """End the call; `status` is what the record shall say if it was never answered."""
        self._ending_as(status)
        self.abort_transfer()
        self.leg.hang_up(reason or self.farewell)

    def restore(self, image: CallImage) -> None:
        """Be where the process before was when it took `image`; do next: let it `run`. Its leg is restored already."""
        recorded = image.recorded
        self.recorded = RecordedSession(recorded.session_id, recorded.started_at, recorded.group_id, recorded.joined_at)
        self.sip_parameters = image.sip_parameters
        self.farewell = image.farewell
        self.answered.set()
        self.agreed.set()
        self.limit_time(talk_s=image.talk_limit_s)

    def lose(self, reason: str) -> None:
        """End a restored call that cannot go on; its record says that it failed."""
        self._is_lost = True
        self.services.debugger.report(
            LOST, account_sid=self.account.sid, call_sid=self.record.sid, text=f"The call did not go on: {reason}"
        )
        self.hang_up(CallStatus.FAILED)

    def give_up(self, status: CallStatus) -> None:
        """End the call because the platform cannot go on with it; a caller that waits may try elsewhere."""
        self.refuse(_UNAVAILABLE, "Service Unavailable", status)
        self.hang_up(status)

    def refuse(
        self, sip_status: int, sip_reason: str, status: CallStatus, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """End an incoming call that is not answered yet with this SIP status."""
        self._ending_as(status)
        farewell = [("Reason", self.farewell)] if self.farewell else []
        self.leg.reject(sip_status, sip_reason, [*farewell, *headers])

    def _ending_as(self, status: CallStatus | None) -> None:
        """Whoever ends the call first says what becomes of it."""
        if self.leg.phase is not LegPhase.OVER:
            self._final_status = status

    def limit_time(self, *, answer_s: float | None = None, talk_s: float | None = None) -> None:
        """End the call unless it is answered within `answer_s` from now; end it `talk_s` after its answer, or now."""
        loop = asyncio.get_running_loop()
        if answer_s is not None:
            _cancel(self._answer_limit)
            self._answer_limit = loop.call_later(answer_s, self._not_answered)
        if talk_s is None:
            return
        self.talk_limit_s = talk_s
        self.changed()
        if self.record.start_time is not None:
            talked_s = (self.services.clock.wall() - self.record.start_time).total_seconds()
            _cancel(self._talk_limit)
            self._talk_limit = loop.call_later(max(0.0, talk_s - talked_s), self.hang_up)

    def _not_answered(self) -> None:
        if not self.answered.is_set():
            self.hang_up(CallStatus.NO_ANSWER)

    # --- what verbs and the pairing do to it

    def alert(self, status: int, reason: str, sdp: SessionDescription | None = None) -> None:
        """Tell the caller that it rings, with media if there is a description."""
        self.leg.alert(status, reason, sdp)

    def accept(self, sdp: SessionDescription) -> None:
        """Answer the caller with this description."""
        if self.leg.accept(sdp):
            self._mark_answered()

    async def ensure_answered(self) -> None:
        """Answer the caller ourselves, if nobody did yet. Raises SdpError, MediaEngineError."""
        if self.leg.phase is not LegPhase.WAITING:
            return
        offered = self.leg.remote_offer
        if offered is None:
            self.accept(await self.leg.media.describe_offer())
            await self.agreed.wait()  # RFC 3261 §13.2.1: the answer to our offer comes in the ACK
            return
        answer = await self.leg.media.describe_answer(offered)
        await self.leg.media.apply(offered)
        self.accept(answer)
        self.media_changed()

    def media_changed(self) -> None:
        """Offer and answer met anew: recordings start, or tell their servers."""
        if self.leg.media.is_agreed:
            self.agreed.set()
        self.streams.media_changed()
        self.changed()

    def changed(self) -> None:
        """What a restart goes back to is another now."""
        self.services.imaging.changed(self)

    def take_media_event(self, event: MediaEvent) -> None:
        """The sink of the engine session that this call owns; the call it dialled lives there too."""
        sharing = [] if self.partner is None or self.partner.owns_media_session else [self.partner]
        for call in (self, *sharing):
            call.streams.take_media_event(event)
            call.trouble.take(event)
        match event:
            case PlayerEnded():
                player_ended(self, event)
            case Dtmf(_, endpoint, digit):
                if endpoint == self.leg.media.endpoint:
                    self.pressed(digit)
                if self.pairing is not None:
                    self.pairing.key_pressed(endpoint, digit)
            case EngineLost(_, reason):
                log.error("! media engine lost", call=self.record.sid, reason=reason)
                self.give_up(CallStatus.FAILED)
            case _:
                pass

    def pressed(self, digit: str) -> None:
        """The party pressed a key."""
        self.note("dtmf", digit=digit)
        if digit == "*":
            self.star_pressed.set()

    # --- transfers

    def change_party(self, leg: Leg, party: Party) -> None:
        """`leg`, which is established, takes the place of the present one; whoever ends that one comes next."""
        former, self.leg = self.leg, leg
        leg.continue_queue(former)
        self.party = party
        group = self.recorded.group_id or self.services.ids.uuid_base64()
        for call in (self, *([self.partner] if self.partner is not None else ())):
            call.begin_session(group)
        self.recorded.joined_at = self.recorded.started_at
        self.note("transferred", to=party.aor)
        log.info("= transferred", call=self.record.sid)

    def begin_session(self, group: str) -> None:
        """siprec.md B3: with another party it is another communication session, of the same group."""
        self.recorded = RecordedSession(
            self.services.ids.uuid_base64(), self.services.clock.wall(), group, self.recorded.joined_at
        )
        self.changed()

    def take_over(self, session: str, request: Request, sender: Sender) -> None:
        """Let who sent this INVITE take the place of the party at the leg (RFC 3891)."""
        self._taking_over.start(self._try(take_over(self, session, request, sender)))

    def lose_leg(self) -> None:
        """The leg goes over to another call; this one is over."""
        self.leg = self.leg.leave_behind()

    def abort_transfer(self) -> None:
        if self.transfer is not None:
            self.transfer.abort()

    def note(self, kind: str, **detail: str | int | float | None) -> None:
        """Add a line to the call's timeline."""
        self.services.calls.add_event(CallEvent(self.record.sid, self.services.clock.wall(), kind, detail))

    # --- the leg's events

    async def _take(self, event: LegEvent, instructions: Instructions | None) -> None:
        if isinstance(event, Referred):
            self._referred(event)
            return
        first_answer = isinstance(event, Answered) and not self.answered.is_set()
        if isinstance(event, Ringing | Progress):
            self._mark_ringing()
        if self.pairing is not None:
            await self.pairing.pass_on(self, event)
        else:
            await self._take_alone(event)
        if first_answer and self.leg.phase is LegPhase.ESTABLISHED:
            self._mark_answered()
            if instructions is not None:
                self.script.start(instructions)

    def _referred(self, event: Referred) -> None:
        if not may_transfer(self):
            self.leg.answer_refer(_DECLINED)
        else:
            self.transfer = Transfer(self, event)

    async def _take_alone(self, event: LegEvent) -> None:
        """What a leg without a partner is answered."""
        try:
            match event:
                case Progress(_, _, sdp) | Answered(sdp) if sdp is not None:
                    await self.leg.media.apply(sdp)
                    self.media_changed()
                case Answered(None) if not self.leg.media.is_agreed:
                    self.leg.fail(NOT_ACCEPTABLE, "Not Acceptable Here")
                case Updated(None):
                    self.leg.answer_offer(self.leg.media.local or await self.leg.media.describe_offer())
                case Updated(sdp) if sdp is not None:
                    answer = await self.leg.media.describe_answer(sdp)
                    await self.leg.media.apply(sdp)
                    self.leg.answer_offer(answer)
                    self.media_changed()
                case _:
                    pass
        except (SdpError, MediaEngineError) as error:
            log.info("! media not agreed", call=self.record.sid, problem=str(error))
            if isinstance(event, Updated):
                self.leg.refuse_offer(NOT_ACCEPTABLE)
            else:
                self.leg.fail(NOT_ACCEPTABLE, "Not Acceptable Here")

    # --- the record

    def _mark_ringing(self) -> None:
        if self.record.status is CallStatus.QUEUED:
            self._save(CallStatus.RINGING)
            self.callbacks.ringing(self.record)

    def _mark_answered(self) -> None:
        if not self.answered.is_set():
            self.record.start_time = self.services.clock.wall()
            self._save(CallStatus.IN_PROGRESS)
            self.note("call.answered")
            self.answered.set()
            self.callbacks.answered(self.record)
            self.limit_time(talk_s=self.talk_limit_s)
            self.changed()

    def _save(self, status: CallStatus, at: datetime | None = None) -> None:
        self.record.status = status
        self.record.date_updated = at or self.services.clock.wall()
        self.services.calls.save(self.record)
        log.info(f"= {status}", call=self.record.sid)

    # --- the end

    async def _wind_up(self, event: LegEvent) -> None:
        """Stop what runs on the call, give its media back, and write down how it ended; always to the end."""
        try:
            if isinstance(event, Ended):
                self.end_reason = event.reason
            elif isinstance(event, Failed):
                self.end_reason = event.because
            self.abort_transfer()
            self.leg.hang_up()  # it is over, unless our own task was cancelled
            _cancel(self._answer_limit)
            _cancel(self._talk_limit)
            await self._try(self.script.stop())
            await self._try(self._stop_streams())
            await self._try(self._release_media())
            self._conclude(event)
        except Exception as error:
            # A store that fails, say: who waits for the end of this call has to hear of it all the same.
            self._report_defect(error)
        finally:
            self.over.set()
            self.services.imaging.forget(self.record.sid)

    async def _try(self, step: Awaitable[None]) -> None:
        """One step of the end; what it raises must not keep the others from being taken."""
        try:
            await step
        except Exception as error:
            self._report_defect(error)

    async def _stop_streams(self) -> None:
        if self.streams.is_idle:
            return
        if not await self.streams.stop_all(limit_s=STREAMS_STOP_S):
            log.error("! recording sessions did not end in time", call=self.record.sid)
            await self.streams.abandon_all()

    async def _release_media(self) -> None:
        try:
            last = await self.leg.media.release(with_session=self.owns_media_session)
        except MediaEngineError as error:
            log.error("! media not released", call=self.record.sid, problem=str(error))
            return
        if last is not None and last.packets_received:
            self.note("media.quality", **heard(last, self.services.metrics))

    def _conclude(self, event: LegEvent) -> None:
        now = self.services.clock.wall()
        self.record.end_time = now
        if isinstance(event, Failed | Redirected):
            self.record.sip_response_code = event.status
        status = self._ended_as(event)
        self.note("call.ended", status=status.value, sip_status=self.record.sip_response_code)
        self._save(status, now)
        self.callbacks.completed(self.record)
        self.services.metrics.calls_total.labels(self.record.direction.value, status.value).inc()

    def _report_defect(self, error: Exception) -> None:
        log.error("! defect", call=self.record.sid, exc_info=error)
        self.services.debugger.report(
            _DEFECT,
            account_sid=self.account.sid,
            call_sid=self.record.sid,
            text=f"The platform failed while it ran the call: {type(error).__name__}",
        )

    @property
    def owns_media_session(self) -> bool:
        """Dialled calls live in the engine session of the call that dialled them."""
        return self.leg.media.session == self.record.sid

    def _ended_as(self, event: LegEvent) -> CallStatus:
        if self._is_lost:
            return CallStatus.FAILED
        if self.answered.is_set():
            return CallStatus.COMPLETED
        if self._final_status is not None:
            return self._final_status
        if isinstance(event, Failed):
            return _STATUS_OF_FAILURE.get(event.status, CallStatus.FAILED)
        if isinstance(event, Ended) and event.by_remote and self.record.direction is Direction.INBOUND:
            return CallStatus.CANCELED  # RFC 3261 §15: a caller may give up by BYE on the early dialog
        return CallStatus.FAILED


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
