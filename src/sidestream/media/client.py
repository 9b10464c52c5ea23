"""`EngineClient`: the `MediaEngine` that speaks to an engine's process over its socket."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

import msgspec

from sidestream.base.logs import get_logger
from sidestream.media.address import EngineAddress
from sidestream.media.connection import COMMAND_TIMEOUT, EngineConnection, greet
from sidestream.media.engine import (
    Address,
    EndpointStatistics,
    EngineLost,
    EngineStatistics,
    ForkStatistics,
    Format,
    Latch,
    LocalPorts,
    MediaEngineError,
    MediaEvent,
    RecorderStatistics,
    SessionStatistics,
    Side,
    SrtpKey,
    Tone,
)
from sidestream.media.protocol import Events, Hello, Resume
from sidestream.media.requests import LOST, TIMEOUT, Requests

CLOSING_TIMEOUT = 15.0  # s; answered when recordings are on disk, which a busy disk delays
CONNECT_TIMEOUT = 10.0  # s; a cold engine on a loaded machine is up in one
FIRST_RETRY = 0.05  # s
LAST_RETRY = 1.0  # s; retries double up to here: a restarted engine is found within a second
# Seconds after which an engine out of reach is lost. Parties who hear each other notice nothing until then, and those
# of an engine that is no more hang up; it is less than any grace time that an engine should be given.
PATIENCE = 10.0

T = TypeVar("T")

log = get_logger("media")


class _Sessions(msgspec.Struct):
    sessions: list[str]


class EngineClient:
    """A `MediaEngine` over the Unix socket, or the TLS connection, at `address`. Call `connect` first.

    From then on it reconnects by itself. A connection that breaks is no end of what runs in the engine: for `PATIENCE`
    sessions are kept, commands wait for as long as each may take, and go again to the engine that is found, but for
    digits, which it might dial twice; its events since then are heard. Sessions that it does not have get `EngineLost`,
    which ends their subscription. All get that at once where the engine's process is gone (nobody listens on the Unix
    socket) or speaks otherwise, and after `PATIENCE`. From then on every command fails at once with
    `MediaEngineError("engine-lost")`; if the engine turns out to have lived on, those sessions are closed there, since
    their calls have given them up.
    """

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._connection: EngineConnection | None = None
        self._connecting = asyncio.Lock()
        self._reconnecting: asyncio.Task[None] | None = None
        self._requests = Requests()
        self._resume: Resume | None = None
        self._patience: asyncio.TimerHandle | None = None  # runs while a connection that broke is being replaced
        self._sinks: dict[str, Callable[[MediaEvent], None]] = {}
        self._known: set[str] = set()  # sessions that the engine had, as far as we know
        self._abandoned: set[str] = set()
        self.hello: Hello | None = None  # what the engine said last about itself

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.open

    async def connect(self, timeout: float = CONNECT_TIMEOUT) -> Hello:
        """Connect and greet, trying again until `timeout`. Raises `MediaEngineError` "engine-lost" or "bad-version"."""
        delay, reason = FIRST_RETRY, "no time to connect"
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        async with self._connecting:
                            if self.hello is None or not self.connected:
                                self.hello = await self._connect_once()
                            return self.hello
                    except MediaEngineError as error:
                        if error.code != LOST:
                            raise
                        reason = error.message
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, LAST_RETRY)
        raise MediaEngineError(LOST, f"no media engine at {self._address}: {reason}")

    async def close(self) -> None:
        """Disconnect; sessions stay for the engine's grace time and subscribers get no `EngineLost`. Idempotent."""
        self._sinks.clear()
        self._end_patience()
        reconnecting, self._reconnecting = self._reconnecting, None
        if reconnecting is not None:
            reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await reconnecting
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._requests.give_up("closed by us")

    # MediaEngine

    def open_session(self, session: str) -> Awaitable[None]:
        self._known.add(session)
        return self._command("open_session", NoneType, session=session)

    async def close_session(self, session: str) -> SessionStatistics:
        try:
            return await self._command("close_session", SessionStatistics, CLOSING_TIMEOUT, session=session)
        except MediaEngineError as error:
            if error.code in (LOST, TIMEOUT):
                self._abandoned.add(session)
            raise
        finally:
            self._sinks.pop(session, None)
            self._known.discard(session)

    def open_endpoint(self, session: str, endpoint: str, *, interface: str | None = None) -> Awaitable[LocalPorts]:
        return self._command("open_endpoint", LocalPorts, session=session, endpoint=endpoint, interface=interface)

    def configure_endpoint(
        self,
        session: str,
        endpoint: str,
        *,
        remote: Address | None,
        remote_rtcp: Address | None = None,
        formats: tuple[Format, ...] = (),
        send_formats: tuple[Format, ...] = (),
        latch: Latch = Latch.EACH,
        send: bool = True,
        receive: bool = True,
        rtcp_mux: bool = False,
        send_key: SrtpKey | None = None,
        receive_key: SrtpKey | None = None,
    ) -> Awaitable[None]:
        return self._command(
            "configure_endpoint",
            NoneType,
            session=session,
            endpoint=endpoint,
            remote=remote,
            remote_rtcp=remote_rtcp,
            formats=formats,
            latch=latch,
            send=send,
            receive=receive,
            rtcp_mux=rtcp_mux,
            **_numbered(send_formats),
            **_keys(send_key, receive_key),
        )

    async def close_endpoint(self, session: str, endpoint: str) -> EndpointStatistics:
        return await self._command(
            "close_endpoint", EndpointStatistics, CLOSING_TIMEOUT, session=session, endpoint=endpoint
        )

    def set_route(self, session: str, source: str, sink: str | None) -> Awaitable[None]:
        return self._command("set_route", NoneType, session=session, source=source, sink=sink)

    def open_fork(
        self,
        session: str,
        fork: str,
        *,
        endpoint: str,
        side: Side,
        cname: str,
        interface: str | None = None,
        batch_ms: int = 0,
        own_ports: bool = False,
        drop_dtmf: bool = False,
    ) -> Awaitable[LocalPorts]:
        return self._command(
            "open_fork",
            LocalPorts,
            session=session,
            fork=fork,
            endpoint=endpoint,
            side=side,
            cname=cname,
            interface=interface,
            fork_batch_ms=batch_ms,
            fork_ports="own" if own_ports else "shared",
            dtmf="drop" if drop_dtmf else "forward",
        )

    def configure_fork(
        self,
        session: str,
        fork: str,
        *,
        remote: Address | None,
        remote_rtcp: Address | None = None,
        active: bool,
        formats: tuple[Format, ...] = (),
        send_key: SrtpKey | None = None,
        receive_key: SrtpKey | None = None,
    ) -> Awaitable[None]:
        return self._command(
            "configure_fork",
            NoneType,
            session=session,
            fork=fork,
            remote=remote,
            remote_rtcp=remote_rtcp,
            active=active,
            formats=formats,
            **_keys(send_key, receive_key),
        )

    async def close_fork(self, session: str, fork: str) -> ForkStatistics:
        return await self._command("close_fork", ForkStatistics, session=session, fork=fork)

    async def play(
        self, session: str, player: str, *, endpoint: str, path: str, loops: int = 1, start_ms: int = 0
    ) -> None:
        await self._command(
            "play",
            NoneType,
            session=session,
            player=player,
            endpoint=endpoint,
            path=path,
            loops=loops,
            start_ms=start_ms,
        )

    async def play_tones(
        self, session: str, player: str, *, endpoint: str, tones: tuple[Tone, ...], level_dbm0: float, loops: int = 1
    ) -> None:
        await self._command(
            "play",
            NoneType,
            session=session,
            player=player,
            endpoint=endpoint,
            tones=tones,
            level_dbm0=level_dbm0,
            loops=loops,
        )

    async def seek_player(self, session: str, player: str, position_ms: int) -> None:
        await self._command("seek_player", NoneType, session=session, player=player, position_ms=position_ms)

    async def send_digits(
        self, session: str, player: str, *, endpoint: str, digits: str, tone_ms: int = 100, gap_ms: int = 100
    ) -> None:
        await self._command(
            "send_digits",
            NoneType,
            session=session,
            player=player,
            endpoint=endpoint,
            digits=digits,
            tone_ms=tone_ms,
            gap_ms=gap_ms,
            lasting=False,
        )

    async def stop_player(self, session: str, player: str) -> None:
        await self._command("stop_player", NoneType, session=session, player=player)

    async def open_recorder(self, session: str, recorder: str, *, endpoint: str, path: str) -> None:
        await self._command("open_recorder", NoneType, session=session, recorder=recorder, endpoint=endpoint, path=path)

    async def close_recorder(self, session: str, recorder: str) -> RecorderStatistics:
        return await self._command(
            "close_recorder", RecorderStatistics, CLOSING_TIMEOUT, session=session, recorder=recorder
        )

    async def session_statistics(self, session: str) -> SessionStatistics:
        return await self._command("session_statistics", SessionStatistics, session=session)

    async def engine_statistics(self) -> EngineStatistics:
        return await self._command("engine_statistics", EngineStatistics)

    async def list_sessions(self) -> list[str]:
        sessions = (await self._command("list_sessions", _Sessions)).sessions
        self._known.update(sessions)
        return sessions

    def subscribe(self, session: str, sink: Callable[[MediaEvent], None]) -> None:
        self._sinks[session] = sink

    # Connection

    def _command(
        self, operation: str, answer: type[T], timeout: float = COMMAND_TIMEOUT, *, lasting: bool = True, **fields: Any
    ) -> asyncio.Future[T]:
        connection = self._connection
        if connection is not None and connection.open:
            return connection.exchange(operation, answer, timeout, fields, lasting=lasting)
        if connection is None and self._patience is None:
            raise MediaEngineError(LOST, "not connected to the media engine")
        return self._requests.add(operation, answer, timeout, fields, lasting=lasting).done

    async def _connect_once(self) -> Hello:
        try:
            connection, hello = await greet(
                self._address, self._dispatch, self._lost, requests=self._requests, resume=self._resume
            )
        except MediaEngineError as error:
            if isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError) and isinstance(
                self._address, Path
            ):
                self._give_up(f"its process is gone: {error.message}")
            raise
        try:
            await self._look_for_sessions(connection)
            if not connection.open:
                raise MediaEngineError(LOST, "the engine closed the connection after the greeting")
        except BaseException:
            self._note_place(connection, hello)
            connection.close()
            raise
        self._end_patience()
        self._connection = connection
        connection.repeat()
        log.info("= connected to the media engine", version=hello.engine, sessions=hello.sessions)
        return hello

    async def _look_for_sessions(self, connection: EngineConnection) -> None:
        """Give up the sessions that the engine has not, and end there what we gave up: nobody else would."""
        if not self._abandoned and not self._sinks:
            return
        alive = set((await connection.exchange("list_sessions", _Sessions, COMMAND_TIMEOUT, {})).sessions)
        opening = {request.session for request in self._requests if request.operation == "open_session"}
        gone = self._known - alive - opening
        self._known -= gone
        self._lose([session for session in self._sinks if session in gone], "the media engine has it no more")
        for session in self._abandoned & alive:
            await connection.exchange("close_session", SessionStatistics, CLOSING_TIMEOUT, {"session": session})
        self._abandoned.clear()

    def _lost(self, connection: EngineConnection, reason: str) -> None:
        # One that we gave up, or that fell before it was greeted, is nobody's loss.
        if self._connection is not connection:
            return
        self._connection = None
        assert self.hello is not None
        self._note_place(connection, self.hello)
        log.warning("! the connection to the media engine broke", reason=reason, sessions=len(self._sinks))
        self._patience = asyncio.get_running_loop().call_later(PATIENCE, self._give_up, reason)
        if connection.misunderstood:
            self._give_up(reason)
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    def _note_place(self, connection: EngineConnection, hello: Hello) -> None:
        """Remember which event came last."""
        can_resume = hello.instance and not connection.misunderstood
        self._resume = Resume(hello.instance, connection.last_event) if can_resume else None

    def _end_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self, reason: str) -> None:
        """Declare the engine lost that a broken connection led to; does nothing where that is done."""
        if self._patience is None:
            return
        self._end_patience()
        log.error("! lost the media engine", reason=reason, sessions=len(self._sinks))
        self._requests.give_up(reason)
        self._known.clear()
        self._abandoned.update(self._sinks)
        self._lose(list(self._sinks), reason)

    def _lose(self, sessions: list[str], reason: str) -> None:
        sinks = [(session, self._sinks.pop(session)) for session in sessions]
        for session, sink in sinks:
            self._tell(sink, EngineLost(session, reason))

    async def _reconnect(self) -> None:
        while True:
            try:
                await self.connect()
                return
            except MediaEngineError as error:
                log.error("! no media engine yet", reason=str(error))
                if error.code != LOST:
                    await asyncio.sleep(LAST_RETRY)

    def _dispatch(self, batch: Events) -> None:
        if batch.dropped:
            log.warning("! the engine dropped events", dropped=batch.dropped)
        for event in batch.events:
            sink = self._sinks.get(event.session)
            if sink is not None:
                self._tell(sink, event)

    def _tell(self, sink: Callable[[MediaEvent], None], event: MediaEvent) -> None:
        try:
            sink(event)
        except Exception:
            # One call's defect must not keep the events of all others from them.
            log.exception("! a media event's sink failed", session=event.session)


def _keys(send: SrtpKey | None, receive: SrtpKey | None) -> dict[str, Any]:
    """The fields of keys; left out where there are none, which every engine understands."""
    return {name: key for name, key in (("send_key", send), ("receive_key", receive)) if key is not None}


def _numbered(send_formats: tuple[Format, ...]) -> dict[str, Any]:
    """The field of formats that the remote numbers otherwise; left out where it does not."""
    return {"send_formats": send_formats} if send_formats else {}
