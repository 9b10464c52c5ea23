"""What a media engine can do, in the control side's words.

The vocabulary is that of docs/topics/media-protocol.md: a *session* holds a call's media; an *endpoint* is a local
RTP/RTCP port pair with a remote; a *route* relays what one endpoint receives to another; a *fork* copies one side of an
endpoint to an SRS; a *player* sends a file into an endpoint; a *recorder* writes what an
endpoint receives to a file. Names of sessions are unique in the engine, all others within their session.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Protocol

from sidestream.base.secret import Secret


class Side(StrEnum):
    """Which audio of an endpoint a fork copies, seen from the platform."""

    INBOUND = "inbound"  # what the endpoint receives from its remote
    OUTBOUND = "outbound"  # what is sent to its remote: relayed and played


class Latch(StrEnum):
    """Whose packets become an endpoint's remote (symmetric RTP, RFC 4961)."""

    EACH = "each"  # the first valid source's after each configuration: signalling may have moved the peer
    FIRST = "first"  # the first valid source's, until another remote is told
    SIGNALLED = "signalled"  # nobody's: only what comes from the told remote is heard


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address literal and a UDP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """Where an endpoint or fork receives: the host to advertise in SDP, an even RTP port and the RTCP port above it."""

    host: str
    rtp: int
    rtcp: int


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of an m-line: `Format(0, "PCMU", 8000)`. `encoding` is upper case."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class SrtpKey:
    """What one direction is protected with (RFC 4568 §6.1): base64 of master key and salt, mark of the key in hex."""

    suite: str
    key: Secret
    mki: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a stream arrived at an endpoint, over all its SSRCs (section 5.9 of the protocol)."""

    duplicates: int = 0
    reordered: int = 0
    gaps: int = 0  # runs of lost packets
    longest_gap: int = 0  # packets
    bursts: int = 0  # RFC 3611 §4.7.2
    burst_density: float = 0.0  # share of packets lost in bursts
    burst_ms: float = 0.0  # their mean length
    gap_density: float = 0.0
    gap_ms: float = 0.0
    ssrc_changes: int = 0
    restarts: int = 0
    wraps: int = 0
    skew_ppm: float | None = None  # the source's clock against ours; None while that cannot be told
    mos: float | None = None  # 1 to 4.5, G.711 after G.107; None for other codecs


@dataclass(frozen=True, slots=True)
class Tone:
    """Frequencies in Hz (20 to 3999, at most four) that sound together for `ms`; without any, silence."""

    frequencies_hz: tuple[int, ...]
    ms: int


@dataclass(frozen=True, slots=True)
class EndpointStatistics:
    packets_received: int
    octets_received: int
    packets_sent: int
    octets_sent: int
    lost: int  # RFC 3550 §6.4.1 cumulative loss of what was received
    jitter_ms: float
    strays: int  # packets from an unexpected source, or far more than speech makes, dropped
    unauthenticated: int = 0  # SRTP and SRTCP that the key does not fit, dropped
    replayed: int = 0  # SRTP and SRTCP that came twice or far too late, dropped
    unprotected: int = 0  # packets not sent because they could not be protected
    quality: Quality = Quality()


@dataclass(frozen=True, slots=True)
class ForkStatistics:
    packets_sent: int
    octets_sent: int
    send_errors: int
    first_packet_ns: int | None  # wall clock, ns since 1970, at which the first packet left; None before that
    unprotected: int = 0  # packets not sent because they could not be protected


@dataclass(frozen=True, slots=True)
class RecordingGap:
    """Silence in a recording that stands for lost packets, by the file's time."""

    at_ms: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class RecorderStatistics:
    path: str
    packets: int
    lost: int
    duplicates: int
    late: int
    samples: int  # length of the file, at 8000 Hz
    first_sample_ns: int | None  # wall clock of the file's first sample; None while nothing was received
    gaps: tuple[RecordingGap, ...] = ()  # in order; the engine lists the first 1000
    dropped_samples: int = 0  # silent in the file because they could not be written: a disk that is full, or too slow


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    endpoints: dict[str, EndpointStatistics]
    forks: dict[str, ForkStatistics]
    recorders: dict[str, RecorderStatistics]


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Totals of the process. Latency is kernel arrival to send call, over all relayed packets, in microseconds."""

    sessions: int
    packets_relayed: int
    packets_forked: int
    latency_p50_us: float
    latency_p99_us: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first RTP packet of an endpoint arrived."""

    session: str
    endpoint: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Latched:
    """An endpoint's remote was learned from, or moved to, the source of its packets (symmetric RTP, RFC 4961)."""

    session: str
    endpoint: str
    remote: Address


@dataclass(frozen=True, slots=True)
class SilenceTimeout:
    """An endpoint that may receive has received nothing for the engine's silence time."""

    session: str
    endpoint: str
    silent_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A telephone-event (RFC 4733) ended on an endpoint; reported once for its repeated end packets."""

    session: str
    endpoint: str
    digit: str  # 0-9 * # A-D
    duration_ms: int


@dataclass(frozen=True, slots=True)
class SsrcChanged:
    session: str
    endpoint: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Unauthenticated:
    """The key of an endpoint did not fit 50 packets in a row; told once after each configuration."""

    session: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The remote of an endpoint or fork answered with ICMP unreachable. At most one a second for each."""

    session: str
    name: str  # the endpoint or fork


