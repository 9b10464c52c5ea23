"""A media engine in memory: it moves no packet, remembers what it was told and says what a test wants said."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

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
    PlayerEnded,
    RecorderStatistics,
    SessionStatistics,
    Side,
    SrtpKey,
    Tone,
)

FIRST_PORT = 40000
ALWAYS = 1_000_000  # `times` of a failure that never wears off

_NO_PACKETS = EndpointStatistics(0, 0, 0, 0, 0, 0.0, 0)
_NOTHING_FORKED = ForkStatistics(0, 0, 0, None)

T = TypeVar("T")


@dataclass(slots=True)
class FakeEndpoint:
    """What an endpoint was last told. `statistics` is reported as it stands: set it from the test."""

    interface: str
    ports: LocalPorts
    remote: Address | None = None
    remote_rtcp: Address | None = None
    formats: tuple[Format, ...] = ()
    send_formats: tuple[Format, ...] = ()
    latch: Latch = Latch.EACH
    send: bool = False
    receive: bool = False
    rtcp_mux: bool = False
    send_key: SrtpKey | None = None
    receive_key: SrtpKey | None = None
    configured: int = 0  # how often configure_endpoint was called
    statistics: EndpointStatistics = _NO_PACKETS


@dataclass(slots=True)
class FakeFork:
    """What a fork was last told; `history` keeps each configuration's `active`, first to last."""

    endpoint: str
    side: Side
    cname: str
    interface: str
    ports: LocalPorts
    batch_ms: int = 0
    own_ports: bool = False
    drop_dtmf: bool = False
    remote: Address | None = None
    remote_rtcp: Address | None = None
    active: bool = False
    formats: tuple[Format, ...] = ()
    send_key: SrtpKey | None = None
    receive_key: SrtpKey | None = None
    history: list[bool] = field(default_factory=list)
    statistics: ForkStatistics = _NOTHING_FORKED


@dataclass(frozen=True, slots=True)
class FakePlayer:
    """A file, tones or digits on their way into an endpoint; `position_ms` is where it was last told to be."""

    endpoint: str
    path: str = ""
    loops: int = 1
    position_ms: int = 0
    tones: tuple[Tone, ...] = ()
    digits: str = ""


@dataclass(slots=True)
class FakeRecorder:
    endpoint: str
    path: str
    statistics: RecorderStatistics


@dataclass(slots=True)
class FakeSession:
    endpoints: dict[str, FakeEndpoint] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)  # source endpoint → sink endpoint
    forks: dict[str, FakeFork] = field(default_factory=dict)
    players: dict[str, FakePlayer] = field(default_factory=dict)
    recorders: dict[str, FakeRecorder] = field(default_factory=dict)

    def statistics(self) -> SessionStatistics:
        return SessionStatistics(
            endpoints={name: endpoint.statistics for name, endpoint in self.endpoints.items()},
            forks={name: fork.statistics for name, fork in self.forks.items()},
            recorders={name: recorder.statistics for name, recorder in self.recorders.items()},
        )


@dataclass(slots=True)
class _Failure:
    code: str
    message: str
    times: int


