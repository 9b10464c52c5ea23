import random

import pytest

from sidestream.base.ids import Ids
from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.formats import EVENTS, PCMA, PCMU
from sidestream.testing.phone.media import PhoneMedia
from sidestream.testing.phone.stream import RtpStream

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 30000 RTP/AVP 18 8 96\r\na=rtpmap:96 telephone-event/8000\r\na=%s\r\n"
)


@pytest.fixture
def media():
    stream = RtpStream("127.0.0.1", Ids(random.Random(1)), speech=None, loop_speech=True, cname="x")
    yield PhoneMedia(stream, (PCMU, PCMA, EVENTS), 99)
    stream.close()


def _spoken(media: PhoneMedia):
    """What the next packet would be: its payload type, and where it would go."""
    talk, remote, _ = media.stream._way
    return (talk.payload_type if talk else None, remote)


def test_the_answer_directs_the_stream_with_the_peers_numbers(media) -> None:
    answer = media.answer(OFFER % b"sendrecv").decode()
    assert f"m=audio {media.stream.port} RTP/AVP 8 96" in answer
    assert _spoken(media) == (8, ("127.0.0.1", 30000))
    assert media.stream._way[0].event_payload_type == 96
    assert media.stream._way[2] == ("127.0.0.1", 30001)


@pytest.mark.parametrize(
    ("offered", "speaks"), [(b"sendrecv", True), (b"recvonly", True), (b"sendonly", False), (b"inactive", False)]
)
def test_the_peers_direction_decides_whether_we_speak(media, offered: bytes, speaks: bool) -> None:
    media.answer(OFFER % offered)
    assert (_spoken(media)[0] is not None) == speaks
    assert media.is_held == (not speaks)


def test_hold_by_address_stops_everything(media) -> None:
    media.answer((OFFER % b"sendrecv").replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0"))
    assert media.stream._way == (None, None, None)


def test_an_offer_of_foreign_codecs_only_is_refused(media) -> None:
    assert media.answer((OFFER % b"sendrecv").replace(b"18 8 96", b"18 96")) is None
    with pytest.raises(SdpError):
        media.answer(b"nonsense")


def test_the_line_that_fits_is_taken(media) -> None:
    video = b"m=video 30002 RTP/AVP 31\r\n"
    head, audio = (OFFER % b"sendrecv").split(b"m=audio", 1)
    answer = media.answer(head + video + b"m=audio" + audio).decode()
    assert "m=video 0" in answer
    assert _spoken(media) == (8, ("127.0.0.1", 30000))


def test_our_offer_rises_in_version_only_when_it_changes(media) -> None:
    first = media.offer()
    assert media.offer() == first
    media.wanted = Direction.INACTIVE
    assert b"o=- 99 2 IN" in media.offer()


def test_the_answer_to_our_offer_directs_the_stream(media) -> None:
    media.offer()
    media.take_answer(OFFER % b"sendrecv")
    assert _spoken(media) == (8, ("127.0.0.1", 30000))
    media.take_answer((OFFER % b"sendrecv").replace(b"18 8 96", b"18"))
    assert _spoken(media) == (None, ("127.0.0.1", 30000))
    with pytest.raises(SdpError, match="without an m= line"):
        media.take_answer(b"v=0\r\n")
