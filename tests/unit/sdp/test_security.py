import pytest

from sidestream.sdp.security import MediaSecurity, admitted
from sidestream.sdp.session import SessionDescription

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
LINES = {
    "plain": ("m=audio 4000 RTP/AVP 0",),
    "secure": ("m=audio 4002 RTP/SAVP 0", KEY),
    "keyless": ("m=audio 4004 RTP/SAVP 0",),
    "video": ("m=video 4006 RTP/AVP 31",),
}


def described(*names: str) -> SessionDescription:
    rows = [row for name in names for row in LINES[name]]
    return SessionDescription.parse("\r\n".join(("v=0", "c=IN IP4 192.0.2.1", *rows)).encode())


@pytest.mark.parametrize(
    ("security", "names", "ports"),
    [
        (MediaSecurity.NONE, ("plain", "secure", "video"), [4000, 0, 4006]),
        (MediaSecurity.OPTIONAL, ("plain", "secure", "plain"), [0, 4002, 0]),
        (MediaSecurity.REQUIRED, ("plain", "secure"), [0, 4002]),
        (MediaSecurity.NONE, ("secure",), [0]),
        (MediaSecurity.OPTIONAL, ("plain", "keyless"), [4000, 4004]),
        (MediaSecurity.OPTIONAL, ("plain",), [4000]),
        (MediaSecurity.OPTIONAL, ("secure",), [4002]),
        (MediaSecurity.REQUIRED, ("plain",), [0]),
        (MediaSecurity.REQUIRED, ("plain", "keyless"), [0, 4004]),
    ],
)
def test_the_policy_says_which_lines_are_left(
    security: MediaSecurity, names: tuple[str, ...], ports: list[int]
) -> None:
    assert [line.port for line in admitted(described(*names), security).media] == ports


def test_what_may_be_carried_as_it_is_stays_the_same() -> None:
    description = described("plain", "video")
    assert admitted(description, MediaSecurity.NONE) is description
