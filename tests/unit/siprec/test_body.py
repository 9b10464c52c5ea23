import pytest

from sidestream.sip.headers import Headers
from sidestream.sip.message import Request
from sidestream.sip.uri import Uri
from sidestream.siprec.body import RecordingBody, boundary_of, compose, parse_body

SDP = b"v=0\r\ns=x\r\n"
XML = b"<recording/>\r\n"


def message(content_type: str | None, body: bytes, *headers: tuple[str, str]) -> Request:
    fields = Headers(headers)
    if content_type is not None:
        fields.add("Content-Type", content_type)
    return Request("INVITE", Uri.parse("sip:srs@192.0.2.1"), fields, body)


def test_offer_and_metadata_are_multipart_mixed() -> None:
    """C16, C17: the byte structure of a recording body."""
    body = compose(sdp=SDP, metadata=XML, boundary="ss-480336f838e3d864")
    assert body.content_type == 'multipart/mixed;boundary="ss-480336f838e3d864"'
    assert body.headers == (("MIME-Version", "1.0"),)
    assert body.data == (
        b"--ss-480336f838e3d864\r\n"
        b"Content-Type: application/sdp\r\n"
        b"\r\n"
        b"v=0\r\ns=x\r\n"
        b"\r\n--ss-480336f838e3d864\r\n"
        b"Content-Type: application/rs-metadata+xml\r\n"
        b"Content-Disposition: recording-session\r\n"
        b"\r\n"
        b"<recording/>"
        b"\r\n--ss-480336f838e3d864--\r\n"
    )


def test_one_of_them_alone_needs_no_wrapper() -> None:
    """C16, C17: the whole body then has the disposition."""
    assert compose(sdp=SDP, metadata=None, boundary="x").content_type == "application/sdp"
    alone = compose(sdp=None, metadata=XML, boundary="x")
    assert (alone.content_type, alone.data) == ("application/rs-metadata+xml", XML)
    assert alone.headers == (("Content-Disposition", "recording-session"),)
    assert compose(sdp=None, metadata=None, boundary="x").content_type is None


def test_the_old_media_type_can_be_asked_for() -> None:
    body = compose(sdp=SDP, metadata=XML, boundary="x", legacy_media_type=True)
    assert b"Content-Type: application/rs-metadata\r\n" in body.data


def test_a_boundary_is_no_line_of_sdp_or_xml() -> None:
    assert boundary_of("00ff") == "ss-00ff"


@pytest.mark.parametrize(
    ("content_type", "disposition", "body", "expected"),
    [
        (None, None, b"", RecordingBody()),
        (None, None, b"x", RecordingBody(problems=("a body without Content-Type",))),
        ("application/sdp;charset=utf-8", None, SDP, RecordingBody(SDP)),
        ("application/rs-metadata", None, XML, RecordingBody(metadata=XML)),
        ("application/rs-metadata+xml;charset=latin1", None, XML, RecordingBody(metadata=XML, charset="latin1")),
        ("application/xml", "recording-session", XML, RecordingBody(metadata=XML)),
        ("application/xml", "session", XML, RecordingBody(others=("application/xml",))),
        ("text/xml", None, XML, RecordingBody(others=("text/xml",))),
        ("application/dtmf-relay", None, b"x", RecordingBody(others=("application/dtmf-relay",))),
        ("multipart/mixed;boundary=x", None, b"no parts", RecordingBody(problems=("Malformed multipart body",))),
        ("nonsense", None, b"x", RecordingBody(problems=("Malformed Content-Type",))),
    ],
)
def test_bodies_of_one_part(
    content_type: str | None, disposition: str | None, body: bytes, expected: RecordingBody
) -> None:
    headers = [("Content-Disposition", disposition)] if disposition else []
    assert parse_body(message(content_type, body, *headers)) == expected


def test_parts_in_any_order_with_others_between() -> None:
    """I1, I2, S15: metadata first, a third part, bare LF, no disposition, header names in any case."""
    body = (
        b"--b\ncontent-type:application/rs-metadata\n\n<recording/>\n--b \nContent-Type: application/gtd\n\nx\n"
        b"--b\nCONTENT-DISPOSITION: session;handling=required\ncontent-TYPE: application/SDP\n\nv=0\n\n--b--"
    )
    found = parse_body(message("multipart/mixed; boundary=b", body))
    assert found == RecordingBody(b"v=0\n", b"<recording/>", None, ("application/gtd",))


def test_the_first_part_of_a_kind_counts() -> None:
    body = (
        b"--b\r\nContent-Type: application/sdp\r\n\r\none\r\n--b\r\nContent-Type: application/sdp\r\n\r\ntwo\r\n--b--"
    )
    assert parse_body(message("multipart/mixed;boundary=b", body)) == RecordingBody(b"one", others=("application/sdp",))
