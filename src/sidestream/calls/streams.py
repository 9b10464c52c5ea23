"""The Siprecs of one call: checks, the limit on forks, and the recording sessions that run them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call_part import CallPart
from sidestream.calls.progress import call_parameters
from sidestream.calls.record import CallRecord, CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import StartSiprec
from sidestream.calls.services import Services
from sidestream.connectors.connector import Connector, make_connector
from sidestream.media.engine import MediaEvent
from sidestream.recording.call import RecordedCall, RecordedParty
from sidestream.recording.image import RecordingImage
from sidestream.recording.session import BY_ERROR, RecordingSession
from sidestream.recording.siprec import Siprec, SiprecEvent, SiprecStatus, Track
from sidestream.siprec.failure import BROKEN
from sidestream.webhooks.overrides import parse as parse_overrides
from sidestream.webhooks.parameters import siprec_parameters
from sidestream.webhooks.ports import Callback
from sidestream.webhooks.target_url import InvalidUrl, TargetUrl

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

_METHODS = ("GET", "POST")
_DISCARDED = 31931


@dataclass(slots=True)
class RecordedSession:
    """The communication session as metadata names it; a transfer begins another one of the same group (B3).

    `joined_at`: when the party of this call joined, if that was after the call began.
    """

    session_id: str
    started_at: datetime
    group_id: str | None = None
    joined_at: datetime | None = None


@dataclass(slots=True)
class _Stream:
    """A Siprec in progress. `session` is None until the call has media to record."""

    siprec: Siprec
    connector: Connector
    session: RecordingSession | None = None
    image: RecordingImage | None = None  # the last that could be taken


class Streams(CallPart):
    """Starts and stops the call's Siprecs. Nothing here delays the call or ends it (RFC 6341 REQ-005)."""

    def __init__(self, call: "Call") -> None:
        super().__init__(call)
        self._live: dict[str, _Stream] = {}
        self._sessions: dict[RecordingSession, asyncio.Task[None]] = {}  # also those that are stopping

    # --- start

    def start(self, wanted: StartSiprec, *, started_by: str) -> Siprec:
        """Start a Siprec and return at once; it runs as soon as the call has media. Raises Refusal."""
        call, services = self._call, self._call.services
        track = _track(wanted.track)
        method = _check_callback(wanted)
        is_over = call.leg.phase is LegPhase.OVER
        if is_over or (started_by == "rest" and call.record.status is not CallStatus.IN_PROGRESS):
            raise Refusal(400, 21220, f"Call is not in-progress, it is {call.record.status}")
        connector = services.connectors.find(call.account.sid, wanted.connector_name)
        if connector is None:
            named = f"'{wanted.connector_name}'" if wanted.connector_name else "'Default', and none was given"
            raise Refusal(400, 31940, f"The account has no connector named {named}")
        if wanted.name and self.find(wanted.name) is not None:
            raise Refusal(400, 20001, f"Name: a Siprec in progress of this call already has the name '{wanted.name}'")
        in_use = sum(stream.siprec.track.fork_count for stream in self._live.values())
        if in_use + track.fork_count > services.settings.forks_per_call:
            limit = services.settings.forks_per_call
            raise Refusal(
                400, 31960, f"The call has {in_use} forked streams; {track} would exceed the limit of {limit}"
            )
        now = services.clock.wall()
        siprec = Siprec(
            sid=services.ids.sid("SR"),
            account_sid=call.account.sid,
            call_sid=call.record.sid,
            name=wanted.name or None,
            connector_name=connector.unique_name,
            track=track,
            parameters=wanted.parameters,
            status_callback=wanted.status_callback or None,
            status_callback_method=method,
            started_by=started_by,
            date_created=now,
            date_updated=now,
        )
        stream = _Stream(siprec, connector)
        self._live[siprec.sid] = stream
        services.siprecs.save(siprec)
        services.metrics.siprecs_live.inc()
        call.note("siprec.created", siprec=siprec.sid, connector=connector.unique_name, track=track.value)
        self._run_if_ready(stream)
        return siprec

    def media_changed(self) -> None:
        """The call's media or parties changed: waiting Siprecs begin, running ones update their metadata."""
        for stream in list(self._live.values()):
            if stream.session is None:
                self._run_if_ready(stream)
            else:
                stream.session.update(self._recorded_call())

    def take_media_event(self, event: MediaEvent) -> None:
        """The engine says something about the call's media session; recording sessions know their forks."""
        for session in list(self._sessions):
            session.receive_media(event)

    def _run_if_ready(self, stream: _Stream) -> None:
        """Begin the recording session. siprec.md B25: with the first answered description, so nothing is lost."""
        if not self._call.leg.media.is_agreed:
            return
        stream.session = self._session_of(stream)
        self._run(stream.session)

    def _session_of(self, stream: _Stream) -> RecordingSession:
        services = self._call.services
        return RecordingSession(
            stream.siprec,
            stream.connector,
            self._recorded_call(),
            driver=services.driver,
            engine=services.engine,
            clock=services.clock,
            ids=services.ids,
            observer=self,
        )

    def _run(self, session: RecordingSession) -> None:
        task = asyncio.create_task(session.run())
        self._sessions[session] = task
        task.add_done_callback(lambda _: self._sessions.pop(session))

    def _recorded_call(self) -> RecordedCall:
        call = self._call
        media = call.leg.media
        first = _recorded_party(call)
        second = None
        outbound_sending = True
        if call.partner is not None:
            other = call.partner
            second = _recorded_party(other)
            outbound_sending = other.leg.media.remote_sends
        return RecordedCall(
            call_sid=call.record.sid,
            account_sid=call.account.sid,
            session_id=call.recorded.session_id,
            started_at=call.recorded.started_at,
            group_id=call.recorded.group_id,
            parties=(first, second),
            formats=media.formats,
            media_session=media.session,
            endpoint=media.endpoint,
            inbound_sending=media.remote_sends,
            outbound_sending=outbound_sending and media.remote_receives,
            is_secure=media.is_secure,
        )

    # --- a restart

    def images(self) -> tuple[RecordingImage, ...]:
        """What `restore` takes, of each Siprec that is being recorded."""
        for stream in self._live.values():
            if stream.session is not None:
                stream.image = stream.session.image() or stream.image
        return tuple(stream.image for stream in self._live.values() if stream.image is not None)

    def restore(self, siprec: Siprec, image: RecordingImage | None) -> None:
        """Go on with a Siprec of the process before; without an image begin anew.

        Raises LocalError, MessageError, SdpError if its session cannot be taken up.
        """
        services = self._call.services
        connector = services.connectors.find(siprec.account_sid, siprec.connector_name)
        if connector is None:
            # It was taken out of the configuration; what it has begun goes on.
            servers = (image.target,) if image is not None else ()
            connector = make_connector(siprec.connector_name, siprec.account_sid, servers)
        stream = _Stream(siprec, connector, image=image)
        if image is not None:
            session = self._session_of(stream)
            session.restore(image)
            stream.session = session
        self._live[siprec.sid] = stream
        services.metrics.siprecs_live.inc()
        if stream.session is None:
            self._run_if_ready(stream)
        else:
            self._run(stream.session)

    @property
    def forks(self) -> frozenset[str]:
        """The engine's forks that belong to Siprecs which go on."""
        return frozenset(fork for session in self._sessions for fork in session.forks)

    # --- stop

    def find(self, name: str) -> Siprec | None:
        """The Siprec in progress of that name."""
        return next((s.siprec for s in self._live.values() if s.siprec.name == name), None)

    def latest(self) -> Siprec | None:
        """The Siprec in progress that was started last."""
        return next((s.siprec for s in reversed(self._live.values())), None)

    def stop(self, sid: str, *, by: str) -> None:
        """Stop a Siprec: its status is `stopped` at once, the recording server hears of it in its own time."""
        stream = self._live.pop(sid, None)
        if stream is None:
            return
        siprec = stream.siprec
        siprec.status = SiprecStatus.STOPPED
        siprec.stopped_by = by
        siprec.date_updated = self._call.services.clock.wall()
        if stream.session is None:
            siprec.stopped_at = siprec.date_updated
            self.siprec_changed(siprec, SiprecEvent.STOPPED)
            return
        self._call.services.siprecs.save(siprec)
        stream.session.end(by)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to stop, nor anything that is stopping."""
        return not (self._live or self._sessions)

    async def stop_all(self, *, limit_s: float) -> bool:
        """The call is over: end every recording session, also those stopped before.

        Returns once all have ended; False if some have not within `limit_s` seconds: `abandon_all` them.
        """
        for sid in list(self._live):
            self.stop(sid, by="call-ended")
        if not self._sessions:
            return True
        _, unfinished = await asyncio.wait(list(self._sessions.values()), timeout=limit_s)
        return not unfinished

    async def abandon_all(self) -> None:
        """What `stop_all` could not bring to an end in time: cancelled, so that nothing outlives the call."""
        unfinished = list(self._sessions.values())
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)

    # --- what recording sessions say

    def siprec_changed(self, siprec: Siprec, event: SiprecEvent | None) -> None:
        """A Siprec has new facts, and with `event` its application hears of them. Called in order."""
        call, services = self._call, self._call.services
        if event is not None:
            self._callback(siprec, event)
            call.note(event.value, siprec=siprec.sid, error_code=siprec.error_code)
            if event is SiprecEvent.ERROR:
                services.debugger.report(
                    siprec.error_code or 31900,
                    account_sid=siprec.account_sid,
                    resource_sid=siprec.sid,
                    call_sid=siprec.call_sid,
                    text=siprec.error_message or "The stream failed",
                    details={"connector": siprec.connector_name, "srs": siprec.srs_uri or ""},
                )
            if event is SiprecEvent.STARTED and siprec.invite_ms is not None:
                services.metrics.siprec_setup.observe(siprec.invite_ms / 1000)
            if event is not SiprecEvent.STARTED:
                self._live.pop(siprec.sid, None)
                services.metrics.siprecs_live.dec()
                services.metrics.siprecs_total.labels(event.value).inc()
        services.siprecs.save(siprec)
        call.changed()

    def recording_settled(self) -> None:
        """The image of the call was made without the newest of a recording."""
        self._call.changed()

    def media_discarded(self, siprec: Siprec, reason: str) -> None:
        """The recording has gaps, or is empty."""
        self._call.note("siprec.discarded", siprec=siprec.sid, reason=reason)
        self._call.services.debugger.report(
            _DISCARDED,
            account_sid=siprec.account_sid,
            resource_sid=siprec.sid,
            call_sid=siprec.call_sid,
            text=reason,
            details={"connector": siprec.connector_name, "srs": siprec.srs_uri or ""},
        )

    def _callback(self, siprec: Siprec, event: SiprecEvent) -> None:
        call_back(self._call.services, self._call.record, siprec, event)


def call_back(services: Services, record: CallRecord, siprec: Siprec, event: SiprecEvent) -> None:
    """Tell the application of the Siprec's event, if it wants to know; `siprec` has the next number then."""
    if siprec.status_callback is not None:
        at = services.clock.wall()
        is_error = event is SiprecEvent.ERROR
        services.outbox.enqueue(
            Callback(
                id=services.ids.hex(32),
                account_sid=siprec.account_sid,
                resource_sid=siprec.sid,
                call_sid=siprec.call_sid,
                kind="siprec",
                ordering_key=siprec.sid,
                sequence=siprec.sequence,
                url=siprec.status_callback,
                method=siprec.status_callback_method,
                parameters=siprec_parameters(
                    call_parameters(record),
                    siprec_sid=siprec.sid,
                    name=siprec.name,
                    event=event.value,
                    at=at,
                    sequence=siprec.sequence,
                    error=siprec.error_message if is_error else None,
                    error_code=siprec.error_code if is_error else None,
                ),
                created_at=at,
            )
        )
        siprec.sequence += 1


