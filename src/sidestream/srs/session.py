"""One recording session, from the INVITE to the finished files.

Events of SIP and of the media engine are queued by sinks that never wait; one task works them off in their order.
"""

import asyncio
from dataclasses import dataclass

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.media.engine import (
    EngineLost,
    FirstPacket,
    MediaEngine,
    MediaEngineError,
    MediaEvent,
    SessionStatistics,
    SilenceTimeout,
)
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    ByeReceived,
    EndCause,
    InviteReceived,
    ReinviteReceived,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.message import Request
from sidestream.siprec.body import ACCEPTED_TYPES, SDP_TYPE, RecordingBody, parse_body
from sidestream.siprec.srs import CONTACT_PARAMS
from sidestream.srs.archive import Archive, NoRoom, interrupted
from sidestream.srs.config import RETRY_HEADERS
from sidestream.srs.journal import Journal
from sidestream.srs.lines import Lines, UnusableOffer
from sidestream.srs.manifest import Manifest, State
from sidestream.srs.wave_file import SAMPLE_RATE
from sidestream.wire.driver import SipDriver

_log = get_logger("srs")

_ACCEPT = (("Accept", ", ".join(ACCEPTED_TYPES)),)
_BUSY_CODES = ("limit", "no-ports", "overload", "stopping")  # of the engine: others may be served later
_QUIET_METHODS = ("INFO", "OPTIONS", "UPDATE")  # answered 200 in a session, whatever they say


@dataclass(frozen=True, slots=True)
class _Stop:
    """The server wants the session to end."""


