"""The recording server: answers INVITEs and owns the sessions."""

import asyncio

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.media.engine import MediaEngine
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent, InviteReceived, RequestReceived
from sidestream.sip.errors import MessageError
from sidestream.sip.session_timer import SessionTimerPolicy
from sidestream.siprec.body import ACCEPTED_TYPES
from sidestream.siprec.srs import OPTION_TAG, Classification, Kind, classify
from sidestream.srs.archive import Archive
from sidestream.srs.config import RETRY_HEADERS, SrsConfig
from sidestream.srs.session import SrsSession
from sidestream.wire.driver import SipDriver

CLOSE_SECONDS = 10.0  # for sessions to end and files to be finished when the server closes

_log = get_logger("srs")


class SrsServer:
    """`start`, then it serves until `close`. `archive` is there for the pages at once."""

    def __init__(self, config: SrsConfig, engine: MediaEngine, clock: Clock, ids: Ids) -> None:
        self.archive = Archive(config.directory, free_floor=config.free_floor, stored_limit=config.stored_limit)
        self._config = config
        self._engine = engine
        self._clock = clock
        self._ids = ids
        agent = AgentConfig(
            name=config.name,
            contact_user="srs",
            supported=(OPTION_TAG,),
            accept=(*ACCEPTED_TYPES, "multipart/mixed"),
            session_timer=SessionTimerPolicy(),
        )
        self.driver = SipDriver(listeners=config.listeners, config=agent, ids=ids, clock=clock, tls=config.tls)
        self.driver.default_sink = self._take
        self._sessions: dict[SrsSession, asyncio.Task[None]] = {}
        self._closing = False

    async def start(self) -> None:
        """Finalise what a crash left, then listen. Raises OSError if a port or the directory cannot be had."""
        await asyncio.to_thread(self.archive.prepare)
        found = await asyncio.to_thread(self.archive.finish_interrupted, self._clock.wall())
        if found:
            _log.warning("! recordings were interrupted and are finalised", count=found)
        await self.driver.start()
        for name, (host, port) in self.driver.addresses.items():
            _log.info("= listening", listener=name, host=host, port=port)

    async def close(self) -> None:
        """Refuse new sessions, end the running ones with BYE, finish their files, close the sockets. Idempotent."""
        self._closing = True
        for session in self._sessions:
            session.stop()
        if self._sessions:
            _, late = await asyncio.wait(self._sessions.values(), timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
        await self.driver.close()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that clients call; known once started."""
        return next(iter(self.driver.addresses.values()))

    def page_of(self, sip_call_id: str) -> str | None:
        """The path of the page that plays what this Call-ID recorded; None if nothing was."""
        recording_id = self.archive.recording_of(sip_call_id)
        return None if recording_id is None else f"/recordings/{recording_id}"

    @property
    def live(self) -> int:
        """Recording sessions under way."""
        return len(self._sessions)

    def _take(self, event: AgentEvent) -> None:
        match event:
            case InviteReceived():
                self._admit(event)
            case RequestReceived(request_id, None, _, _):
                with self.driver.turn() as (agent, now):
                    agent.answer(request_id, 405, now=now)
            case _:
                pass

    def _admit(self, invite: InviteReceived) -> None:
        """Decide on a new INVITE and start its session."""
        found = self._classified(invite)
        if found is None:
            return
        if self._closing or len(self._sessions) >= self._config.live_limit:
            self._refuse(invite, 503, "no further recording sessions for now")
            return
        session = SrsSession(
            invite,
            found.body,
            self.archive,
            driver=self.driver,
            engine=self._engine,
            clock=self._clock,
            ids=self._ids,
            interface=self._config.interface,
        )
        self.driver.attach(invite.session, session.take)
        task = asyncio.get_running_loop().create_task(session.run())
        self._sessions[session] = task
        task.add_done_callback(lambda _task: self._sessions.pop(session, None))

    def _classified(self, invite: InviteReceived) -> Classification | None:
        """What the INVITE is, if it is to be recorded; refuses it otherwise."""
        try:
            # The journal needs both; a peer whose addresses cannot be read gets 400.
            _ = invite.request.from_, invite.request.to
            found = classify(invite.request, strict=self._config.strict)
        except MessageError as error:
            self._refuse(invite, error.status, error.reason)
            return None
        if found.kind is not Kind.RECORDING:
            # S28: an ordinary call; this server only records.
            self._refuse(invite, 403, f"no recording session: {', '.join(found.missing)} missing")
            return None
        return found

    def _refuse(self, invite: InviteReceived, status: int, why: str) -> None:
        _log.info("! INVITE refused", session=invite.session, status=status, why=why)
        headers = RETRY_HEADERS if status == 503 else ()
        with self.driver.turn() as (agent, now):
            agent.respond(invite.session, status, headers=headers, now=now)