def lose_siprec(services: Services, record: CallRecord, siprec: Siprec) -> None:
    """A Siprec that did not survive a restart: it has failed, and its application hears of it."""
    siprec.status, siprec.stopped_by = SiprecStatus.STOPPED, BY_ERROR
    siprec.stopped_at = siprec.date_updated = services.clock.wall()
    siprec.error_code, siprec.error_message = BROKEN, "The platform was restarted and could not go on with it"
    log.warning("! recording lost", call=record.sid, siprec=siprec.sid)
    services.debugger.report(
        BROKEN,
        account_sid=siprec.account_sid,
        resource_sid=siprec.sid,
        call_sid=siprec.call_sid,
        text=siprec.error_message,
        details={"connector": siprec.connector_name, "srs": siprec.srs_uri or ""},
    )
    call_back(services, record, siprec, SiprecEvent.ERROR)
    services.metrics.siprecs_total.labels(SiprecEvent.ERROR.value).inc()
    services.siprecs.save(siprec)


def _recorded_party(call: "Call") -> RecordedParty:
    joined = call.recorded.joined_at or call.record.start_time or call.record.date_created
    return RecordedParty(call.party.participant_id, call.party.aor, call.party.name, joined)


def _track(text: str | None) -> Track:
    if text is None or text == "":
        return Track.BOTH
    try:
        return Track(text)
    except ValueError:
        wanted = ", ".join(Track)
        raise Refusal(400, 31941, f"Track: '{text}' is none of {wanted}") from None


def _check_callback(wanted: StartSiprec) -> str:
    """The method of the status callback. Raises Refusal for a URL or method that cannot be called."""
    if wanted.status_callback:
        try:
            TargetUrl.parse(parse_overrides(wanted.status_callback)[0])
        except InvalidUrl as error:
            raise Refusal(400, 21205, f"StatusCallback: {error.reason}") from error
    method = (wanted.status_callback_method or "POST").upper()
    if method not in _METHODS:
        raise Refusal(400, 21209, f"StatusCallbackMethod: '{wanted.status_callback_method}' is neither GET nor POST")
    return method
