"""One connection to the engine's socket: requests out, answers matched, events handed on."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sidestream.base.logs import get_logger
from sidestream.media.address import EngineAddress, connect
from sidestream.media.engine import MediaEngineError
from sidestream.media.protocol import VERSION, Events, Hello, ProtocolError, Resume, parse_line
from sidestream.media.requests import LOST, Requests

RECEIVE_LIMIT = (
    16 * 1024 * 1024
)  # octets of one line: the names of 100 000 sessions; more means that we lost the thread

COMMAND_TIMEOUT = 3.0  # s; the engine answers in well under a millisecond: after this it hangs, and the call must go on
ATTEMPT_TIMEOUT = (
    2.0  # s until a connection stands; a packet lost on the way costs one, and a dead way must not cost more
)

T = TypeVar("T")

log = get_logger("media")


async def greet(
    address: EngineAddress,
    on_events: Callable[[Events], None],
    on_lost: Callable[["EngineConnection", str], None],
    *,
    requests: Requests | None = None,
    resume: Resume | None = None,
) -> tuple["EngineConnection", Hello]:
    """Connect to the engine at `address` and say hello. Raises `MediaEngineError`, `LOST` when nobody is there.

    With `resume`, events that happened after the connection before had broken come first.
    """
    waiting = Requests() if requests is None else requests
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT):
            connection = await connect(address, lambda: EngineConnection(waiting, on_events, on_lost))
    except OSError as error:
        raise MediaEngineError(LOST, str(error) or type(error).__name__) from error
    try:
        fields: dict[str, Any] = {"protocol": VERSION, "events": True}
        if resume is not None:
            fields["resume"] = resume
        hello = await connection.exchange("hello", Hello, COMMAND_TIMEOUT, fields)
    except BaseException:
        connection.close()
        raise
    before = hello.last_event if resume is None or resume.instance != hello.instance else resume.last_event
    # Batches may have come before we get to see the answer.
    connection.last_event = max(connection.last_event, before)
    return connection, hello


class EngineConnection(asyncio.Protocol):
    """Made by `greet`. `on_lost` is called once, after what is not lasting among `requests` has failed."""

    def __init__(
        self,
        requests: Requests,
        on_events: Callable[[Events], None],
        on_lost: Callable[["EngineConnection", str], None],
    ) -> None:
        self._requests = requests
        self._on_events = on_events
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._reason = ""
        self.last_event = 0  # the number of the event that came last
        self.misunderstood = False  # it ended because the two sides did not agree on what was said

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def exchange(
        self, operation: str, answer: type[T], timeout: float, fields: dict[str, Any], *, lasting: bool = False
    ) -> asyncio.Future[T]:
        """Send one request; the future is its answer, as `Requests.add` has it. Raises `MediaEngineError` if closed.

        Requests may overlap; they leave in the order of the calls.
        """
        if self._transport is None or self._transport.is_closing():
            raise MediaEngineError(LOST, "the connection to the media engine is closed")
        request = self._requests.add(operation, answer, timeout, fields, lasting=lasting)
        self._transport.write(request.line)
        return request.done

    def repeat(self) -> None:
        """Send everything that waits, as it was sent on a connection that broke, or not at all so far."""
        if self._transport is not None:
            self._transport.writelines(request.line for request in self._requests)

    def close(self, reason: str = "closed by us") -> None:
        """Close now."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._scanned = 0
                self._take(line)
            self._scanned = len(self._buffer)
            if self._scanned > RECEIVE_LIMIT:
                raise ProtocolError(f"a line of more than {RECEIVE_LIMIT} octets")
        except ProtocolError as error:
            # The two sides no longer agree on what is said: nothing that follows can be trusted.
            self.misunderstood = True
            self.close(f"protocol error: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        reason = self._reason or (f"connection lost: {error}" if error else "the engine closed the connection")
        self._requests.interrupt(reason)
        self._on_lost(self, reason)

    def _take(self, line: bytes) -> None:
        message = parse_line(line)
        if isinstance(message, Events):
            self.last_event = max(self.last_event, message.last_event)
            self._on_events(message)
        elif message.id is None:
            log.error("! the engine could not read a request", error=str(message.error))
        else:
            self._requests.answered(message)
