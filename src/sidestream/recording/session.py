"""A running Siprec: the client machine bound to the SIP driver, the media engine and the connector's servers."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sidestream.base.clock import Clock, from_unix_ns
from sidestream.base.flag import Flag
from sidestream.base.ids import Ids
from sidestream.base.inbox import Inbox
from sidestream.base.logs import get_logger
from sidestream.connectors.connector import Connector
from sidestream.connectors.srs_uri import SrsTarget
from sidestream.media.engine import EngineLost, ForkStarted, MediaEngine, MediaEngineError, MediaEvent, Unreachable
from sidestream.recording.attempt import Attempt
from sidestream.recording.call import RecordedCall
from sidestream.recording.forks import ForkSet
from sidestream.recording.headers import invite_headers
from sidestream.recording.image import RecordingImage
from sidestream.recording.ports import RecordingObserver
from sidestream.recording.siprec import Siprec, SiprecEvent, SiprecStatus
from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec import failure
from sidestream.siprec.failure import SrsFailure
from sidestream.siprec.metadata import ExtensionParameters
from sidestream.siprec.src.actions import Failed, SrcEvent, Started, Stopped, UpdateRefused
from sidestream.siprec.src.session import SrcSession, SrcSettings, State
from sidestream.wire.driver import SipDriver

CLIENT_USER = "SRC"  # user part of our address toward recording servers
CALL_ID_DIGITS = 32  # RFC 3261 §8.1.1.4: cryptographically random, so that no two sessions share one
CALL_ENDED = "call-ended"  # the `by` of a stop that comes from the end of the call
BY_SERVER = "srs"
BY_ERROR = "error"
# B20: ports are freed when the cancelled INVITE is over; but a call's end does not wait longer than this for it.
CANCEL_WAIT_S = 0.5

log = get_logger("recording")


@dataclass(frozen=True, slots=True)
class _Heard:
    """An event of the SIP agent for one attempt."""

    attempt: Attempt
    event: AgentEvent


@dataclass(frozen=True, slots=True)
class _Changed:
    """The call has changed."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """The recording is to end."""


# Events of one fork are a second apart at least.
_REFUSALS = 2

_Input = _Heard | _Changed | _Stop | ForkStarted | EngineLost


class RecordingSession:
    """One Siprec of one call, from its creation to its end; what comes of it is written into `siprec`.

    Do next after making one: `restore` it if it goes on after a restart; run `run` as a task; hand it each change of
    the call (`update`) and the media engine's events of the call (`receive_media`); `end` it, or `stop` it.
    """

    def __init__(
        self,
        siprec: Siprec,
        connector: Connector,
        call: RecordedCall,
        *,
        driver: SipDriver,
        engine: MediaEngine,
        clock: Clock,
        ids: Ids,
        observer: RecordingObserver,
    ) -> None:
        self.siprec = siprec
        self._connector = connector
        self._call = call
        self._driver = driver
        self._clock = clock
        self._ids = ids
        self._observer = observer
        is_secure = any(target.secure for target in connector.targets)
        self._forks = ForkSet(engine, ids, siprec.sid, call, siprec.track, connector.options, is_secure=is_secure)
        self._inputs: Inbox[_Input] = Inbox()
        self._attempt: Attempt | None = None
        self._stop_by: str | None = None
        self._is_engine_lost = False
        self._is_concluded = False
        self._is_started = False
        self._refusals = 0  # by ICMP, of the server's ports, a second apart at least
        self._is_discarding = False
        self._owes_image = False  # one was wanted and could not be made
        self._done = Flag()

    async def run(self) -> None:
        """Record until stopped or out of servers. Raises nothing for remote trouble; everything is in `siprec`.

        Cancelling it hangs up at once and ends the Siprec with an error; `stop` is the way to end it in peace.
        """
        try:
            outcome = await self._record()
            await self._close_forks()
            self._conclude(outcome)
        except asyncio.CancelledError:
            self._break_off("The recording was cancelled")
            raise
        except Exception as error:
            # The shell's catch-all: a defect of the recording must not reach the call (C51).
            log.exception("! recording failed", call=self._call.call_sid, siprec=self.siprec.sid)
            self._break_off(f"The recording failed: {type(error).__name__}")
            await self._forks.close()
        finally:
            self._done.set()
            self._inputs.take_all()
            if self._attempt is not None:
                self._attempt.let_go()

    def image(self) -> RecordingImage | None:
        """The recording as `restore` takes it; None while it does not run, or while anything is under way in it.

        After None the observer hears when there is one.
        """
        attempt = self._attempt
        is_under_way = attempt is None or self._stop_by is not None or self._is_concluded or self._inputs.has_items
        halves = None if attempt is None or is_under_way else attempt.image()
        self._owes_image = halves is None
        if attempt is None or halves is None:
            return None
        return RecordingImage(self.siprec.sid, attempt.target.text, attempt.call_id, self._forks.host, *halves)

    def restore(self, image: RecordingImage) -> None:
        """Go on with a recording of before a restart, whose forks the engine still has; `run` it next, then `update`.

        Raises LocalError, MessageError, SdpError.
        """
        targets = self._connector.targets
        target = next((one for one in targets if one.text == image.target), targets[0])
        self._forks.restore(image.host, image.src.forks)
        attempt = self._make_attempt(target, image.call_id)
        attempt.restore(image.session, image.src)
        self._attempt = attempt

    @property
    def forks(self) -> tuple[str, ...]:
        """Its open forks, as the engine calls them."""
        return self._forks.names

    def update(self, call: RecordedCall) -> None:
        """The call has changed; the server gets the newest state as soon as it can take it."""
        self._call = call
        self._inputs.put_nowait(_Changed())

    def receive_media(self, event: MediaEvent) -> None:
        """An event of the call's media session; those that do not concern this recording are ignored."""
        if isinstance(event, EngineLost) or (isinstance(event, ForkStarted) and self._forks.is_mine(event.fork)):
            self._inputs.put_nowait(event)
        elif isinstance(event, Unreachable) and self._forks.is_mine(event.name):
            self._refusals += 1
            # A server that is about to hang up closes its ports a moment before.
            if self._refusals >= _REFUSALS:
                self._discarding("The recording server's host refuses the audio: nothing listens at that port")

    def end(self, by: str) -> None:
        """End the recording, which is over when `run` is; idempotent. `by`: "twiml", "rest" or "call-ended".

        The first `by` counts.
        """
        if self._stop_by is None:
            self._stop_by = by
            self._inputs.put_nowait(_Stop())

    async def stop(self, by: str) -> None:
        """`end` it and wait until it has ended. `run` must have been started, or be about to."""
        self.end(by)
        await self._done.wait()

    # The servers, one after the other

    async def _record(self) -> Failed | Stopped:
        if self._attempt is not None:
            return await self._converse(self._attempt)
        try:
            await self._forks.open()
        except MediaEngineError as error:
            return Failed(SrsFailure(error.alert, f"The media engine failed: {error}"))
        outcome: Failed | Stopped = Failed(SrsFailure(failure.UNKNOWN, "No recording server was tried"))
        for target in self._connector.targets:
            if self._stop_by is not None:
                return Stopped(by_server=False)
            if self._is_too_open(target):
                why = "The call has SRTP, which this recording server is not offered"
                outcome = Failed(SrsFailure(failure.SECURE_MEDIA_REQUIRED, why))
                self._log_failure(target, outcome)
                continue
            outcome = await self._try(target)
            if isinstance(outcome, Stopped) or self._is_started or self._is_engine_lost:
                break
            self._log_failure(target, outcome)
        return outcome

    def _is_too_open(self, target: SrsTarget) -> bool:
        """C39, RFC 7866 §12: a recording is protected no less than its call."""
        allowed = self._connector.options.plain_copy_of_secure_calls
        return self._call.is_secure and not target.secure and not allowed

    async def _try(self, target: SrsTarget) -> Failed | Stopped:
        # A fail-over attempt is a new INVITE: new Call-ID, full offer, full snapshot.
        attempt = self._attempt = self._make_attempt(target, self._ids.hex(CALL_ID_DIGITS))
        log.info("> INVITE", call=self._call.call_sid, siprec=self.siprec.sid, target=target.text)
        attempt.src.start(self._call.snapshot(), self._forks.offered, self._clock.wall(), self._clock.monotonic())
        outcome = await self._converse(attempt)
        if isinstance(outcome, Stopped) and not self._is_started:
            await self._cancelled(attempt)
        return outcome

    async def _converse(self, attempt: Attempt) -> Failed | Stopped:
        while True:
            outcome = self._report(attempt, await attempt.drain())
            if outcome is not None:
                return outcome
            if self._owes_image and self.image() is not None:
                self._observer.recording_settled()
            await self._next_input(attempt)

    async def _next_input(self, attempt: Attempt) -> None:
        """Give the machine one input, or the time."""
        deadline = attempt.src.poll_timeout()
        if deadline is None or self._inputs.has_items:
            self._give(attempt, await self._inputs.get())
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                    await self._inputs.wait()
            if self._inputs.has_items:
                self._give(attempt, await self._inputs.get())
        attempt.src.handle_timeout(self._clock.monotonic())

    def _give(self, attempt: Attempt, received: _Input) -> None:
        match received:
            case _Heard():
                # An earlier attempt is over for us; the agent ends by itself what still crosses.
                if received.attempt is attempt:
                    attempt.src.receive(received.event, self._clock.monotonic())
            case _Changed():
                attempt.src.update(self._call.snapshot(), self._clock.monotonic())
            case _Stop():
                attempt.src.stop(self._clock.wall(), call_ended=self._stop_by == CALL_ENDED)
            case ForkStarted():
                self._first_packet(from_unix_ns(received.at_ns))
            case EngineLost():
                self._is_engine_lost = True
                why = SrsFailure(failure.UNKNOWN, f"The media engine was lost: {received.reason}")
                attempt.src.abandon(why, self._clock.wall())

    async def _cancelled(self, attempt: Attempt) -> None:
        """B20: wait a moment for the end of a cancelled INVITE, so that its ports are not given to another call."""
        try:
            async with asyncio.timeout(CANCEL_WAIT_S):
                while attempt.src.state is not State.ENDED:
                    self._give(attempt, await self._inputs.get())
        except TimeoutError:
            log.info("= CANCEL unanswered", call=self._call.call_sid, siprec=self.siprec.sid)

    def _make_attempt(self, target: SrsTarget, call_id: str) -> Attempt:
        options, parameters = self._connector.options, self.siprec.parameters
        headers = invite_headers(self._connector, parameters)
        for code, message in headers.warnings:
            log.warning("! parameter", call=self._call.call_sid, siprec=self.siprec.sid, code=code, message=message)
        settings = SrcSettings(
            target=target.uri,
            identity=NameAddr(None, Uri.sip(CLIENT_USER, self._forks.host)),
            media_host=self._forks.host,
            answer_timeout_s=options.answer_timeout_s,
            headers=headers.fields,
            extension=ExtensionParameters(options.extension_namespace, parameters) if parameters else None,
            legacy_media_type=options.legacy_media_type,
            final_metadata=options.final_metadata_in_bye,
            suites=options.srtp_suites if target.secure else (),
        )
        return Attempt(
            target,
            SrcSession(settings, self._ids),
            call_id=call_id,
            driver=self._driver,
            forks=self._forks,
            clock=self._clock,
            sink=lambda attempt, event: self._inputs.put_nowait(_Heard(attempt, event)),
        )

    # The resource

    def _report(self, attempt: Attempt, events: list[SrcEvent]) -> Failed | Stopped | None:
        """Tell the observer what the machine reports; its outcome is returned."""
        outcome = None
        for event in events:
            match event:
                case Started():
                    self._started(attempt, event)
                case UpdateRefused():
                    log.warning(
                        "! update refused", call=self._call.call_sid, siprec=self.siprec.sid, status=event.status
                    )
                case Failed() | Stopped():
                    outcome = event
        return outcome

    def _started(self, attempt: Attempt, event: Started) -> None:
        assert attempt.accepted_at is not None  # a 2xx is what started it
        answered, wall = attempt.accepted_at
        siprec, self._is_started = self.siprec, True
        is_first = siprec.accepted_at is None  # else it was recorded before a restart that its server did not survive
        siprec.srs_uri = attempt.target.text
        siprec.sip_call_id = attempt.call_id
        siprec.accepted_at = wall
        siprec.invite_ms = (answered - attempt.invited_at) * 1000
        log.info("= recording", call=siprec.call_sid, siprec=siprec.sid, refused=",".join(event.refused) or "none")
        self._changed(SiprecEvent.STARTED if is_first else None)

    def _first_packet(self, at: datetime) -> None:
        siprec = self.siprec
        if siprec.accepted_at is not None and siprec.first_packet_ms is None:
            siprec.first_packet_ms = max(0.0, (at - siprec.accepted_at).total_seconds() * 1000)
            self._changed(None)

    async def _close_forks(self) -> None:
        """Free the ports and keep what the forks counted."""
        statistics = await self._forks.close()
        self.siprec.packets_sent = {label: fork.packets_sent for label, fork in statistics.items()}
        unsent = sum(fork.send_errors + fork.unprotected for fork in statistics.values())
        if unsent:
            self._discarding(f"{unsent} packets could not be sent")
        starts = [fork.first_packet_ns for fork in statistics.values() if fork.first_packet_ns is not None]
        if starts:
            self._first_packet(from_unix_ns(min(starts)))

    def _conclude(self, outcome: Failed | Stopped) -> None:
        self._is_concluded = True
        siprec = self.siprec
        siprec.status = SiprecStatus.STOPPED
        siprec.stopped_at = self._clock.wall()
        if isinstance(outcome, Failed):
            siprec.stopped_by = BY_ERROR
            siprec.error_code = outcome.failure.code
            siprec.error_message = outcome.failure.message
            log.warning("! recording ended", call=siprec.call_sid, siprec=siprec.sid, code=siprec.error_code)
            self._changed(SiprecEvent.ERROR)
        else:
            siprec.stopped_by = BY_SERVER if outcome.by_server else self._stop_by
            log.info("= stopped", call=siprec.call_sid, siprec=siprec.sid, by=siprec.stopped_by)
            self._changed(SiprecEvent.STOPPED)

    def _break_off(self, message: str) -> None:
        """End without waiting for anything."""
        if self._is_concluded:
            return
        if self._attempt is not None:
            self._attempt.hang_up()
        self._conclude(Failed(SrsFailure(failure.UNKNOWN, message)))

    def _changed(self, event: SiprecEvent | None) -> None:
        self.siprec.date_updated = self._clock.wall()
        self._observer.siprec_changed(self.siprec, event)

    def _discarding(self, reason: str) -> None:
        if not self._is_discarding:
            self._is_discarding = True
            log.warning("! media discarded", call=self.siprec.call_sid, siprec=self.siprec.sid, reason=reason)
            self._observer.media_discarded(self.siprec, reason)

    def _log_failure(self, target: SrsTarget, outcome: Failed) -> None:
        log.warning(
            "! recording server",
            call=self._call.call_sid,
            siprec=self.siprec.sid,
            target=target.text,
            code=outcome.failure.code,
            problem=outcome.failure.message,
        )