@dataclass(frozen=True, slots=True)
class ForkStarted:
    """The first packet of a fork left after it became active."""

    session: str
    fork: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class PlayerEnded:
    session: str
    player: str
    completed: bool  # False when it was stopped or its endpoint closed


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The engine's process or socket is gone and every session with it. Made by the client, not by the engine."""

    session: str
    reason: str


MediaEvent = (
    FirstPacket
    | Latched
    | SilenceTimeout
    | Dtmf
    | SsrcChanged
    | Unauthenticated
    | Unreachable
    | ForkStarted
    | PlayerEnded
    | EngineLost
)


class MediaEngineError(Exception):
    """The engine refused a command or cannot be reached. `code` is one of the protocol's error codes."""

    _ALERTS: ClassVar[Mapping[str, int]] = MappingProxyType({"limit": 32210, "no-ports": 32210, "overload": 32211})

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def is_busy(self) -> bool:
        """Whether the engine has as much as it may have or can bear: others may be served later."""
        return self.code in self._ALERTS

    @property
    def alert(self) -> int:
        """The catalogue's code for it."""
        return self._ALERTS.get(self.code, 31900)


class MediaEngine(Protocol):
    """A media engine. Every command may raise `MediaEngineError`; closing what is already closed raises nothing.

    Commands are carried out in the order in which they are made. Those that are no coroutine functions here may be sent
    before they are awaited, for `together`.
    """

    def open_session(self, session: str) -> Awaitable[None]:
        """Create a session; opening an open one changes nothing."""
        ...

    async def close_session(self, session: str) -> SessionStatistics:
        """Close a session with everything in it; its ports cool down. Returns the final statistics."""
        ...

    def open_endpoint(self, session: str, endpoint: str, *, interface: str | None = None) -> Awaitable[LocalPorts]:
        """Allocate a port pair. It receives at once but relays nothing until configured."""
        ...

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
        """Set what offer/answer agreed. `remote_rtcp` defaults to the RTP port + 1. May be repeated (re-INVITE).

        `formats`: what the payload types that are received mean. `send_formats`: how the remote numbers what it takes;
        () means the same. Routes map what differs between their two sides, and convert between PCMU and PCMA.
        `latch`: which source becomes the remote. `send`, `receive`: the direction, as seen from us. `rtcp_mux`: RTCP
        shares the RTP ports of both sides (RFC 5761), and `remote_rtcp` counts for nothing.
        With keys, both of them, it is SRTP and SRTCP alone; a key that was replaced must not be set again.
        """
        ...

    async def close_endpoint(self, session: str, endpoint: str) -> EndpointStatistics:
        """Close an endpoint with what hangs on it. Returns its final statistics, zeroes if it was not open."""
        ...

    def set_route(self, session: str, source: str, sink: str | None) -> Awaitable[None]:
        """Relay RTP and RTCP received on `source` to the remote of `sink`; None cuts the relay. One sink a source."""
        ...

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
        """Find the ports that a fork sends from. Nothing is sent until it is configured active.

        Forks of one session have different ports; without `own_ports`, forks of other sessions send from the same.
        `batch_ms`, 0 to 160: packets of so much audio leave together, which takes less work; live listeners want 0.
        `drop_dtmf`: telephone events are left out without a gap, whatever the SRS takes.
        """
        ...

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
        """Point a fork at the SRS, pause (`active=False`) or resume it. Only payload types in `formats` are sent.

        Keys as of an endpoint; `receive_key` is for the SRS's RTCP.
        """
        ...

    async def close_fork(self, session: str, fork: str) -> ForkStatistics: ...

    async def play(
        self, session: str, player: str, *, endpoint: str, path: str, loops: int = 1, start_ms: int = 0
    ) -> None:
        """Send a WAV file (8 kHz mono, 16-bit PCM, A-law or mu-law) into an endpoint, every 20 ms, `loops` times.

        `loops=0` repeats until stopped; the first turn begins at `start_ms`. The endpoint's first G.711 format is used.
        Ends with `PlayerEnded`.
        """
        ...

    async def play_tones(
        self, session: str, player: str, *, endpoint: str, tones: tuple[Tone, ...], level_dbm0: float, loops: int = 1
    ) -> None:
        """Send tones one after the other, each frequency at this level, like a file."""
        ...

    async def seek_player(self, session: str, player: str, position_ms: int) -> None:
        """Let a player of a file or tones go on at another place. Raises MediaEngineError if it does not run."""
        ...

    async def send_digits(
        self, session: str, player: str, *, endpoint: str, digits: str, tone_ms: int = 100, gap_ms: int = 100
    ) -> None:
        """Dial `0-9 * # A-D` into an endpoint; `w` waits half a second, `W` a second.

        By telephone events (RFC 4733), or as tones to a remote that takes none. It is a player: meanwhile nothing is
        relayed to the endpoint, `stop_player` stops it, and it ends with `PlayerEnded`.
        """
        ...

    async def stop_player(self, session: str, player: str) -> None: ...

    async def open_recorder(self, session: str, recorder: str, *, endpoint: str, path: str) -> None:
        """Write what `endpoint` receives to `path`: WAV, 8 kHz mono 16-bit, gaps filled with silence in real time."""
        ...

    async def close_recorder(self, session: str, recorder: str) -> RecorderStatistics: ...

    async def session_statistics(self, session: str) -> SessionStatistics: ...

    async def engine_statistics(self) -> EngineStatistics: ...

    async def list_sessions(self) -> list[str]: ...

    def subscribe(self, session: str, sink: Callable[[MediaEvent], None]) -> None:
        """Hand this session's events to `sink`, on the event loop. One sink a session; closing ends it."""
        ...
