import pytest

from sidestream.sdp.formats import EVENTS, PCMA, PCMU, STATIC_FORMATS, Format, parse_rtpmap, payload_type_of


@pytest.mark.parametrize(
    ("value", "format_"),
    [
        ("0 PCMU/8000", PCMU),
        ("101 telephone-event/8000", Format(101, "TELEPHONE-EVENT", 8000)),
        ("111 opus/48000/2", Format(111, "OPUS", 48000, 2)),
        ("97  iLBC/8000", Format(97, "ILBC", 8000)),
        ("97", None),
        ("97 iLBC", None),
        ("97 /8000", None),
        ("128 PCMU/8000", None),
        ("x PCMU/8000", None),
        ("97 iLBC/fast", None),
        ("97 iLBC/8000/1/1", None),
        ("97 iLBC/1234567890", None),
    ],
)
def test_rtpmap_values(value: str, format_: Format | None) -> None:
    assert parse_rtpmap(value) == format_


@pytest.mark.parametrize("format_", [PCMA, EVENTS, Format(111, "OPUS", 48000, 2)])
def test_an_rtpmap_reads_back(format_: Format) -> None:
    assert parse_rtpmap(format_.rtpmap, format_.fmtp) == format_


def test_telephone_event_is_written_in_lower_case() -> None:
    assert EVENTS.rtpmap == "101 telephone-event/8000"


def test_payload_types_are_seven_bits() -> None:
    assert [payload_type_of(text) for text in ("0", "127", "128", "-1", "t38", "", "²")] == [0, 127, *[None] * 5]


def test_a_payload_type_is_written_in_one_way() -> None:
    assert [payload_type_of(text) for text in ("08", "00", "008", "+8")] == [None] * 4


def test_codecs_are_compared_without_their_payload_types() -> None:
    assert Format(96, "PCMU", 8000).is_same_codec(PCMU)
    assert not Format(0, "PCMU", 16000).is_same_codec(PCMU)


def test_events_and_comfort_noise_are_no_codecs() -> None:
    assert PCMU.is_audio_codec
    assert not EVENTS.is_audio_codec
    assert not STATIC_FORMATS[13].is_audio_codec
