"""An m-line with what follows it (RFC 8866 §5.14)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import STATIC_FORMATS, Format, parse_rtpmap, payload_type_of
from sidestream.sdp.lines import Connection, Line, attribute_values, connection_in, direction_in

HIGHEST_PORT = 65535
REMEMBERED_FORMATS = 256  # m-lines, some hundred octets each; the models of phone that call at one time are fewer
_FORMAT_ATTRIBUTES = ("rtpmap:", "fmtp:")
RTP_PROTOCOL = "RTP/AVP"
SRTP_PROTOCOL = "RTP/SAVP"
# RFC 4568 §4: what `a=crypto` can key. RFC 5124: SAVPF adds early feedback, which nobody has to send.
SECURE_PROTOCOLS = frozenset({SRTP_PROTOCOL, "RTP/SAVPF"})
# RFC 4585 §4: AVPF adds early feedback, which nobody has to send either.
PLAIN_PROTOCOLS = frozenset({RTP_PROTOCOL, "RTP/AVPF"})
_LIKE_RTCP = range(64, 96)


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One media stream. `lines` are all lines after the m-line, in order, unknown ones included.

    `direction` and `connection` are those of this m-line alone; ask the session for the ones in force.
    """

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    port_count: int = 1

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
        port = str(self.port) if self.port_count == 1 else f"{self.port}/{self.port_count}"
        return (Line("m", " ".join((self.media, port, self.protocol, *self.formats))), *self.lines)

    @property
    def is_refused(self) -> bool:
        """Port 0: refused in an answer, removed in an offer (RFC 3264 §6, §8.2)."""
        return self.port == 0

    @property
    def is_rtp_audio(self) -> bool:
        """Whether this platform can carry it: audio by plain RTP, or by SRTP with keys that we can use; not refused."""
        if self.media != "audio" or self.is_refused:
            return False
        return self.protocol in PLAIN_PROTOCOLS or (self.is_secure and bool(self.cryptos))

    @property
    def is_secure(self) -> bool:
        """SRTP with keys in `a=crypto`. The attribute on a line of plain RTP means nothing."""
        return self.protocol in SECURE_PROTOCOLS

    @property
    def cryptos(self) -> tuple[Crypto, ...]:
        """The usable `a=crypto` lines of an SRTP line, most preferred first."""
        if not self.is_secure:
            return ()
        cryptos: dict[int, Crypto] = {}
        for value in self.attribute_values("crypto"):
            crypto = Crypto.parse(value)
            # RFC 4568 §5.1.1: tags are unique; of two lines with one tag an answer could mean either.
            if crypto is not None:
                cryptos.setdefault(crypto.tag, crypto)
        return tuple(cryptos.values())

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTCP may share the RTP port (RFC 5761 §5.1.1), as far as its describer is concerned."""
        return self.attribute("rtcp-mux") is not None

    @property
    def can_mux(self) -> bool:
        """Whether the describer asks for a shared port, and no payload type of the line would be taken for RTCP."""
        # RFC 5761 §4: with the marker bit, payload types 64 to 95 look like RTCP packet types.
        types = (payload_type_of(token) for token in self.formats)
        return self.rtcp_mux and not any(number is not None and number in _LIKE_RTCP for number in types)

    @property
    def direction(self) -> Direction | None:
        return direction_in(self.lines)

    @property
    def connection(self) -> Connection | None:
        return connection_in(self.lines)

    @property
    def label(self) -> str | None:
        """RFC 4574."""
        return self.attribute("label")

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=name`, "" for a flag, None when there is none."""
        values = attribute_values(self.lines, name)
        return values[0].strip() if values else None

    def attribute_values(self, name: str) -> tuple[str, ...]:
        return attribute_values(self.lines, name)

    def rtpmaps(self) -> tuple[Format, ...]:
        """The RTP formats in the m-line's order. A type without a usable rtpmap takes RFC 3551's, else is left out."""
        stated = tuple([value for kind, value in self.lines if kind == "a" and value.startswith(_FORMAT_ATTRIBUTES)])
        return _formats(self.formats, stated)

    def with_lines(self, lines: Iterable[Line]) -> "MediaDescription":
        return MediaDescription(
            self.media, self.port, self.protocol, self.formats, tuple(lines), port_count=self.port_count
        )

    def refused(self) -> "MediaDescription":
        """This m-line with port 0 and nothing that promises media."""
        return MediaDescription(self.media, 0, self.protocol, self.formats)


# Peers say the same from call to call, and each call asks for its formats several times.
@lru_cache(REMEMBERED_FORMATS)
def _formats(tokens: tuple[str, ...], stated: tuple[str, ...]) -> tuple[Format, ...]:
    """`rtpmaps` from the m-line's tokens and its `rtpmap` and `fmtp` attributes."""
    parameters: dict[int, str] = {}
    mapped: dict[int, Format] = {}
    for attribute in stated:
        name, _, value = attribute.partition(":")
        if name == "fmtp":
            number, _, text = value.partition(" ")
            payload_type = payload_type_of(number)
            if payload_type is not None:
                parameters.setdefault(payload_type, text.strip())
        else:
            format_ = parse_rtpmap(value)
            if format_ is not None:
                mapped.setdefault(format_.payload_type, format_)
    found = []
    for token in tokens:
        payload_type = payload_type_of(token)
        format_ = None if payload_type is None else mapped.get(payload_type) or STATIC_FORMATS.get(payload_type)
        if format_ is not None:
            fmtp = parameters.get(format_.payload_type)
            found.append(format_ if fmtp is None else replace(format_, fmtp=fmtp))
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
