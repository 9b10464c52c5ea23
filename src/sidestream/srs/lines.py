"""The m-lines of one recording session, each with a receiving endpoint and a recorder in the media engine."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sidestream.base.clock import from_unix_ns, iso_micros
from sidestream.base.ids import Ids
from sidestream.media import engine as media
from sidestream.media.engine import MediaEngine, RecorderStatistics, SessionStatistics, SrtpKey
from sidestream.sdp.answer import usable_lines
from sidestream.sdp.crypto import Crypto, MasterKey
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import Format
from sidestream.sdp.keying import answering_crypto, keying
from sidestream.sdp.lines import Origin
from sidestream.sdp.offer import session_lines
from sidestream.sdp.remote import RemoteAddress, remote_address
from sidestream.sdp.session import SessionDescription
from sidestream.siprec.srs import answer, chosen_formats
from sidestream.srs.archive import Folder

LINE_LIMIT = 16  # streams of one session; the engine's limit of recorders in one

_ORIGIN_ID_LIMIT = 2**31  # keeps o= in what every parser holds in 32 bits


class UnusableOffer(Exception):
    """Not one m-line of an offer can be recorded; the answer is 488."""


@dataclass(slots=True)
class Line:
    """A recorded m-line. `number`, from 1, names its file; a line that is removed and comes back is a new one."""

    index: int  # of the m-line
    number: int
    label: str | None
    codec: str
    path: Path
    host: str
    port: int
    remote: RemoteAddress | None = None
    crypto: Crypto | None = None  # ours, of an SRTP line
    first_sample: datetime | None = None
    statistics: RecorderStatistics | None = None  # once it is closed

    @property
    def name(self) -> str:
        """Of its endpoint and its recorder."""
        return f"line-{self.number}"

    @property
    def is_open(self) -> bool:
        return self.statistics is None


class Lines:
    """Every method that touches the engine may raise `MediaEngineError`; `close` then still has to be called."""

    def __init__(self, session: str, folder: Folder, engine: MediaEngine, ids: Ids, interface: str | None) -> None:
        self.all: list[Line] = []
        self._session = session
        self._folder = folder
        self._engine = engine
        self._interface = interface
        self._ids = ids
        self._origin_id = ids.integer(1, _ORIGIN_ID_LIMIT)
        self._answered: SessionDescription | None = None

    @property
    def current(self) -> SessionDescription | None:
        """What we said last, to be repeated as an offer where the client asks for one (S4: no stream is added)."""
        return self._answered

    async def apply(self, offered: SessionDescription) -> SessionDescription:
        """Open, change and close lines as an offer wants them, and return the answer. Raises `UnusableOffer`."""
        wanted = {index: chosen_formats(offered.media[index]) for index in usable_lines(offered)[:LINE_LIMIT]}
        wanted = {index: formats for index, formats in wanted.items() if formats}
        if not wanted and not self._is_removal(offered):
            raise UnusableOffer("no line with a codec that can be recorded")
        for line in [line for line in self.all if line.is_open and line.index not in wanted]:
            await self._close(line)
        for index, formats in wanted.items():
            line = await self._opened(index, offered, formats)
            line.label, line.codec = offered.media[index].label, formats[0].encoding
            self._take_offer(line, offered)
        reply = self._answer(offered)
        for line in self.all:
            if line.is_open:
                await self._configure(line, offered, reply, wanted[line.index])
        self._answered = reply
        return reply

    def first_packet(self, endpoint: str, at_ns: int) -> None:
        """The first packet of an endpoint came: an estimate of the first sample, until the recorder tells it."""
        for line in self.all:
            if line.name == endpoint and line.first_sample is None:
                line.first_sample = from_unix_ns(at_ns)

    def is_silent_by_agreement(self) -> bool:
        """Whether no line may carry media now (every one inactive or removed)."""
        reply = self._answered
        return reply is None or not any(line.is_open and reply.direction(line.index).receives for line in self.all)

    def settle(self, final: SessionStatistics | None) -> None:
        """Take the recorders' last figures; None when the engine was lost with them."""
        for line in self.all:
            if line.is_open and final is not None and line.name in final.recorders:
                self._take(line, final.recorders[line.name])

    async def _opened(self, index: int, offered: SessionDescription, formats: tuple[Format, ...]) -> Line:
        for line in self.all:
            if line.is_open and line.index == index:
                return line
        number = len(self.all) + 1
        path = self._folder.stream_path(number)
        line = Line(index, number, offered.media[index].label, formats[0].encoding, path, "", 0)
        ports = await self._engine.open_endpoint(self._session, line.name, interface=self._interface)
        line.host, line.port = ports.host, ports.rtp
        self.all.append(line)
        # M15: everything is open before the 200 leaves, so that early packets are recorded.
        await self._engine.open_recorder(self._session, line.name, endpoint=line.name, path=str(path))
        return line

    def _take_offer(self, line: Line, offered: SessionDescription) -> None:
        """Where the client is now, and with which key it is answered."""
        try:
            address = remote_address(offered, line.index)
        except SdpError:
            address = None  # I14: no c= line; where media comes from is learned from its packets
        # RFC 4568 §7.1.4: a client that has moved may be another, which knows nothing of our packets: a new key.
        mine = () if line.crypto is None or address != line.remote else (line.crypto,)
        line.remote, line.crypto = address, answering_crypto(offered.media[line.index], self._ids, mine=mine)

    async def _configure(
        self, line: Line, offered: SessionDescription, reply: SessionDescription, formats: tuple[Format, ...]
    ) -> None:
        remote = remote_rtcp = None
        address = line.remote
        keys = keying(reply.media[line.index], offered.media[line.index])
        if address is not None:
            remote = media.Address(address.host, address.rtp_port)
            remote_rtcp = media.Address(address.rtcp_host, address.rtcp_port)
        await self._engine.configure_endpoint(
            self._session,
            line.name,
            remote=remote,
            remote_rtcp=remote_rtcp,
            formats=tuple(media.Format(f.payload_type, f.encoding, f.clock_rate, f.channels) for f in formats),
            latch=media.Latch.EACH,
            send=False,
            receive=reply.direction(line.index).receives,
            send_key=None if keys is None else _key(keys.send),
            receive_key=None if keys is None else _key(keys.receive),
        )

    async def _close(self, line: Line) -> None:
        self._take(line, await self._engine.close_recorder(self._session, line.name))
        await self._engine.close_endpoint(self._session, line.name)

    def _take(self, line: Line, statistics: RecorderStatistics) -> None:
        line.statistics = statistics
        if statistics.first_sample_ns is not None:
            line.first_sample = from_unix_ns(statistics.first_sample_ns)

    def _is_removal(self, offered: SessionDescription) -> bool:
        """A later offer may take every line away (C14); the session stays."""
        return self._answered is not None and all(line.is_refused for line in offered.media)

    def _answer(self, offered: SessionDescription) -> SessionDescription:
        open_lines = [line for line in self.all if line.is_open]
        origin = Origin("-", self._origin_id, 1, open_lines[0].host if open_lines else "127.0.0.1")
        ports = {line.index: line.port for line in open_lines}
        cryptos = {line.index: line.crypto for line in open_lines if line.crypto is not None}
        reply = answer(offered, host=origin.address, ports=ports, origin=origin, cryptos=cryptos)
        if reply is None:
            refused = tuple(line.refused() for line in offered.media)
            reply = SessionDescription(session_lines(origin.address, origin, "Sidestream"), refused)
        return reply.succeeding(self._answered)


def first_sample_text(line: Line) -> str | None:
    return None if line.first_sample is None else iso_micros(line.first_sample)


def _key(key: MasterKey) -> SrtpKey:
    return SrtpKey(key.suite.value, key.key, key.mki)