class SrsSession:
    """`take` is the sink of the session's SIP events; `run` lives as long as the session and never raises."""

    def __init__(
        self,
        invite: InviteReceived,
        body: RecordingBody,
        archive: Archive,
        *,
        driver: SipDriver,
        engine: MediaEngine,
        clock: Clock,
        ids: Ids,
        interface: str | None,
    ) -> None:
        self._folder = folder = archive.folder(ids)
        self.name = f"srs-{folder.recording_id}"
        self._session = invite.session
        self._body = body
        self._archive = archive
        self._call_id = invite.request.call_id
        self._driver = driver
        self._engine = engine
        self._clock = clock
        self._lines = Lines(self.name, folder, engine, ids, interface)
        self._journal = Journal(folder, invite.request, clock.wall())
        self._inbox: asyncio.Queue[AgentEvent | MediaEvent | _Stop] = asyncio.Queue()
        self._acknowledged = False
        self._lost = False
        self._probe: str | None = None  # the OPTIONS under way

    def take(self, event: AgentEvent | MediaEvent) -> None:
        self._inbox.put_nowait(event)

    def stop(self) -> None:
        """End the session with BYE; `run` returns when the files are finished."""
        self._inbox.put_nowait(_Stop())

    async def run(self) -> None:
        recording = self._folder.recording_id
        _log.info("= recording", sid=recording, session=self._session)
        try:
            await self._begin()
            await self._follow()
        except Exception:
            # The shell of one session: whatever fails here must not take the others with it.
            _log.error("! recording session failed", sid=recording, exc_info=True)
            self._journal.note("the recording server failed; its log says why")
            self._lost = True
            self._hang_up()
        manifest = await self._finish()
        if manifest is not None:
            _log.info("= recorded", sid=recording, state=manifest.state.value, duration_ms=manifest.duration_ms)

    async def _begin(self) -> None:
        """Open everything, then answer the INVITE: 200, or why not."""
        try:
            offered = _offer(self._body)
            await asyncio.to_thread(self._archive.create, self._folder, self._call_id)
            await self._engine.open_session(self.name)
            self._engine.subscribe(self.name, self.take)
            reply = await self._lines.apply(offered)
        except (UnusableOffer, SdpError) as error:
            self._refuse(488, error)
            return
        except (NoRoom, OSError) as error:
            self._refuse(503, error)
            return
        except MediaEngineError as error:
            self._refuse(503 if error.code in _BUSY_CODES else 500, error)
            return
        await asyncio.to_thread(self._journal.take, self._body)
        await self._save()
        self._respond(200, reply=reply)

    async def _follow(self) -> None:
        """Work off events until the session has ended."""
        while True:
            event = await self._inbox.get()
            match event:
                case SessionEnded(_, cause):
                    if cause in (EndCause.LOST, EndCause.NO_ACK):
                        self._journal.note(f"the recording client went away: {cause.value}")
                    return
                case AckReceived(_, request):
                    self._acknowledged = True
                    await self._answered(request)
                case ReinviteReceived(_, request, _):
                    await self._changed(request)
                case RequestReceived(request_id, _, request, _):
                    await self._asked(request_id, request)
                case ByeReceived(_, request):
                    await asyncio.to_thread(self._journal.take, parse_body(request))
                case RequestAnswered(request_id, _, _) if request_id == self._probe:
                    self._probe = None  # unanswered, the agent has ended the session
                case FirstPacket(_, endpoint, at_ns):
                    self._lines.first_packet(endpoint, at_ns)
                    await self._save()
                case SilenceTimeout():
                    self._ask_if_alive()
                case EngineLost(_, reason):
                    self._journal.note(f"the media engine was lost: {reason}")
                    self._lost = True
                    self._hang_up()
                case _Stop():
                    self._hang_up()
                case _:
                    pass

    async def _changed(self, request: Request) -> None:
        """A re-INVITE: new media, new metadata, or both."""
        body = parse_body(request)
        await asyncio.to_thread(self._journal.take, body)
        status, reply = await self._applied(body)
        if body.sdp is None:
            reply = self._lines.current  # RFC 3261 §14.2: without an offer in the re-INVITE its 2xx carries one
        await self._save()
        self._respond(status, reply=reply)

    async def _asked(self, request_id: str, request: Request) -> None:
        """UPDATE with media, metadata or neither; INFO and OPTIONS."""
        if request.method not in _QUIET_METHODS:
            self._answer(request_id, 501)
            return
        body = parse_body(request) if request.method == "UPDATE" else RecordingBody()
        await asyncio.to_thread(self._journal.take, body)
        status, reply = await self._applied(body)
        await self._save()
        self._answer(request_id, status, reply)

    async def _answered(self, request: Request) -> None:
        """An ACK may carry the answer to the offer of our 2xx; it can pause or remove lines."""
        body = parse_body(request)
        if body.sdp is not None:
            status, _ = await self._applied(body)
            if status != 200:
                self._journal.note("the answer in an ACK could not be used")

    async def _applied(self, body: RecordingBody) -> tuple[int, SessionDescription | None]:
        """Put an offer into force. B17: one that fails leaves the recording as it is."""
        if body.sdp is None:
            return 200, None
        try:
            return 200, await self._lines.apply(_offer(body))
        except (UnusableOffer, SdpError):
            return 488, None
        except MediaEngineError as error:
            self._journal.note(f"a change of media failed: {error}")
            return 500, None

    def _refuse(self, status: int, why: Exception) -> None:
        _log.info("! INVITE refused", session=self._session, status=status, why=str(why))
        self._respond(status, headers=RETRY_HEADERS if status == 503 else ())

    def _respond(
        self, status: int, *, headers: tuple[tuple[str, str], ...] = (), reply: SessionDescription | None = None
    ) -> None:
        with self._driver.turn() as (agent, now):
            agent.respond(
                self._session,
                status,
                headers=(*headers, *_ACCEPT) if status in (200, 488) else headers,
                # S26: the answer is plain SDP, never multipart.
                body=b"" if reply is None else reply.to_bytes(),
                content_type=None if reply is None else SDP_TYPE,
                contact_params=CONTACT_PARAMS,
                now=now,
            )

    def _answer(self, request_id: str, status: int, reply: SessionDescription | None = None) -> None:
        with self._driver.turn() as (agent, now):
            agent.answer(
                request_id,
                status,
                body=b"" if reply is None else reply.to_bytes(),
                content_type=None if reply is None else SDP_TYPE,
                now=now,
            )

    def _ask_if_alive(self) -> None:
        """Silence may be a hold, or a client that died: its answer to OPTIONS tells; without one the session ends."""
        if self._probe is None and not self._lines.is_silent_by_agreement():
            with self._driver.turn() as (agent, now):
                self._probe = agent.request(self._session, "OPTIONS", now=now)

    def _hang_up(self) -> None:
        with self._driver.turn() as (agent, now):
            agent.bye(self._session, now=now)

    async def _save(self) -> None:
        manifest = self._journal.manifest(self._lines.all, State.RECORDING)
        try:
            await asyncio.to_thread(self._folder.write_manifest, manifest)
        except OSError as error:
            self._journal.note(f"the manifest could not be written: {error.strerror}")

    async def _finish(self) -> Manifest | None:
        """Close the media and write the files; None when there was nothing to keep."""
        final: SessionStatistics | None = None
        try:
            final = await self._engine.close_session(self.name)
        except MediaEngineError as error:
            self._journal.note(f"the media engine did not close the session: {error}")
            self._lost = True
        if not self._lost:
            self._lines.settle(final)
            self._note_what_was_dropped()
        if not self._acknowledged and not any(line.first_sample for line in self._lines.all):
            await asyncio.to_thread(self._folder.discard)
            return None
        try:
            return await asyncio.to_thread(self._write_last)
        except OSError as error:
            _log.error("! recording not finalised", sid=self._folder.recording_id, error=str(error))
            return None

    def _note_what_was_dropped(self) -> None:
        for line in self._lines.all:
            if line.statistics is not None and line.statistics.dropped_samples:
                file, samples = line.path.name, line.statistics.dropped_samples
                self._journal.note(f"{samples / SAMPLE_RATE:.1f} s of {file} are silent: the disk did not take them")
                _log.error("! audio not written", session=self._session, file=file, samples=samples)

    def _write_last(self) -> Manifest:
        now = self._clock.wall()
        manifest = self._journal.manifest(self._lines.all, State.COMPLETE, now)
        if self._lost:
            manifest = interrupted(self._folder, manifest, now, "the recording was cut off")
        return self._folder.finish(manifest)


def _offer(body: RecordingBody) -> SessionDescription:
    if body.sdp is None:
        raise UnusableOffer("no SDP")
    return SessionDescription.parse(body.sdp)
