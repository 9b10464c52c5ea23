import pytest

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMU, Format
from sidestream.sdp.lines import Connection, Line
from sidestream.sdp.media import MediaDescription


@pytest.mark.parametrize(
    ("value", "media"),
    [
        ("audio 49170 RTP/AVP 0 8", MediaDescription("audio", 49170, "RTP/AVP", ("0", "8"))),
        ("video 51372/2 RTP/AVP 99", MediaDescription("video", 51372, "RTP/AVP", ("99",), (), 2)),
        ("image 0 udptl t38", MediaDescription("image", 0, "udptl", ("t38",))),
    ],
)
def test_an_m_line_reads_back(value: str, media: MediaDescription) -> None:
    assert MediaDescription.parse_line(value) == media
    assert media.to_lines() == (Line("m", value),)


@pytest.mark.parametrize(
    "value",
    ["", "audio 49170 RTP/AVP", "audio x RTP/AVP 0", "audio 65536 RTP/AVP 0", "audio 1/0 RTP/AVP 0", "audio 1/ X 0"],
)
def test_a_malformed_m_line_is_an_error(value: str) -> None:
    with pytest.raises(SdpError, match="m="):
        MediaDescription.parse_line(value, 6)


def attributes(*values: str) -> tuple[Line, ...]:
    return tuple(Line("a", value) for value in values)


def test_attributes_of_a_medium() -> None:
    lines = (*attributes("sendonly", "label: inbound ", "rtcp-mux"), Line("c", "IN IP4 192.0.2.1"))
    media = MediaDescription("audio", 4000, "RTP/AVP", ("0",), lines)
    assert media.direction is Direction.SENDONLY
    assert media.label == "inbound"
    assert media.attribute("rtcp-mux") == ""
    assert media.attribute("rtcp") is None
    assert media.attribute_values("label") == (" inbound ",)
    assert media.connection == Connection("192.0.2.1")


def test_only_plain_rtp_audio_with_a_port_is_carried() -> None:
    media = MediaDescription("audio", 4000, "RTP/AVP", ("0",))
    assert media.is_rtp_audio
    assert not media.refused().is_rtp_audio
    assert not MediaDescription("audio", 4000, "RTP/SAVP", ("0",)).is_rtp_audio
    assert not MediaDescription("video", 4000, "RTP/AVP", ("99",)).is_rtp_audio


def test_a_refused_medium_promises_nothing() -> None:
    media = MediaDescription("audio", 4000, "RTP/AVP", ("0",), attributes("sendrecv"), 2)
    assert media.refused() == MediaDescription("audio", 0, "RTP/AVP", ("0",))
    assert media.refused().is_refused


def test_formats_come_from_rtpmap_then_from_the_static_table() -> None:
    lines = attributes(
        "rtpmap:101 telephone-event/8000",
        "rtpmap:101 PCMU/8000",
        "rtpmap:broken",
        "rtpmap:97 iLBC/8000",
        "fmtp:101 0-16",
        "fmtp:101 0-11",
        "fmtp:abc x",
    )
    media = MediaDescription("audio", 4000, "RTP/AVP", ("0", "97", "101", "96", "127x"), lines)
    assert media.rtpmaps() == (PCMU, Format(97, "ILBC", 8000), EVENTS)


def test_a_dynamic_rtpmap_may_replace_a_static_type() -> None:
    media = MediaDescription("audio", 4000, "RTP/AVP", ("3",), attributes("rtpmap:3 L16/8000"))
    assert media.rtpmaps() == (Format(3, "L16", 8000),)


CRYPTO = "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF"])
def test_srtp_can_be_carried_if_there_is_a_key_that_we_can_use(protocol: str) -> None:
    bare = MediaDescription("audio", 4000, protocol, ("0",))
    assert bare.is_secure
    assert not bare.is_rtp_audio
    assert not bare.with_lines([Line("a", "crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA")]).is_rtp_audio
    media = bare.with_lines([Line("a", CRYPTO), Line("a", CRYPTO.replace("WVN", "AAA")), Line("a", CRYPTO[:-1])])
    assert media.is_rtp_audio
    assert [crypto.to_line().value for crypto in media.cryptos] == [CRYPTO]  # of one tag the first
    assert not media.refused().is_rtp_audio


def test_keys_on_a_line_of_plain_rtp_mean_nothing() -> None:
    media = MediaDescription("audio", 4000, "RTP/AVP", ("0",), (Line("a", CRYPTO),))
    assert media.is_rtp_audio
    assert not media.is_secure
    assert media.cryptos == ()
