"""RTP payload formats, as `a=rtpmap` and `a=fmtp` name them."""

from dataclasses import dataclass

TELEPHONE_EVENT = "TELEPHONE-EVENT"  # RFC 4733; encodings are held in upper case
COMFORT_NOISE = "CN"  # RFC 3389
HIGHEST_PAYLOAD_TYPE = 127  # RFC 3550 §5.1: seven bits


@dataclass(frozen=True, slots=True)
class Format:
    """One payload type of an m-line: `Format(101, "TELEPHONE-EVENT", 8000, fmtp="0-16")`. `encoding` is upper case."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1
    fmtp: str | None = None

    @property
    def is_audio_codec(self) -> bool:
        """False for events and comfort noise: they cannot carry a call alone."""
        return self.encoding not in (TELEPHONE_EVENT, COMFORT_NOISE)

    @property
    def rtpmap(self) -> str:
        """The value of `a=rtpmap`, RFC 8866 §6.6: `101 telephone-event/8000`."""
        name = self.encoding.lower() if self.encoding == TELEPHONE_EVENT else self.encoding
        suffix = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.payload_type} {name}/{self.clock_rate}{suffix}"

    def with_fmtp(self, fmtp: str | None) -> "Format":
        return Format(self.payload_type, self.encoding, self.clock_rate, self.channels, fmtp)

    def with_payload_type(self, payload_type: int) -> "Format":
        return Format(payload_type, self.encoding, self.clock_rate, self.channels, self.fmtp)

    def is_same_codec(self, other: "Format") -> bool:
        """Whether both name one codec; payload types are numbers of an m-line and may differ."""
        return (
            self.encoding == other.encoding and self.clock_rate == other.clock_rate and self.channels == other.channels
        )


PCMU = Format(0, "PCMU", 8000)
PCMA = Format(8, "PCMA", 8000)
EVENTS = Format(101, TELEPHONE_EVENT, 8000, fmtp="0-16")

# RFC 3551 §6 table 4: audio types that need no rtpmap. The clock of G.722 is 8000 by mistake and by law.
STATIC_FORMATS = {
    format_.payload_type: format_
    for format_ in (
        PCMU,
        Format(3, "GSM", 8000),
        Format(4, "G723", 8000),
        Format(5, "DVI4", 8000),
        Format(6, "DVI4", 16000),
        Format(7, "LPC", 8000),
        PCMA,
        Format(9, "G722", 8000),
        Format(10, "L16", 44100, 2),
        Format(11, "L16", 44100),
        Format(12, "QCELP", 8000),
        Format(13, COMFORT_NOISE, 8000),
        Format(14, "MPA", 90000),
        Format(15, "G728", 8000),
        Format(16, "DVI4", 11025),
        Format(17, "DVI4", 22050),
        Format(18, "G729", 8000),
    )
}


def parse_rtpmap(value: str, fmtp: str | None = None) -> Format | None:
    """The format of an `a=rtpmap` value; None when it is malformed, for the line's other formats still count."""
    number, _, mapping = value.partition(" ")
    encoding, *rest = mapping.strip().split("/")
    payload_type = payload_type_of(number)
    if payload_type is None or not encoding or len(rest) not in (1, 2) or not all(_is_number(part) for part in rest):
        return None
    channels = int(rest[1]) if len(rest) == 2 else 1
    return Format(payload_type, encoding.upper(), int(rest[0]), channels, fmtp)


def payload_type_of(text: str) -> int | None:
    """The payload type that a format token of an RTP m-line stands for; None for anything else."""
    # RFC 8866 §9 (zero-based-integer): no zero in front, so that each type is written in one way
    if _is_number(text) and (text[0] != "0" or len(text) == 1) and int(text) <= HIGHEST_PAYLOAD_TYPE:
        return int(text)
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9  # 9 digits: more than any clock rate, cheap to convert