class FakeEngine:
    """A `MediaEngine` whose state is `sessions`, plain data to assert on, and `commands`, what was asked in order.

    `closed` keeps the sessions that were closed, so that a test can look at a call's media after its end.
    """

    def __init__(self, host: str = "127.0.0.1", *, interfaces: Collection[str] = ("default",)) -> None:
        self.host = host
        self.interfaces = tuple(interfaces)
        self.sessions: dict[str, FakeSession] = {}
        self.closed: dict[str, FakeSession] = {}
        self.commands: list[tuple[str, str]] = []  # (command, session or session/name)
        self._sinks: dict[str, Callable[[MediaEvent], None]] = {}
        self._failures: dict[str, _Failure] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._next_port = FIRST_PORT
        self._shared: dict[str, list[LocalPorts]] = {}

    # What the test says

    def emit(self, event: MediaEvent) -> None:
        """Hand `event` to the session's subscriber now; one without a subscriber is dropped, as in the engine."""
        sink = self._sinks.get(event.session)
        if sink is not None:
            sink(event)

    def fail(self, command: str, code: str = "internal", message: str = "told to fail", *, times: int = 1) -> None:
        """Make the next `times` calls of the method named `command` raise `MediaEngineError(code, message)`."""
        self._failures[command] = _Failure(code, message, times)

    def hold(self, command: str) -> asyncio.Event:
        """Keep calls of `command` waiting until the returned event is set; then they proceed for good."""
        gate = self._held[command] = asyncio.Event()
        return gate

    def lose(self, reason: str = "engine died") -> None:
        """Die and come back empty: every subscriber gets `EngineLost`, every session is gone."""
        self.closed.update(self.sessions)
        self.sessions.clear()
        sinks, self._sinks = self._sinks, {}
        for session, sink in sinks.items():
            sink(EngineLost(session, reason))

    # MediaEngine

    async def open_session(self, session: str) -> None:
        await self._begin("open_session", session)
        self.sessions.setdefault(session, FakeSession())

    async def close_session(self, session: str) -> SessionStatistics:
        await self._begin("close_session", session)
        found = self.sessions.pop(session, None)
        if found is None:
            self._sinks.pop(session, None)
            return FakeSession().statistics()
        self.closed[session] = found
        for player in found.players:
            self.emit(PlayerEnded(session, player, completed=False))
        self._sinks.pop(session, None)
        return found.statistics()

    async def open_endpoint(self, session: str, endpoint: str, *, interface: str | None = None) -> LocalPorts:
        await self._begin("open_endpoint", session, endpoint)
        interface = interface or self.interfaces[0]
        endpoints = self._session(session).endpoints
        if endpoint not in endpoints:
            endpoints[endpoint] = FakeEndpoint(interface, self._allocate(interface))
        _same(endpoint, endpoints[endpoint].interface, interface)
        return endpoints[endpoint].ports

    async def configure_endpoint(
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
    ) -> None:
        await self._begin("configure_endpoint", session, endpoint)
        found = _named(self._session(session).endpoints, endpoint, "endpoint")
        found.remote, found.remote_rtcp, found.formats = remote, remote_rtcp, formats
        found.send_formats = send_formats or formats
        found.latch, found.send, found.receive, found.rtcp_mux = latch, send, receive, rtcp_mux
        found.send_key, found.receive_key = _both_or_neither(send_key, receive_key)
        found.configured += 1

    async def close_endpoint(self, session: str, endpoint: str) -> EndpointStatistics:
        await self._begin("close_endpoint", session, endpoint)
        found = self.sessions.get(session)
        closed = None if found is None else found.endpoints.pop(endpoint, None)
        if found is None or closed is None:
            return _NO_PACKETS
        found.routes = {source: sink for source, sink in found.routes.items() if endpoint not in (source, sink)}
        found.forks = {name: fork for name, fork in found.forks.items() if fork.endpoint != endpoint}
        found.recorders = {name: one for name, one in found.recorders.items() if one.endpoint != endpoint}
        for player in [name for name, one in found.players.items() if one.endpoint == endpoint]:
            self._end_player(session, player, completed=False)
        return closed.statistics

    async def set_route(self, session: str, source: str, sink: str | None) -> None:
        await self._begin("set_route", session, source)
        found = self._session(session)
        _named(found.endpoints, source, "endpoint")
        if sink is None:
            found.routes.pop(source, None)
            return
        _named(found.endpoints, sink, "endpoint")
        found.routes[source] = sink

    async def open_fork(
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
    ) -> LocalPorts:
        await self._begin("open_fork", session, fork)
        interface = interface or self.interfaces[0]
        found = self._session(session)
        _named(found.endpoints, endpoint, "endpoint")
        if fork not in found.forks:
            ports = self._allocate(interface) if own_ports else self._shared_ports(found, interface)
            found.forks[fork] = FakeFork(endpoint, side, cname, interface, ports, batch_ms, own_ports, drop_dtmf)
        open_ = found.forks[fork]
        before = (open_.endpoint, open_.side, open_.cname, open_.interface, open_.batch_ms, open_.own_ports)
        _same(fork, (*before, open_.drop_dtmf), (endpoint, side, cname, interface, batch_ms, own_ports, drop_dtmf))
        return open_.ports

    async def configure_fork(
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
    ) -> None:
        await self._begin("configure_fork", session, fork)
        found = _named(self._session(session).forks, fork, "fork")
        if send_key is not None and not found.own_ports:
            raise MediaEngineError("bad-field", "a fork with keys has ports of its own")
        found.remote, found.remote_rtcp, found.active, found.formats = remote, remote_rtcp, active, formats
        found.send_key, found.receive_key = _both_or_neither(send_key, receive_key)
        found.history.append(active)

    async def close_fork(self, session: str, fork: str) -> ForkStatistics:
        await self._begin("close_fork", session, fork)
        found = self.sessions.get(session)
        closed = found.forks.pop(fork, None) if found else None
        return closed.statistics if closed else _NOTHING_FORKED

    async def play(
        self, session: str, player: str, *, endpoint: str, path: str, loops: int = 1, start_ms: int = 0
    ) -> None:
        await self._begin("play", session, player)
        self._start_player(session, player, FakePlayer(endpoint, path, loops, start_ms))

    async def play_tones(
        self, session: str, player: str, *, endpoint: str, tones: tuple[Tone, ...], level_dbm0: float, loops: int = 1
    ) -> None:
        await self._begin("play_tones", session, player)
        self._start_player(session, player, FakePlayer(endpoint, loops=loops, tones=tones))

    async def seek_player(self, session: str, player: str, position_ms: int) -> None:
        await self._begin("seek_player", session, player)
        players = self._session(session).players
        players[player] = replace(_named(players, player, "player"), position_ms=position_ms)

    async def send_digits(
        self, session: str, player: str, *, endpoint: str, digits: str, tone_ms: int = 100, gap_ms: int = 100
    ) -> None:
        await self._begin("send_digits", session, player)
        self._start_player(session, player, FakePlayer(endpoint, digits=digits))

    async def stop_player(self, session: str, player: str) -> None:
        await self._begin("stop_player", session, player)
        if session in self.sessions and player in self.sessions[session].players:
            self._end_player(session, player, completed=False)

    def finish_player(self, session: str, player: str) -> None:
        """Let a player reach the end of its file."""
        self._end_player(session, player, completed=True)

    async def open_recorder(self, session: str, recorder: str, *, endpoint: str, path: str) -> None:
        await self._begin("open_recorder", session, recorder)
        found = self._session(session)
        _named(found.endpoints, endpoint, "endpoint")
        if recorder not in found.recorders:
            found.recorders[recorder] = FakeRecorder(endpoint, path, RecorderStatistics(path, 0, 0, 0, 0, 0, None))
        open_ = found.recorders[recorder]
        _same(recorder, (open_.endpoint, open_.path), (endpoint, path))

    async def close_recorder(self, session: str, recorder: str) -> RecorderStatistics:
        await self._begin("close_recorder", session, recorder)
        found = self.sessions.get(session)
        closed = found.recorders.pop(recorder, None) if found else None
        return closed.statistics if closed else RecorderStatistics("", 0, 0, 0, 0, 0, None)

    async def session_statistics(self, session: str) -> SessionStatistics:
        await self._begin("session_statistics", session)
        return self._session(session).statistics()

    async def engine_statistics(self) -> EngineStatistics:
        await self._begin("engine_statistics", "")
        return EngineStatistics(len(self.sessions), 0, 0, 0.0, 0.0, 0)

    async def list_sessions(self) -> list[str]:
        await self._begin("list_sessions", "")
        return list(self.sessions)

    def subscribe(self, session: str, sink: Callable[[MediaEvent], None]) -> None:
        self._sinks[session] = sink

    def _start_player(self, session: str, player: str, wanted: FakePlayer) -> None:
        found = self._session(session)
        _named(found.endpoints, wanted.endpoint, "endpoint")
        if player in found.players:
            raise MediaEngineError("conflict", f"player {player!r} is open already")
        for other in [name for name, one in found.players.items() if one.endpoint == wanted.endpoint]:
            self._end_player(session, other, completed=False)
        found.players[player] = wanted

    def _end_player(self, session: str, player: str, *, completed: bool) -> None:
        del self.sessions[session].players[player]
        self.emit(PlayerEnded(session, player, completed))

    async def _begin(self, command: str, session: str, name: str | None = None) -> None:
        self.commands.append((command, session if name is None else f"{session}/{name}"))
        # One turn of the loop, as the socket would take: a caller that forgets to await is found out.
        await asyncio.sleep(0)
        if command in self._held:
            await self._held[command].wait()
        failure = self._failures.get(command)
        if failure is not None:
            failure.times -= 1
            if failure.times <= 0:
                del self._failures[command]
            raise MediaEngineError(failure.code, failure.message)

    def _session(self, session: str) -> FakeSession:
        return _named(self.sessions, session, "session")

    def _shared_ports(self, session: FakeSession, interface: str) -> LocalPorts:
        """Ports that forks of other sessions have as well, but none of this one."""
        taken = {fork.ports for fork in session.forks.values()}
        known = self._shared.setdefault(interface, [])
        free = next((ports for ports in known if ports not in taken), None)
        if free is None:
            free = self._allocate(interface)
            known.append(free)
        return free

    def _allocate(self, interface: str) -> LocalPorts:
        if interface not in self.interfaces:
            raise MediaEngineError("no-interface", f"no interface {interface!r}")
        rtp = self._next_port
        self._next_port += 2
        return LocalPorts(self.host, rtp, rtp + 1)


def names(commands: list[tuple[str, str]], session: str) -> Iterator[str]:
    """The commands that concerned `session`, in order."""
    return (command for command, target in commands if target == session or target.startswith(f"{session}/"))


def _named(table: dict[str, T], name: str, kind: str) -> T:
    try:
        return table[name]
    except KeyError:
        raise MediaEngineError(f"no-{kind}", f"no {kind} {name!r}") from None


def _same(name: str, open_: object, wanted: object) -> None:
    """Opening what is open is fine if it asks for the same."""
    if open_ != wanted:
        raise MediaEngineError("conflict", f"{name!r} is open with other parameters")


def _both_or_neither(send: SrtpKey | None, receive: SrtpKey | None) -> tuple[SrtpKey | None, SrtpKey | None]:
    if (send is None) is not (receive is None):
        raise MediaEngineError("bad-field", "send_key and receive_key come together")
    return send, receive
