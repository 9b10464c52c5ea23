"""A session description: an order-preserving model of RFC 8866 that keeps the lines it does not know."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import Connection, Line, Origin, attribute_values, connection_in, direction_in
from sidestream.sdp.media import MediaDescription
from sidestream.sdp.usual import parts

SIZE_LIMIT = 65535  # octets: nothing larger fits a UDP datagram, and no known peer comes near it
LINE_LIMIT = 2000  # lines: a browser's offer of all its media has a few hundred
MEDIA_LIMIT = 64  # m-lines: bounds what one INVITE can make us answer


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """`lines` are those before the first m-line, in order; `media` the m-lines, whose order is their identity.

    `usable_lines`: the indices of the m-lines that this platform can carry. Raises SdpError for a malformed `c=` line.
    """

    lines: tuple[Line, ...]
    media: tuple[MediaDescription, ...] = ()
    usable_lines: tuple[int, ...] = field(init=False, compare=False, repr=False)
    _connection: Connection | None = field(init=False, compare=False, repr=False)
    _direction: Direction | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        usable = tuple([index for index, media in enumerate(self.media) if media.is_rtp_audio])
        # What is asked for several times a call.
        object.__setattr__(self, "usable_lines", usable)
        object.__setattr__(self, "_connection", connection_in(self.lines))
        object.__setattr__(self, "_direction", direction_in(self.lines))

    @classmethod
    def parse(cls, data: bytes) -> "SessionDescription":
        """Read a description with CRLF or LF line ends; a missing `o=`, `s=`, `t=` or `c=` is tolerated.

        Raises SdpError; what it returns holds only well-formed `o=`, `c=` and `m=` lines.
        """
        if len(data) > SIZE_LIMIT:
            raise SdpError(f"{len(data)} octets exceed the limit of {SIZE_LIMIT}")
        text = data.decode("utf-8", "surrogateescape")
        usual = parts(text) if text.count("\n") < LINE_LIMIT else None
        if usual is not None and len(usual[1]) <= MEDIA_LIMIT:
            return cls(*usual)
        return cls.parse_by_line(text)

    @classmethod
    def parse_by_line(cls, text: str) -> "SessionDescription":
        """`parse` for texts of any form: the reference for those that are read in a shorter way. Raises SdpError."""
        rows = text.split("\n")
        if len(rows) > LINE_LIMIT:
            raise SdpError(f"{len(rows)} lines exceed the limit of {LINE_LIMIT}")
        head: list[Line] = []
        media: list[MediaDescription] = []
        body = head  # where lines go: the session's first, then those of the m-line read last
        for number, row in enumerate(rows, 1):
            line = row.rstrip("\r")
            if not line.strip():
                continue
            kind, value = line[0], line[2:]
            # RFC 8866 §5: one case-significant letter, "=", then the value; no blanks around the sign.
            if line[1:2] != "=" or not (kind.isascii() and kind.isalpha()):
                raise SdpError(f"malformed line {line[:80]!r}", line=number)
            # RFC 8866 §5.1: the description begins with v=0, the only version there is.
            if not head and (kind, value.strip()) != ("v", "0"):
                raise SdpError("does not begin with v=0", line=number)
            if kind == "o":
                Origin.parse(value, number)
            elif kind == "c":
                Connection.parse(value, number)
            elif kind == "m":
                if media:
                    media[-1] = media[-1].with_lines(body)
                if len(media) == MEDIA_LIMIT:
                    raise SdpError(f"more than {MEDIA_LIMIT} m= lines", line=number)
                media.append(MediaDescription.parse_line(value, number))
                body = []
                continue
            body.append(Line(kind, value))
        if not head:
            raise SdpError("is empty")
        if media:
            media[-1] = media[-1].with_lines(body)
        return cls(tuple(head), tuple(media))

    def to_bytes(self) -> bytes:
        """The description with CRLF after each line."""
        texts = [f"{kind}={value}\r\n" for kind, value in self.lines]
        texts += [media.to_text() for media in self.media]
        return "".join(texts).encode("utf-8", "surrogateescape")

    @property
    def origin(self) -> Origin | None:
        for line in self.lines:
            if line.kind == "o":
                return Origin.parse(line.value)
        return None

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """Of the session level alone."""
        return attribute_values(self.lines, name)

    def connection(self, index: int) -> Connection | None:
        """The `c=` in force for m-line `index`: its own, else the session's (RFC 8866 §5.7)."""
        return self.media[index].content.connection or self._connection

    def direction(self, index: int) -> Direction:
        """The direction in force for m-line `index`, as the describer sees it, with both styles of hold understood."""
        # RFC 8866 §6.7: media level over session level, and sendrecv when neither says anything.
        stated = self.media[index].content.direction or self._direction or Direction.SENDRECV
        connection = self.connection(index)
        # RFC 3264 §8.4: the address 0.0.0.0 asks for no media toward the describer; it may still send.
        if connection is not None and connection.is_hold:
            return Direction.of(sends=stated.sends, receives=False)
        return stated

    def with_origin(self, origin: Origin) -> "SessionDescription":
        """This description with `origin` in place of its `o=` line, or after `v=` when it has none."""
        first, *rest = [line for line in self.lines if line.kind != "o"]
        return SessionDescription((first, Line("o", str(origin)), *rest), self.media)

    def with_lines(self, lines: Iterable[Line]) -> "SessionDescription":
        return SessionDescription(tuple(lines), self.media)

    def succeeding(self, previous: "SessionDescription | None") -> "SessionDescription":
        """This description as the next one we send after `previous` in the same dialog.

        Our session keeps its id; its version is one higher if anything else changed and the same if nothing did.
        """
        origin = previous.origin if previous is not None else None
        if previous is None or origin is None:
            return self
        # RFC 3264 §8: the version rises by one with each change, and only then.
        if self.media == previous.media and (unchanged := self.with_origin(origin)) == previous:
            return unchanged
        return self.with_origin(origin.with_version(origin.version + 1))
