"""Whether media may, or must, be SRTP with one peer."""

from dataclasses import replace
from enum import StrEnum

from sidestream.sdp.answer import usable_lines
from sidestream.sdp.session import SessionDescription


class MediaSecurity(StrEnum):
    """What is agreed on with a peer, whoever makes the offer. An offer of ours is never a mixture of both."""

    NONE = "none"  # plain RTP
    OPTIONAL = "optional"  # SRTP if the peer offers it; what we offer is plain, and later what was agreed on first
    REQUIRED = "required"  # SRTP

    def takes(self, *, is_secure: bool) -> bool:
        return self is MediaSecurity.OPTIONAL or is_secure is (self is MediaSecurity.REQUIRED)


def admitted(description: SessionDescription, security: MediaSecurity) -> SessionDescription:
    """`description` without the lines that may not be carried, which get port 0. SRTP goes before plain RTP."""
    secure = {index: description.media[index].is_secure for index in usable_lines(description)}
    allowed = {index: is_secure for index, is_secure in secure.items() if security.takes(is_secure=is_secure)}
    best = any(allowed.values())
    refused = {index for index in secure if allowed.get(index) is not best}
    if not refused:
        return description
    media = tuple(line.refused() if index in refused else line for index, line in enumerate(description.media))
    return replace(description, media=media)
