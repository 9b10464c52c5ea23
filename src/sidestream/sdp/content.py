"""What an m-line and the lines below it say, all but the port (RFC 8866 §5.14)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from sidestream.sdp.crypto import Crypto
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import STATIC_FORMATS, Format, parse_rtpmap, payload_type_of
from sidestream.sdp.lines import DIRECTION_NAMES, Connection, Line

RTP_PROTOCOL = "RTP/AVP"
SRTP_PROTOCOL = "RTP/SAVP"
# RFC 4568 §4: what `a=crypto` can key. RFC 5124: SAVPF adds early feedback, which nobody has to send.
SECURE_PROTOCOLS = frozenset({SRTP_PROTOCOL, "RTP/SAVPF"})
# RFC 4585 §4: AVPF adds early feedback, which nobody has to send either.
PLAIN_PROTOCOLS = frozenset({RTP_PROTOCOL, "RTP/AVPF"})

REMEMBERED_CONTENTS = 256  # of each kind: the models of phone that call at one time are fewer
_LIKE_RTCP = range(64, 96)


@dataclass(frozen=True, slots=True)
class MediaContent:
    """A media description without its port, which is often all that differs from one call of a phone to its next.

    So one content can serve many calls, and what is asked of it several times a call is worked out once, here.
    `is_lasting`: whether it may be remembered from call to call, with what is made of it; never one that holds a key.
    Raises SdpError for a malformed `c=` line.
    """

    media: str
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    is_lasting: bool = field(default=False, compare=False, repr=False)
    is_secure: bool = field(init=False, compare=False, repr=False)
    is_rtp_audio: bool = field(init=False, compare=False, repr=False)  # with keys that we can use, if by SRTP
    cryptos: tuple[Crypto, ...] = field(init=False, compare=False, repr=False)
    direction: Direction | None = field(init=False, compare=False, repr=False)
    connection: Connection | None = field(init=False, compare=False, repr=False)
    _attributes: dict[str, list[str]] = field(init=False, compare=False, repr=False)
    # These three on demand.
    _rtpmaps: tuple[Format, ...] | None = field(init=False, compare=False, repr=False)
    _text: str | None = field(init=False, compare=False, repr=False)
    _hash: int | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        direction: Direction | None = None
        connection: Connection | None = None
        attributes: dict[str, list[str]] = {}
        for kind, text in self.lines:
            if kind == "a":
                name, _, value = text.partition(":")
                attributes.setdefault(name, []).append(value)
                if direction is None and text.strip() in DIRECTION_NAMES:
                    direction = Direction(text.strip())
            elif kind == "c" and connection is None:
                connection = Connection.parse(text)
        is_secure = self.protocol in SECURE_PROTOCOLS
        cryptos = _cryptos(attributes.get("crypto", ())) if is_secure else ()
        _put(self, "is_secure", is_secure)
        _put(self, "is_rtp_audio", self.media == "audio" and (self.protocol in PLAIN_PROTOCOLS or bool(cryptos)))
        _put(self, "cryptos", cryptos)
        _put(self, "direction", direction)
        _put(self, "connection", connection)
        _put(self, "_attributes", attributes)
        _put(self, "_rtpmaps", None)
        _put(self, "_text", None)
        _put(self, "_hash", None)

    def __hash__(self) -> int:
        if self._hash is None:
            _put(self, "_hash", hash((self.media, self.protocol, self.formats, self.lines)))
        return self._hash  # type: ignore[return-value] # it was just set

    @property
    def text(self) -> str:
        """What is written behind the port, line ends included."""
        if self._text is None:
            lines = [f"{kind}={value}\r\n" for kind, value in self.lines]
            _put(self, "_text", "".join((f" {self.protocol} {' '.join(self.formats)}\r\n", *lines)))
        return self._text  # type: ignore[return-value]

    @property
    def rtpmaps(self) -> tuple[Format, ...]:
        """The RTP formats in the m-line's order. A type without a usable rtpmap takes RFC 3551's, else is left out."""
        if self._rtpmaps is None:
            of = self.attribute_values
            _put(self, "_rtpmaps", _formats(self.formats, of("rtpmap"), of("fmtp")))
        return self._rtpmaps  # type: ignore[return-value]

    @property
    def can_mux(self) -> bool:
        """Whether RTCP is offered to share the port, and no payload type of the line would be taken for RTCP."""
        # RFC 5761 §4: with the marker bit, payload types 64 to 95 look like RTCP packet types.
        types = map(payload_type_of, self.formats)
        return "rtcp-mux" in self._attributes and not any(type_ is not None and type_ in _LIKE_RTCP for type_ in types)

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=name`, "" for a flag, None when there is none."""
        values = self._attributes.get(name)
        return None if values is None else values[0].strip()

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """The values of each `a=name:value`, in order; "" for a flag. Names are case-sensitive (RFC 8866 §5.13)."""
        return tuple(self._attributes.get(name, ()))

    def refused(self) -> "MediaContent":
        """What stays of it on a line with port 0: nothing that promises media."""
        return MediaContent(self.media, self.protocol, self.formats)


_put = object.__setattr__  # what a frozen object knows of itself is put there once


def _cryptos(values: Iterable[str]) -> tuple[Crypto, ...]:
    cryptos: dict[int, Crypto] = {}
    for value in values:
        crypto = Crypto.parse(value)
        # RFC 4568 §5.1.1: tags are unique; of two lines with one tag an answer could mean either.
        if crypto is not None:
            cryptos.setdefault(crypto.tag, crypto)
    return tuple(cryptos.values())


# Contents that are not remembered mostly have the formats of others.
@lru_cache(REMEMBERED_CONTENTS)
def _formats(tokens: tuple[str, ...], rtpmaps: tuple[str, ...], fmtps: tuple[str, ...]) -> tuple[Format, ...]:
    parameters: dict[int, str] = {}
    for value in fmtps:
        number, _, text = value.partition(" ")
        payload_type = payload_type_of(number)
        if payload_type is not None:
            parameters.setdefault(payload_type, text.strip())
    mapped: dict[int, Format] = {}
    for value in rtpmaps:
        format_ = parse_rtpmap(value)
        if format_ is not None:
            mapped.setdefault(format_.payload_type, format_)
    found = []
    for token in tokens:
        payload_type = payload_type_of(token)
        format_ = None if payload_type is None else mapped.get(payload_type) or STATIC_FORMATS.get(payload_type)
        if format_ is not None:
            fmtp = parameters.get(format_.payload_type)
            found.append(format_ if fmtp is None else format_.with_fmtp(fmtp))
    return tuple(found)
