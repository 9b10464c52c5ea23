"""Cutting a TCP or TLS byte stream into SIP messages (RFC 3261 §18.3, RFC 5626 §4.4.1)."""

import re
from collections.abc import Iterator
from enum import Enum

from sidestream.sip.errors import BAD_REQUEST, MessageError, malformed
from sidestream.sip.message import MAX_MESSAGE_SIZE, answer_unparsed

# Start line and header fields together. A SIPREC INVITE's are under 2 kB; Identity tokens and long routes under 16 kB.
MAX_HEAD_SIZE = 32768

_END_OF_HEAD = b"\r\n\r\n"
# At a line's start; the value may be folded onto the next line (RFC 3261 §7.3.1).
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:(?:[ \t]|\r\n(?=[ \t]))*+([^\r\n]*+)", re.IGNORECASE)
_DECIMAL = re.compile(rb"(?=[0-9])0*+([0-9]{0,6})[ \t]*+")


class KeepAlive(Enum):
    """What may stand between two messages."""

    PING = "double CRLF"  # the driver answers at once with a single CRLF
    PONG = "single CRLF"  # the answer to ours; given only after `expect_pong`


Frame = bytes | KeepAlive


class StreamFramer:
    """The unread bytes of one connection.

    `for frame in framer.feed(data)` gives each whole message and each keep-alive that `data` completes. It raises
    MessageError at the first thing that hides where a message ends: send its `answer` if it has one, then close the
    connection, for nothing behind that point can be read. Frames before it have been given by then.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of head begins before this offset
        self._size = 0  # of the message whose head is complete, 0 while it is not
        self._awaits_pong = False

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message; with some of them and a long silence the peer is gone."""
        # A lone CRLF is none: it may stay for ever (RFC 3261 §7.5).
        return 0 if _END_OF_HEAD.startswith(self._buffer) else len(self._buffer)

    def expect_pong(self) -> None:
        """The next CRLF between two messages is the answer to a ping of ours (RFC 5626 §4.4.1)."""
        self._awaits_pong = True

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes in and give the frames that are complete. Exhaust it before the next call."""
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if not self._size:
            if self._awaits_pong and buffer.startswith(b"\r\n"):
                self._awaits_pong = False
                del buffer[:2]
                return KeepAlive.PONG
            if _END_OF_HEAD.startswith(buffer[:4]):
                if len(buffer) < 4:
                    return None  # nothing, or what may become a ping
                del buffer[:4]
                return KeepAlive.PING
            # RFC 3261 §7.5: a lone CRLF before the start line is ignored.
            if buffer.startswith(b"\r\n"):
                del buffer[:2]
            self._size = self._whole_size()
        if not self._size or len(buffer) < self._size:
            return None
        message = bytes(buffer[: self._size])
        del buffer[: self._size]
        self._searched = self._size = 0
        return message

    def _whole_size(self) -> int:
        """Bytes of the message that begins the buffer, 0 while its head is incomplete."""
        buffer = self._buffer
        end = buffer.find(_END_OF_HEAD, self._searched)
        if end > MAX_HEAD_SIZE or (end < 0 and len(buffer) > MAX_HEAD_SIZE):
            raise MessageError(513, "Message Too Large")
        if end < 0:
            self._searched = max(0, len(buffer) - 3)
            return 0
        return end + len(_END_OF_HEAD) + _body_length(bytes(buffer[:end]))


def _body_length(head: bytes) -> int:
    # RFC 3261 §18.3: on a stream Content-Length is what says where the message ends, so it has to be there.
    values = set(_CONTENT_LENGTH.findall(head))
    if not values:
        raise answer_unparsed(head, MessageError(BAD_REQUEST, "Missing Content-Length"))
    if len(values) > 1:
        raise answer_unparsed(head, MessageError(BAD_REQUEST, "Conflicting Content-Length"))
    match = _DECIMAL.fullmatch(values.pop())
    if match is None:
        raise answer_unparsed(head, malformed("Content-Length"))
    length = int(match[1] or 0)
    if length > MAX_MESSAGE_SIZE - len(head) - len(_END_OF_HEAD):
        raise answer_unparsed(head, MessageError(513, "Message Too Large"))
    return length
