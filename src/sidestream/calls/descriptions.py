"""Session descriptions in the bodies of SIP messages."""

from sidestream.base.logs import get_logger
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response

SDP_TYPE = "application/sdp"

log = get_logger("calls")


def body_of(sdp: SessionDescription | None) -> tuple[bytes, str | None]:
    return (b"", None) if sdp is None else (sdp.to_bytes(), SDP_TYPE)


def description_of(message: Request | Response) -> SessionDescription | None:
    """The session description of a message, None if it has none. Raises SdpError for one that cannot be read."""
    if message.body and message.headers.get_all("Content-Type") == [SDP_TYPE]:
        return SessionDescription.parse(message.body)  # as nearly everybody spells it
    try:
        content_type = message.content_type
    except MessageError as error:
        raise SdpError(f"of an unreadable type: {error.reason}", status=error.status) from error
    if content_type is None or not message.body:
        return None
    # A body of another type was either refused by the agent (415) or concerns nobody here.
    if (content_type.type, content_type.subtype) != ("application", "sdp"):
        return None
    return SessionDescription.parse(message.body)


def tolerated_description_of(message: Request | Response, call_sid: str) -> SessionDescription | None:
    """Like `description_of` where a bad body only loses what it would have said."""
    try:
        return description_of(message)
    except SdpError as error:
        log.info("! unusable description ignored", call=call_sid, problem=str(error))
        return None
