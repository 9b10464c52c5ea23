"""The session description in a message, as the agent needs it: as octets to send again and to compare."""

from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response
from sidestream.sip.multipart import parse_multipart

SDP_TYPE = "application/sdp"


def description(message: Request | Response) -> bytes:
    """The SDP of the body, also as part of a multipart one; b"" if there is none or it cannot be read."""
    if not message.body:
        return b""
    if message.headers.get_all("Content-Type") == [SDP_TYPE]:
        return message.body  # as nearly everybody spells it
    try:
        content_type = message.content_type
        if content_type is None or content_type.media_type == SDP_TYPE:
            return b"" if content_type is None else message.body
        parts = parse_multipart(content_type, message.body)
    except MessageError:
        return b""
    return next((part.body for part in parts if part.content_type.media_type == SDP_TYPE), b"")
