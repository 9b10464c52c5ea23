"""What can go wrong in the SIP room, and whose fault it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidestream.sip.message import Response

BAD_REQUEST = 400


class SipError(Exception):
    """Root of the room's errors."""


class LocalError(SipError):
    """We misused the room: a value that cannot be put on the wire, an input a state does not take. A bug of ours."""


class MessageError(SipError):
    """The peer sent something wrong.

    `status` and `reason` are what the wire answer says (reason holds our own words only, never the peer's).
    `answer` is the complete answer to send back to where the request came from; None for a response, for an ACK, for
    a request without Via or CSeq (drop those), and when a field of an accepted message turns out malformed later
    (make the answer with `Request.response`).
    """

    def __init__(self, status: int, reason: str, answer: Response | None = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.answer = answer

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


def malformed(what: str) -> MessageError:
    """The error for a field or element that does not follow its grammar; to be raised by the caller."""
    return MessageError(BAD_REQUEST, f"Malformed {what}")
