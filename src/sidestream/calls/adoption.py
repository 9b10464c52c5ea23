"""After a restart: the calls of the process before go on, and what cannot go on is ended in order."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sidestream.base.logs import get_logger
from sidestream.calls.call import LOST, Call
from sidestream.calls.guard import Guard
from sidestream.calls.image import CallImage, ImageError, UnansweredCall, decode
from sidestream.calls.interpreter import Resumption
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import LegMedia
from sidestream.calls.pairing import Pairing
from sidestream.calls.ports import ImageStore
from sidestream.calls.progress import Progress
from sidestream.calls.record import CallEvent, CallRecord, CallStatus
from sidestream.calls.services import Services
from sidestream.calls.streams import lose_siprec
from sidestream.media.engine import MediaEngineError, SessionStatistics
from sidestream.recording.siprec import Siprec
from sidestream.sdp.error import SdpError
from sidestream.sip.errors import LocalError, MessageError

log = get_logger("calls")

_BROKEN = (LocalError, MessageError, SdpError)  # what restoring a session or a description may raise


@dataclass(frozen=True, slots=True)
class _Restored:
    image: CallImage
    call: Call


class Adoption:
    """Used once, in this order: `prepare` before the first packet of SIP can come, `carry_out` at once when it can,
    `clear` whenever there is time.

    `adopts` False: no call goes on, all are ended in order. `owns_engine` False: other processes may have sessions in
    the engine, so those that we know nothing of are left alone. `dead_servers`: recording servers, as connectors name
    them, that have died with the process before; what they recorded is begun anew.
    """

    def __init__(
        self,
        services: Services,
        images: ImageStore,
        *,
        adopts: bool = True,
        owns_engine: bool = True,
        dead_servers: Collection[str] = (),
    ) -> None:
        self._services = services
        self._store = images
        self._adopts = adopts
        self._owns_engine = owns_engine
        self._dead_servers = frozenset(dead_servers)
        self._images: dict[str, CallImage] = {}
        self._unanswered: list[UnansweredCall] = []
        self._records: dict[str, CallRecord] = {}
        self._siprecs: dict[str, list[Siprec]] = {}
        self._media: dict[str, SessionStatistics] = {}  # what the engine has of each call's session
        self._restored: dict[str, _Restored] = {}
        self._anew: list[tuple[Call, Siprec]] = []  # Siprecs that had not begun yet
        self.adopted = 0
        self.lost = 0

    async def prepare(self) -> None:
        """Find what the process before has left. Raises StorageError, MediaEngineError."""
        services = self._services
        self._records = {record.sid: record for record in await services.calls.unfinished()}
        for siprec in await services.siprecs.unfinished():
            self._siprecs.setdefault(siprec.call_sid, []).append(siprec)
        for sid, octets in (await self._store.all()).items():
            try:
                image = decode(octets)
            except ImageError as error:
                log.error("! the image of a call cannot be read", call=sid, problem=str(error))
                image = None
            if image is None or sid not in self._records:
                self._store.remove(sid)
            else:
                services.imaging.adopted(sid)
                if isinstance(image, UnansweredCall):
                    self._unanswered.append(image)
                else:
                    self._images[sid] = image
        wanted = {image.leg.media.session for image in self._images.values()}
        for session in await services.engine.list_sessions():
            if session in wanted:
                self._media[session] = await services.engine.session_statistics(session)
            elif self._owns_engine or session in self._records:
                await services.engine.close_session(session)

    def carry_out(self) -> None:
        """Take up every call that can go on, and begin to end the others. Nothing is awaited: no message comes between
        the opening of the sockets and this."""
        for sid, image in self._images.items():
            self._restore(image, self._records[sid])
        for restored in self._restored.values():
            other = self._partner(restored.image)
            if other is not None:
                Pairing(restored.call, other.call, self._services.engine, alone=True).restore()
        troubles = self._troubles()
        for sid, restored in self._restored.items():
            self._let_live(restored, self._records.pop(sid), troubles.get(sid))
        for call in self._unanswered:
            self._end(call)
        for record in self._records.values():
            self._write_off(record)

    async def clear(self) -> None:
        """Close what the engine has and nobody knows, then begin the recordings that had not begun. Raises nothing."""
        known = {(r.image.leg.media.session, r.image.leg.media.endpoint) for r in self._restored.values()}
        forks = {fork for r in self._restored.values() for fork in r.call.streams.forks}
        engine = self._services.engine
        try:
            for session, media in self._media.items():
                for endpoint in media.endpoints:
                    if (session, endpoint) not in known:
                        await engine.close_endpoint(session, endpoint)
                for fork in media.forks:
                    if fork not in forks:
                        await engine.close_fork(session, fork)
        except MediaEngineError as error:
            log.error("! media of before the restart not closed", problem=str(error))
        for call, siprec in self._anew:
            call.streams.restore(siprec, None)
        if self.adopted or self.lost:
            log.warning("! the last run did not end in order", adopted=self.adopted, lost=self.lost)

    # --- each call

    def _restore(self, image: CallImage, record: CallRecord) -> None:
        services = self._services
        account = services.accounts.get(image.account_sid)
        media = image.leg.media
        leg_media = LegMedia(
            services.engine,
            services.ids,
            session=media.session,
            endpoint=media.endpoint,
            interface=media.interface,
            security=media.security,
            latch=media.latch,
        )
        leg = Leg(services.driver, leg_media, Guard(services, image.party, image.sid))
        callbacks = image.callbacks
        try:
            leg.restore(image.leg)
            if account is None:
                log.error("! the account of a call is gone", call=image.sid)
                leg.hang_up()
                return
        except _BROKEN as error:
            log.error("! a leg cannot be taken up", call=image.sid, problem=str(error))
            return
        progress = Progress(
            services.outbox,
            services.clock,
            services.ids,
            url=callbacks.url,
            method=callbacks.method,
            events=callbacks.events,
            sequence=callbacks.sequence,
        )
        call = Call(services, account, record, leg, image.party, progress)
        call.restore(image)
        self._restored[image.sid] = _Restored(image, call)

    def _let_live(self, restored: _Restored, record: CallRecord, trouble: str | None) -> None:
        call, image = restored.call, restored.image
        for siprec in self._siprecs.pop(image.sid, ()):
            self._restore_siprec(call, siprec, image, goes_on=trouble is None)
        self._services.live.run(call, None)
        if trouble is not None:
            self.lost += 1
            call.lose(trouble)
            return
        self.adopted += 1
        call.note("call.adopted")
        log.info("= adopted", call=record.sid)
        if image.script is not None:
            other = self._partner(image)
            dialled = other.call if other is not None else None
            call.script.start(image.script.instructions, Resumption(image.script, dialled))
        call.media_changed()

    def _restore_siprec(self, call: Call, siprec: Siprec, image: CallImage, *, goes_on: bool) -> None:
        recording = next((one for one in image.recordings if one.siprec_sid == siprec.sid), None)
        is_dead = recording is not None and recording.target in self._dead_servers
        if goes_on and (is_dead or (recording is None and siprec.accepted_at is None)):
            self._anew.append((call, siprec))
            return
        try:
            if recording is not None:
                call.streams.restore(siprec, recording)
                return
        except _BROKEN as error:
            log.error("! a recording cannot be taken up", call=call.record.sid, siprec=siprec.sid, problem=str(error))
        lose_siprec(self._services, call.record, siprec)

    def _end(self, call: UnansweredCall) -> None:
        """A caller that waits is refused; a phone that rings is told to stop."""
        try:
            with self._services.driver.turn() as (agent, now):
                agent.end_unanswered(call.invite, now)
        except _BROKEN as error:
            log.error("! an INVITE cannot be ended", call=call.sid, problem=str(error))

    def _write_off(self, record: CallRecord) -> None:
        """A call of which only the record is left: its peers hear 481 when they next say something."""
        services = self._services
        self.lost += 1
        now = services.clock.wall()
        for siprec in self._siprecs.pop(record.sid, ()):
            lose_siprec(services, record, siprec)
        record.status, record.end_time, record.date_updated = CallStatus.FAILED, now, now
        services.calls.add_event(CallEvent(record.sid, now, "call.ended", {"status": record.status.value}))
        services.calls.save(record)
        services.imaging.forget(record.sid)
        services.debugger.report(
            LOST,
            account_sid=record.account_sid,
            call_sid=record.sid,
            text="The call did not go on: it was not established yet, or a moment ago",
        )

    # --- who can go on

    def _partner(self, image: CallImage) -> _Restored | None:
        """Whom a running Dial of that call has connected."""
        dialled = image.script.dialled if image.script is not None else None
        return self._restored.get(dialled) if dialled is not None else None

    def _troubles(self) -> dict[str, str]:
        """Why calls cannot go on, by SID: for a reason of their own, or for that of whom they are connected with."""
        troubles = {}
        for sid, restored in self._restored.items():
            trouble = self._own_trouble(restored.image)
            if trouble is not None:
                troubles[sid] = trouble
        while True:
            more = {
                sid: "the call that it was connected with is gone"
                for sid, restored in self._restored.items()
                if sid not in troubles
                and any(other not in self._restored or other in troubles for other in self._needs(restored.image))
            }
            if not more:
                return troubles
            troubles |= more

    def _own_trouble(self, image: CallImage) -> str | None:
        media = self._media.get(image.leg.media.session)
        if not self._adopts:
            return "the configuration says that calls end with a restart"
        if media is None or image.leg.media.endpoint not in media.endpoints:
            return "the media engine does not have it any more"
        if not image.is_resumable:
            return "it was dialling"
        return None

    def _needs(self, image: CallImage) -> Iterable[str]:
        """The calls without which this one cannot go on."""
        if image.script is not None and image.script.dialled is not None:
            yield image.script.dialled
        parent = self._records[image.sid].parent_call_sid
        if parent is not None:
            above = self._restored.get(parent)
            script = above.image.script if above is not None else None
            # If the one that dialled it is doing something else by now, it is on its way out.
            yield parent if script is not None and script.dialled == image.sid else ""
