"""The bodies of recording sessions: SDP and metadata, alone or together (RFC 7866 §9.1)."""

from dataclasses import dataclass

from sidestream.sip.errors import MessageError
from sidestream.sip.headers import Headers
from sidestream.sip.message import Message
from sidestream.sip.multipart import Part, build_multipart, leaves
from sidestream.sip.values import ContentType
from sidestream.siprec.metadata import LEGACY_MEDIA_TYPE, MEDIA_TYPE

SDP_TYPE = "application/sdp"
DISPOSITION = "recording-session"  # RFC 7866 §11.3
# What a recording client understands in a body (RFC 7866 §9, RFC 9806): the value of Accept.
ACCEPTED_TYPES = (SDP_TYPE, MEDIA_TYPE, LEGACY_MEDIA_TYPE)

_METADATA_TYPES = (MEDIA_TYPE, LEGACY_MEDIA_TYPE)
# Seen instead of the registered type; the disposition says what it is.
_XML_TYPES = ("text/xml", "application/xml")


@dataclass(frozen=True, slots=True)
class Body:
    """A body to send: its octets, its Content-Type and the further header fields that describe it."""

    content_type: str | None
    data: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordingBody:
    """What a received body holds. `charset` is the metadata part's; `others` are the media types not understood."""

    sdp: bytes | None = None
    metadata: bytes | None = None
    charset: str | None = None
    others: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def compose(*, sdp: bytes | None, metadata: bytes | None, boundary: str, legacy_media_type: bool = False) -> Body:
    """A body of what is given. `boundary` must be random: it is used when both are there."""
    media_type = LEGACY_MEDIA_TYPE if legacy_media_type else MEDIA_TYPE
    # C17, RFC 7866 §9: metadata carries Content-Disposition recording-session, as a part or alone.
    disposition = (("Content-Disposition", DISPOSITION),)
    if metadata is None:
        return Body(None, b"") if sdp is None else Body(SDP_TYPE, sdp)
    if sdp is None:
        return Body(media_type, metadata, disposition)
    # C16, RFC 7866 §9.1: offer and metadata in one message are multipart/mixed.
    parts = (
        Part(ContentType.parse(SDP_TYPE), Headers(), sdp),
        Part(ContentType.parse(media_type), Headers(disposition), metadata.removesuffix(b"\r\n")),
    )
    content_type, data = build_multipart(parts, boundary)
    return Body(content_type, data, (("MIME-Version", "1.0"),))


def parse_body(message: Message) -> RecordingBody:
    """The SDP and metadata of a message; never raises. Of several parts of a kind the first counts (I1, I2)."""
    if not message.body:
        return RecordingBody()
    try:
        content_type = message.content_type
        disposition = message.content_disposition
        if content_type is None:
            return RecordingBody(problems=("a body without Content-Type",))
        parts = leaves(content_type, message.body)
    except MessageError as error:
        return RecordingBody(problems=(error.reason,))
    sdp = metadata = charset = None
    others = []
    for part in parts:
        media_type = part.content_type.media_type
        of_part = part.disposition if len(parts) > 1 or part.disposition else disposition
        if media_type == SDP_TYPE and sdp is None:
            sdp = part.body
        elif metadata is None and (
            media_type in _METADATA_TYPES
            or (media_type in _XML_TYPES and of_part is not None and of_part.value == DISPOSITION)
        ):
            metadata, charset = part.body, part.content_type.param("charset")
        else:
            others.append(media_type)
    return RecordingBody(sdp, metadata, charset, tuple(others))


def boundary_of(digits: str) -> str:
    """A boundary around random hex `digits` that cannot be mistaken for a line of SDP or XML."""
    return f"ss-{digits}"
