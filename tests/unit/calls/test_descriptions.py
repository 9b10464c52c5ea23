import pytest

from sidestream.calls.descriptions import SDP_TYPE, body_of, description_of, tolerated_description_of
from sidestream.sdp.error import SdpError
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response

TEXT = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


def message(body, content_type):
    return Response(200, "OK", Headers([("Content-Type", content_type)] if content_type else []), body)


def test_a_description_goes_there_and_back():
    sdp = description_of(message(TEXT, "Application/SDP; charset=utf-8"))
    assert body_of(sdp) == (TEXT, SDP_TYPE)
    assert body_of(None) == (b"", None)


@pytest.mark.parametrize(("body", "content_type"), [(TEXT, None), (b"", SDP_TYPE), (TEXT, "text/plain")])
def test_a_message_without_one(body, content_type):
    assert description_of(message(body, content_type)) is None


@pytest.mark.parametrize(("body", "content_type"), [(b"v=1\r\n", SDP_TYPE), (TEXT, "no type at all")])
def test_one_that_cannot_be_read(body, content_type):
    with pytest.raises(SdpError) as unreadable:
        description_of(message(body, content_type))
    assert unreadable.value.status == 400
    assert tolerated_description_of(message(body, content_type), "CA1") is None
