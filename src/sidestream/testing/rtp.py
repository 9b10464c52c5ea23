"""RTP and RTCP for the test doubles: packets in and out, telephone-events, and a sender's report. Pure."""

import struct
from dataclasses import dataclass

VERSION = 2
HEADER_OCTETS = 12
EVENT_DIGITS = "0123456789*#ABCD"  # RFC 4733 §3.2: events 0–15 in this order
EVENT_VOLUME = 10  # -10 dBm0, RFC 4733 §2.3.4

NTP_EPOCH_OFFSET = 2_208_988_800  # seconds from 1900 to 1970, RFC 3550 §4
SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
CNAME_ITEM = 1


class RtpError(Exception):
    """Octets that are no RTP packet."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    sequence: int  # 16 bits
    timestamp: int  # 32 bits
    ssrc: int  # 32 bits
    payload: bytes
    marker: bool = False

    def to_bytes(self) -> bytes:
        """The packet on the wire: no padding, extension or contributing sources."""
        second = self.payload_type | (0x80 if self.marker else 0)
        return struct.pack("!BBHII", VERSION << 6, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def parse_rtp(data: bytes) -> RtpPacket:
    """A received packet, without its contributing sources, extension and padding. Raises `RtpError`."""
    if len(data) < HEADER_OCTETS or data[0] >> 6 != VERSION:
        raise RtpError(f"{len(data)} octets beginning with {data[:2].hex()}")
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    start, end = HEADER_OCTETS + 4 * (first & 0x0F), len(data)
    # RFC 3550 §5.3.1: a header extension is 4 octets and as many 32-bit words as they say
    if first & 0x10:
        if end < start + 4:
            raise RtpError("the header extension is cut off")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    # RFC 3550 §5.1: the last octet of padding counts the padding
    if first & 0x20:
        end -= data[-1]
    if start > end:
        raise RtpError("the header is longer than the packet")
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """RFC 4733 §2.3: a digit that has lasted `duration` timestamp units and, if `end`, is over."""

    digit: str
    duration: int
    end: bool = False
    volume: int = EVENT_VOLUME

    def to_bytes(self) -> bytes:
        flags = self.volume | (0x80 if self.end else 0)
        return struct.pack("!BBH", EVENT_DIGITS.index(self.digit), flags, self.duration)


def parse_event(payload: bytes) -> TelephoneEvent:
    """The event in a telephone-event payload. Raises `RtpError` for other events than digits."""
    if len(payload) < 4 or payload[0] >= len(EVENT_DIGITS):
        raise RtpError(f"no digit in {payload[:4].hex()}")
    event, flags, duration = struct.unpack_from("!BBH", payload)
    return TelephoneEvent(EVENT_DIGITS[event], duration, bool(flags & 0x80), flags & 0x3F)


def sender_report(ssrc: int, cname: str, *, wall_ns: int, timestamp: int, packets: int, octets: int) -> bytes:
    """A compound of a sender report without report blocks and the CNAME (RFC 3550 §6.1, §6.4.1, §6.5)."""
    seconds, nanoseconds = divmod(wall_ns, 1_000_000_000)
    fraction = (nanoseconds << 32) // 1_000_000_000
    report = struct.pack(
        "!BBHIIIIII",
        VERSION << 6,
        SENDER_REPORT,
        6,
        ssrc,
        seconds + NTP_EPOCH_OFFSET & 0xFFFFFFFF,
        fraction,
        timestamp,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    return report + _source_description(ssrc, cname)


def goodbye(ssrc: int, cname: str) -> bytes:
    """A compound of an empty receiver report, the CNAME and BYE (RFC 3550 §6.1, §6.6)."""
    report = struct.pack("!BBHI", VERSION << 6, RECEIVER_REPORT, 1, ssrc)
    return report + _source_description(ssrc, cname) + struct.pack("!BBHI", VERSION << 6 | 1, GOODBYE, 1, ssrc)


def _source_description(ssrc: int, cname: str) -> bytes:
    name = cname.encode()
    chunk = struct.pack("!IBB", ssrc, CNAME_ITEM, len(name)) + name
    # RFC 3550 §6.5: a chunk ends with at least one zero octet and on a 32-bit boundary
    chunk += bytes(4 - len(chunk) % 4)
    return struct.pack("!BBH", VERSION << 6 | 1, SOURCE_DESCRIPTION, len(chunk) // 4) + chunk
