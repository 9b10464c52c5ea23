"""One connection to the engine's socket: requests out, answers matched, events handed on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeVar, cast

import msgspec

from sidestream.base.logs import get_logger
from sidestream.media.address import EngineAddress, connect
from sidestream.media.engine import MediaEngineError
from sidestream.media.protocol import VERSION, Answer, Events, Hello, ProtocolError, parse_line, request_line

RECEIVE_LIMIT = (
    16 * 1024 * 1024
)  # octets of one line: the names of 100 000 sessions; more means that we lost the thread

COMMAND_TIMEOUT = 3.0  # s; the engine answers in well under a millisecond: after this it hangs, and the call must go on

LOST = "engine-lost"  # our own codes, beside those of the protocol's section 6
TIMEOUT = "engine-timeout"

T = TypeVar("T")

log = get_logger("media")


async def greet(
    address: EngineAddress, on_events: Callable[[Events], None], on_lost: Callable[["EngineConnection", str], None]
) -> tuple["EngineConnection", Hello]:
    """Connect to the engine at `address` and say hello. Raises `MediaEngineError`, `LOST` when nobody is there."""
    try:
        connection = await connect(address, lambda: EngineConnection(on_events, on_lost))
    except OSError as error:
        raise MediaEngineError(LOST, str(error)) from error
    try:
        fields = {"protocol": VERSION, "events": True}
        return connection, await connection.exchange("hello", Hello, COMMAND_TIMEOUT, fields)
    except BaseException:
        connection.close()
        raise


@dataclass(slots=True)
class _Request:
    """A request without an answer so far. `deadline` is on the loop's clock."""

    operation: str
    answer: type[Any]
    limit_s: float
    deadline: float
    done: asyncio.Future[Any]


class EngineConnection(asyncio.Protocol):
    """Made by `greet`. `on_lost` is called once, after every waiting request has failed."""

    def __init__(self, on_events: Callable[[Events], None], on_lost: Callable[["EngineConnection", str], None]) -> None:
        self._on_events = on_events
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._waiting: dict[int, _Request] = {}
        self._watch: asyncio.TimerHandle | None = None  # one for all that wait
        self._watched_until = 0.0
        self._last_id = 0
        self._reason = ""

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def exchange(self, operation: str, answer: type[T], timeout: float, fields: dict[str, Any]) -> asyncio.Future[T]:
        """Send one request; the future is its answer, an `answer`, or fails with `MediaEngineError`, as this does.

        `NoneType` is for one whose answer says no more than that it is done.
        Requests may overlap; they leave in the order of the calls. Cancelling gives up the answer, not the command.
        """
        if self._transport is None or self._transport.is_closing():
            raise MediaEngineError(LOST, "the connection to the media engine is closed")
        loop = asyncio.get_running_loop()
        self._last_id += 1
        request = _Request(operation, answer, timeout, loop.time() + timeout, loop.create_future())
        self._waiting[self._last_id] = request
        self._transport.write(request_line(self._last_id, operation, fields))
        if self._watch is None or request.deadline < self._watched_until:
            self._watch_until(request.deadline)
        return request.done

    def close(self, reason: str = "closed by us") -> None:
        """Close now; waiting requests fail."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            try:
                message = parse_line(line)
            except ProtocolError as error:
                # The two sides no longer agree on what is said: nothing that follows can be trusted.
                self.close(f"protocol error: {error}")
                return
            if isinstance(message, Answer):
                self._answered(message)
            else:
                self._on_events(message)
        self._scanned = len(self._buffer)
        if self._scanned > RECEIVE_LIMIT:
            self.close(f"protocol error: a line of more than {RECEIVE_LIMIT} octets")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        reason = self._reason or (f"connection lost: {error}" if error else "the engine closed the connection")
        waiting, self._waiting = self._waiting, {}
        for request in waiting.values():
            _fail(request, LOST, reason)
        self._on_lost(self, reason)

    def _answered(self, answer: Answer) -> None:
        if answer.id is None:
            log.error("! the engine could not read a request", error=str(answer.error))
            return
        # None: its time was up.
        request = self._waiting.pop(answer.id, None)
        if request is None:
            return
        if answer.error is not None:
            _fail(request, answer.error.code, answer.error.message)
        elif answer.ok is not None and not request.done.done():
            try:
                wanted = request.answer
                request.done.set_result(None if wanted is NoneType else msgspec.json.decode(answer.ok, type=wanted))
            except msgspec.MsgspecError as error:
                self.close(f"protocol error: answer to {request.operation}: {error}")
                _fail(request, LOST, self._reason)

    def _watch_until(self, deadline: float) -> None:
        """Look then for requests whose time is up. What has its answer by then is not waited for any more."""
        if self._watch is not None:
            self._watch.cancel()
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(max(0.0, deadline - loop.time()), self._time_out)
        self._watched_until = deadline

    def _time_out(self) -> None:
        self._watch = None
        now = asyncio.get_running_loop().time()
        for request_id in [one for one, request in self._waiting.items() if request.deadline <= now]:
            request = self._waiting.pop(request_id)
            _fail(request, TIMEOUT, f"no answer to {request.operation} within {request.limit_s:g} s")
        if self._waiting:
            self._watch_until(min(request.deadline for request in self._waiting.values()))


def _fail(request: _Request, code: str, message: str) -> None:
    if not request.done.done():  # its caller may have given up
        request.done.set_exception(MediaEngineError(code, message))
