"""The forked streams of one recording: forks in the media engine, by label."""

from collections.abc import Awaitable, Sequence

from sidestream.base.ids import Ids
from sidestream.connectors.connector import ConnectorOptions
from sidestream.media.engine import (
    Address,
    ForkStatistics,
    Format,
    LocalPorts,
    MediaEngine,
    MediaEngineError,
    Side,
    SrtpKey,
)
from sidestream.media.together import together
from sidestream.recording.call import RecordedCall
from sidestream.recording.siprec import Track
from sidestream.sdp import formats as sdp_formats
from sidestream.sdp.crypto import MasterKey
from sidestream.siprec.snapshot import INBOUND, OUTBOUND
from sidestream.siprec.src.actions import ConfigureFork
from sidestream.siprec.src.lines import OfferedFork

CNAME_DIGITS = 24  # hex digits: RFC 7022 §4.2 asks for 96 random bits

_SIDES = {INBOUND: Side.INBOUND, OUTBOUND: Side.OUTBOUND}
_LABELS = {Track.INBOUND: (INBOUND,), Track.OUTBOUND: (OUTBOUND,), Track.BOTH: (INBOUND, OUTBOUND)}


class ForkSet:
    """The forks of one Siprec. They outlive a failed recording server: the next one is offered the same ports.

    `is_secure`: at least one of the servers gets SRTP.
    Every method that awaits may raise MediaEngineError, but `close` never does.
    """

    def __init__(
        self,
        engine: MediaEngine,
        ids: Ids,
        siprec_sid: str,
        call: RecordedCall,
        track: Track,
        options: ConnectorOptions,
        *,
        is_secure: bool = False,
    ) -> None:
        self._engine = engine
        self._ids = ids
        self._sid = siprec_sid
        self._session = call.media_session
        self._endpoint = call.endpoint
        offered = (to_sdp(format_) for format_ in call.formats)
        self._formats = tuple(f for f in offered if options.dtmf or f.encoding != sdp_formats.TELEPHONE_EVENT)
        self._labels = _LABELS[track]
        self._options = options
        self._is_secure = is_secure
        self._open: list[str] = []
        self.host = ""  # the address to advertise, known once open
        self.offered: tuple[OfferedFork, ...] = ()

    async def open(self) -> None:
        """Allocate the ports. Nothing is sent yet."""
        self._open = list(self._labels)  # also those that fail: nothing is lost by closing what is not open
        opened = await together(*[self._begin(label) for label in self._labels])
        self.host = opened[0].host
        self.offered = tuple(
            OfferedFork(label, self._ids.uuid_base64(), ports.rtp, self._formats)
            for label, ports in zip(self._labels, opened, strict=True)
        )

    def _begin(self, label: str) -> Awaitable[LocalPorts]:
        return self._engine.open_fork(
            self._session,
            self._name(label),
            endpoint=self._endpoint,
            side=_SIDES[label],
            # C26, RFC 7866 §8.3.1: a CNAME of its own for each stream of the recording.
            cname=self._ids.hex(CNAME_DIGITS),
            interface=self._options.media_interface,
            batch_ms=self._options.fork_batch_ms,
            # From shared ports a secure fork could not hear its server: only decrypted it says whom it speaks to.
            own_ports=self._options.own_fork_ports or self._is_secure,
            drop_dtmf=not self._options.dtmf,
        )

    def restore(self, host: str, offered: tuple[OfferedFork, ...]) -> None:
        """Instead of `open`: the engine has these already, from before a restart."""
        self.host, self.offered = host, offered
        self._open = [fork.label for fork in offered]

    async def configure(self, actions: Sequence[ConfigureFork]) -> None:
        """Carry these out, in one go."""
        await together(*[self._configure(action) for action in actions])

    def _configure(self, action: ConfigureFork) -> Awaitable[None]:
        remote = action.remote
        return self._engine.configure_fork(
            self._session,
            self._name(action.label),
            remote=None if remote is None else Address(remote.host, remote.rtp_port),
            remote_rtcp=None if remote is None else Address(remote.rtcp_host, remote.rtcp_port),
            active=action.active,
            formats=tuple(Format(f.payload_type, f.encoding, f.clock_rate, f.channels) for f in action.formats),
            send_key=None if action.keying is None else _to_engine(action.keying.send),
            receive_key=None if action.keying is None else _to_engine(action.keying.receive),
        )

    async def close(self) -> dict[str, ForkStatistics]:
        """Free the ports; final statistics by label, of those forks that the engine still knew."""
        statistics = {}
        while self._open:
            label = self._open.pop(0)
            try:
                statistics[label] = await self._engine.close_fork(self._session, self._name(label))
            except MediaEngineError:
                continue  # an engine that is gone has closed it
        return statistics

    def is_mine(self, fork: str) -> bool:
        """Whether a fork of the engine's events is one of these."""
        return fork in (self._name(label) for label in self._labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are open, as the engine calls them."""
        return tuple(self._name(label) for label in self._open)

    def _name(self, label: str) -> str:
        return f"{self._sid}/{label}"


def _to_engine(key: MasterKey) -> SrtpKey:
    return SrtpKey(key.suite.value, key.key, key.mki)


def to_sdp(format_: Format) -> sdp_formats.Format:
    """A format of the engine as SDP names it."""
    # RFC 4733 §2.4.1: without fmtp the events 0-15 are meant; 16 is the hook flash that phones send as well.
    fmtp = sdp_formats.EVENTS.fmtp if format_.encoding == sdp_formats.TELEPHONE_EVENT else None
    return sdp_formats.Format(format_.payload_type, format_.encoding, format_.clock_rate, format_.channels, fmtp)
