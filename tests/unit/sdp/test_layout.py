"""A stream keeps its slot (RFC 3264 §6, §8)."""

import pytest

from sidestream.sdp.layout import answering, following
from sidestream.sdp.session import SessionDescription

AUDIO, OTHER_AUDIO = "audio 4000 RTP/AVP 0", "audio 5000 RTP/AVP 8"
VIDEO, NO_AUDIO, NO_VIDEO = "video 4002 RTP/AVP 96", "audio 0 RTP/AVP 0", "video 0 RTP/AVP 96"


def parse(*media: str) -> SessionDescription:
    return SessionDescription.parse("\r\n".join(("v=0", *(f"m={line}" for line in media))).encode())


def lines(description: SessionDescription) -> list[str]:
    return [media.to_lines()[0].value for media in description.media]


@pytest.mark.parametrize(
    ("description", "offered", "expected"),
    [
        ((AUDIO,), (OTHER_AUDIO,), [AUDIO]),
        ((AUDIO,), (VIDEO, OTHER_AUDIO), [NO_VIDEO, AUDIO]),
        ((NO_VIDEO, AUDIO), (OTHER_AUDIO,), [AUDIO]),
        ((AUDIO, NO_VIDEO), (OTHER_AUDIO, VIDEO), [AUDIO, NO_VIDEO]),
        # Where both could carry it, the same slot.
        ((NO_AUDIO, AUDIO), (OTHER_AUDIO, OTHER_AUDIO), [OTHER_AUDIO.replace("5000", "0"), AUDIO]),
        ((AUDIO,), (NO_VIDEO,), [AUDIO]),
        ((VIDEO,), (AUDIO,), [VIDEO]),
    ],
)
def test_an_answer_has_its_audio_where_the_offer_has(
    description: tuple[str, ...], offered: tuple[str, ...], expected: list[str]
) -> None:
    assert lines(answering(parse(*description), parse(*offered))) == expected


@pytest.mark.parametrize(
    ("description", "before", "expected"),
    [
        ((AUDIO,), (OTHER_AUDIO,), [AUDIO]),
        ((AUDIO,), (NO_VIDEO, OTHER_AUDIO), [NO_VIDEO, AUDIO]),
        ((NO_VIDEO, AUDIO), (OTHER_AUDIO,), [AUDIO]),
        ((AUDIO, VIDEO), (OTHER_AUDIO,), [AUDIO]),
        ((AUDIO,), (NO_VIDEO, NO_AUDIO), [NO_VIDEO, AUDIO]),
        ((AUDIO,), (NO_VIDEO,), [NO_VIDEO, AUDIO]),
        ((NO_AUDIO,), (OTHER_AUDIO,), [NO_AUDIO]),
    ],
)
def test_a_later_offer_has_it_where_the_one_before_had(
    description: tuple[str, ...], before: tuple[str, ...], expected: list[str]
) -> None:
    assert lines(following(parse(*description), parse(*before))) == expected
