"""Descriptions made from nothing: an offer of audio lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sidestream.sdp.content import REMEMBERED_CONTENTS, RTP_PROTOCOL, MediaContent
from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import Format
from sidestream.sdp.lines import Line, Origin, connection_line
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.session import SessionDescription

RTCP_MUX = Line("a", "rtcp-mux")
REMEMBERED_LABEL = 64  # characters; nobody needs longer ones
PACKET_MS = 20  # RFC 3551 §4.2: the default of the formats we speak, and what every known peer sends


@dataclass(frozen=True, slots=True)
class AudioLine:
    """An audio m-line to be written. `label` is an SDP token (RFC 4574 §4).

    `cryptos`: its keys; a line of plain RTP has none. `rtcp_mux`: RTCP shares the port (RFC 5761).
    """

    port: int
    formats: tuple[Format, ...]
    direction: Direction
    label: str | None = None
    protocol: str = RTP_PROTOCOL
    cryptos: tuple[Crypto, ...] = ()
    rtcp_mux: bool = False


def offer(host: str, lines: Sequence[AudioLine], origin: Origin, *, name: str = "Sidestream") -> SessionDescription:
    """A description of `lines`, all received at `host`. Port 0 marks a line that is refused or removed."""
    return SessionDescription(session_lines(host, origin, name), tuple(media_of(line) for line in lines))


def session_lines(host: str, origin: Origin, name: str) -> tuple[Line, ...]:
    """The lines that RFC 8866 §5 demands before the first m-line, with one `c=` for all."""
    return (
        Line("v", "0"),
        Line("o", str(origin)),
        Line("s", name),
        connection_line(host),
        Line("t", "0 0"),
    )


def media_of(line: AudioLine) -> MediaDescription:
    """`line` as an m-line with its crypto, rtpmap, fmtp, ptime, direction and label."""
    # With keys it is of one call alone; a label is for the peer to choose.
    is_lasting = not line.cryptos and len(line.label or "") <= REMEMBERED_LABEL
    make = _content if is_lasting else _content.__wrapped__
    made = make(line.protocol, line.formats, line.cryptos, line.direction, line.label, rtcp_mux=line.rtcp_mux)
    return MediaDescription.of(made, line.port)


@lru_cache(REMEMBERED_CONTENTS)
def _content(
    protocol: str,
    formats: tuple[Format, ...],
    cryptos: tuple[Crypto, ...],
    direction: Direction,
    label: str | None,
    *,
    rtcp_mux: bool,
) -> MediaContent:
    attributes = [crypto.to_line() for crypto in cryptos]
    attributes += [Line("a", f"rtpmap:{format_.rtpmap}") for format_ in formats]
    attributes += [Line("a", f"fmtp:{f.payload_type} {f.fmtp}") for f in formats if f.fmtp is not None]
    attributes.append(Line("a", f"ptime:{PACKET_MS}"))
    attributes.append(Line("a", direction.value))
    if rtcp_mux:
        attributes.append(RTCP_MUX)
    if label is not None:
        attributes.append(Line("a", f"label:{label}"))
    numbers = tuple(str(format_.payload_type) for format_ in formats)
    return MediaContent("audio", protocol, numbers, tuple(attributes))
