import pytest

from sidestream.testing.rtp import (
    RtpError,
    RtpPacket,
    TelephoneEvent,
    goodbye,
    parse_event,
    parse_rtp,
    sender_report,
)

PACKETS = [
    (b"\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x07abc", RtpPacket(0, 1, 160, 7, b"abc")),
    (b"\x80\xe5\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", RtpPacket(101, 65535, 2**32 - 1, 2**32 - 1, b"", True)),
]


@pytest.mark.parametrize(("data", "packet"), PACKETS)
def test_packets_are_read_and_written(data: bytes, packet: RtpPacket) -> None:
    assert parse_rtp(data) == packet
    assert packet.to_bytes() == data


def test_contributing_sources_extension_and_padding_are_skipped() -> None:
    head = b"\xb1\x08\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05" + b"csrc" + b"\xbe\xde\x00\x01" + b"exte"
    assert parse_rtp(head + b"payload" + b"\x00\x00\x03").payload == b"payload"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + b"\x00" * 20,
        b"\x9f" + b"\x00" * 11,
        b"\x90" + b"\x00" * 12,
        b"\x90" + b"\x00" * 11 + b"\x00\x00\x00\x09",
        b"\xa0" + b"\x00" * 11 + b"\x0a",
    ],
)
def test_what_is_no_rtp_is_refused(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_rtp(data)


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"\x05\x0a\x00\xa0", TelephoneEvent("5", 160)),
        (b"\x0a\x8a\x03\x20", TelephoneEvent("*", 800, end=True)),
        (b"\x0f\x3f\x00\x00", TelephoneEvent("D", 0, volume=63)),
    ],
)
def test_events_are_read_and_written(data: bytes, event: TelephoneEvent) -> None:
    assert parse_event(data) == event
    assert event.to_bytes() == data


@pytest.mark.parametrize("data", [b"\x05\x0a\x00", b"\x10\x0a\x00\xa0"])
def test_what_is_no_digit_is_refused(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_event(data)


def test_a_sender_report_carries_both_clocks_and_the_name() -> None:
    report = sender_report(7, "ab", wall_ns=1_500_000_000, timestamp=160, packets=3, octets=480)
    assert report.hex(" ", 4) == (
        "80c80006 00000007 83aa7e81 80000000 000000a0 00000003 000001e0"  # 1970 is 0x83aa7e80 in NTP; half a second
        " 81ca0003 00000007 01026162 00000000"
    )


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "abcd"])
def test_every_compound_is_whole_words_long(name: str) -> None:
    compound = goodbye(7, name)
    words = []
    while compound:
        length = 4 * (int.from_bytes(compound[2:4], "big") + 1)
        words.append(compound[1])
        compound = compound[length:]
    assert words == [201, 202, 203]
