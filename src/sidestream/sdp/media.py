"""An m-line with what follows it (RFC 8866 §5.14)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sidestream.sdp.content import MediaContent
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import Format
from sidestream.sdp.lines import Connection, Line

HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True, init=False)
class MediaDescription:
    """One media stream. `lines` are all lines after the m-line, in order, unknown ones included.

    `direction` and `connection` are those of this m-line alone; ask the session for the ones in force.
    """

    port: int
    content: MediaContent
    port_count: int

    def __init__(
        self,
        media: str,
        port: int,
        protocol: str,
        formats: tuple[str, ...],
        lines: tuple[Line, ...] = (),
        port_count: int = 1,
    ) -> None:
        object.__setattr__(self, "port", port)
        object.__setattr__(self, "content", MediaContent(media, protocol, formats, lines))
        object.__setattr__(self, "port_count", port_count)

    @classmethod
    def of(cls, content: MediaContent, port: int, port_count: int = 1) -> "MediaDescription":
        """A medium with a content that is there already."""
        made = object.__new__(cls)
        object.__setattr__(made, "port", port)
        object.__setattr__(made, "content", content)
        object.__setattr__(made, "port_count", port_count)
        return made

    @classmethod
    def parse_line(cls, value: str, line: int = 0) -> "MediaDescription":
        """An m-line's value: `audio 49170 RTP/AVP 0 8`; raises SdpError."""
        fields = value.split()
        if len(fields) < 4:
            raise SdpError(f"malformed m= line {value[:80]!r}", line=line)
        port, slash, count = fields[1].partition("/")
        port_count = _number(count) if slash else 1
        port_number = _number(port)
        if port_number is None or port_number > HIGHEST_PORT or not port_count:
            raise SdpError(f"bad port {fields[1][:40]!r} in an m= line", line=line)
        return cls(fields[0], port_number, fields[2], tuple(fields[3:]), (), port_count)

    def to_lines(self) -> tuple[Line, ...]:
        return (Line("m", " ".join((self.media, self._ports, self.protocol, *self.formats))), *self.lines)

    def to_text(self) -> str:
        """The m-line and its lines as they are written, with CRLF after each."""
        return f"m={self.content.media} {self._ports}{self.content.text}"

    @property
    def _ports(self) -> str:
        return str(self.port) if self.port_count == 1 else f"{self.port}/{self.port_count}"

    @property
    def media(self) -> str:
        return self.content.media

    @property
    def protocol(self) -> str:
        return self.content.protocol

    @property
    def formats(self) -> tuple[str, ...]:
        return self.content.formats

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.content.lines

    @property
    def is_refused(self) -> bool:
        """Port 0: refused in an answer, removed in an offer (RFC 3264 §6, §8.2)."""
        return self.port == 0

    @property
    def is_rtp_audio(self) -> bool:
        """Whether this platform can carry it: audio by plain RTP, or by SRTP with keys that we can use; not refused."""
        return self.port != 0 and self.content.is_rtp_audio

    @property
    def is_secure(self) -> bool:
        """SRTP with keys in `a=crypto`. The attribute on a line of plain RTP means nothing."""
        return self.content.is_secure

    @property
    def cryptos(self) -> tuple[Crypto, ...]:
        """The usable `a=crypto` lines of an SRTP line, most preferred first."""
        return self.content.cryptos

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTCP may share the RTP port (RFC 5761 §5.1.1), as far as its describer is concerned."""
        return self.attribute("rtcp-mux") is not None

    @property
    def can_mux(self) -> bool:
        """Whether the describer asks for a shared port, and no payload type of the line would be taken for RTCP."""
        return self.content.can_mux

    @property
    def direction(self) -> Direction | None:
        return self.content.direction

    @property
    def connection(self) -> Connection | None:
        return self.content.connection

    @property
    def label(self) -> str | None:
        """RFC 4574."""
        return self.attribute("label")

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=name`, "" for a flag, None when there is none."""
        return self.content.attribute(name)

    def attribute_values(self, name: str) -> tuple[str, ...]:
        return self.content.attribute_values(name)

    def rtpmaps(self) -> tuple[Format, ...]:
        """The RTP formats in the m-line's order. A type without a usable rtpmap takes RFC 3551's, else is left out."""
        return self.content.rtpmaps

    def with_lines(self, lines: Iterable[Line]) -> "MediaDescription":
        return MediaDescription(self.media, self.port, self.protocol, self.formats, tuple(lines), self.port_count)

    def refused(self) -> "MediaDescription":
        """This m-line with port 0 and nothing that promises media."""
        return MediaDescription.of(self.content.refused(), 0)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
