"""Finding the session description of a message."""

import pytest

from sidestream.sip.agent.description import description
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response

SDP = b"v=0\r\n"
PARTS = b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        ("application/sdp", SDP, SDP),
        ("Application/SDP;charset=utf-8", SDP, SDP),
        ("application/sdp", b"", b""),
        ("text/plain", SDP, b""),
        (None, SDP, b""),
        ("nonsense", SDP, b""),
        ("multipart/mixed;boundary=x", PARTS, SDP),
        ("multipart/mixed;boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n", b""),
        ("multipart/mixed;boundary=x", b"no parts", b""),
    ],
)
def test_description(content_type: str | None, body: bytes, found: bytes) -> None:
    fields = [("Content-Type", content_type)] if content_type is not None else []
    assert description(Response(200, "OK", Headers(fields), body)) == found
