"""`EngineClient`: the `MediaEngine` that speaks to an engine's process over its socket."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import NoneType
from typing import Any, TypeVar

import msgspec

from sidestream.base.logs import get_logger
from sidestream.media.address import EngineAddress
from sidestream.media.connection import COMMAND_TIMEOUT, LOST, EngineConnection, greet
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
from sidestream.media.protocol import Events, Hello

CLOSING_TIMEOUT = 15.0  # s; answered when recordings are on disk, which a busy disk delays
CONNECT_TIMEOUT = 10.0  # s; a cold engine on a loaded machine is up in one
FIRST_RETRY = 0.05  # s
LAST_RETRY = 1.0  # s; retries double up to here: a restarted engine is found within a second

T = TypeVar("T")

log = get_logger("media")


class _Sessions(msgspec.Struct):
    sessions: list[str]


class EngineClient:
    """A `MediaEngine` over the Unix socket, or the TLS connection, at `address`. Call `connect` first.

    From then on it reconnects by itself. While there is no connection every command fails at once with
    `MediaEngineError("engine-lost")`. When a connection breaks, each subscribed session gets `EngineLost` and its
    subscription ends; if the engine turns out to have lived on, those sessions are closed there on reconnection, since
    their calls have given them up.
    """

    def __init__(self, address: EngineAddress) -> None:
        self._address = address
        self._connection: EngineConnection | None = None
        self._connecting = asyncio.Lock()
        self._reconnecting: asyncio.Task[None] | None = None
        self._sinks: dict[str, Callable[[MediaEvent], None]] = {}
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
        reconnecting, self._reconnecting = self._reconnecting, None
        if reconnecting is not None:
            reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await reconnecting
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    # MediaEngine

    def open_session(self, session: str) -> Awaitable[None]:
        return self._command("open_session", NoneType, session=session)

    async def close_session(self, session: str) -> SessionStatistics:
        try:
            return await self._command("close_session", SessionStatistics, CLOSING_TIMEOUT, session=session)
        finally:
            self._sinks.pop(session, None)

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
        return (await self._command("list_sessions", _Sessions)).sessions

    def subscribe(self, session: str, sink: Callable[[MediaEvent], None]) -> None:
        self._sinks[session] = sink

    # Connection

    def _command(
        self, operation: str, answer: type[T], timeout: float = COMMAND_TIMEOUT, **fields: Any
    ) -> asyncio.Future[T]:
        connection = self._connection
        if connection is None:
            raise MediaEngineError(LOST, "not connected to the media engine")
        return connection.exchange(operation, answer, timeout, fields)

    async def _connect_once(self) -> Hello:
        connection, hello = await greet(self._address, self._dispatch, self._lost)
        try:
            await self._close_abandoned(connection)
            if not connection.open:
                raise MediaEngineError(LOST, "the engine closed the connection after the greeting")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        log.info("= connected to the media engine", version=hello.engine, sessions=hello.sessions)
        return hello

    async def _close_abandoned(self, connection: EngineConnection) -> None:
        """End what we declared lost, should the engine have outlived the connection: nobody else would."""
        if not self._abandoned:
            return
        alive = await connection.exchange("list_sessions", _Sessions, COMMAND_TIMEOUT, {})
        for session in self._abandoned.intersection(alive.sessions):
            await connection.exchange("close_session", SessionStatistics, CLOSING_TIMEOUT, {"session": session})
        self._abandoned.clear()

    def _lost(self, connection: EngineConnection, reason: str) -> None:
        # One that we gave up, or that fell before it was greeted, is nobody's loss.
        if self._connection is not connection:
            return
        self._connection = None
        log.error("! lost the media engine", reason=reason, sessions=len(self._sinks))
        sinks, self._sinks = self._sinks, {}
        self._abandoned.update(sinks)
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())
        for session, sink in sinks.items():
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
