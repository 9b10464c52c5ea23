"""One connection to the engine's socket: requests out, answers matched, events handed on."""

import asyncio
from collections.abc import Callable
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


class EngineConnection(asyncio.Protocol):
    """Made by `greet`. `on_lost` is called once, after every waiting request has failed."""

    def __init__(self, on_events: Callable[[Events], None], on_lost: Callable[["EngineConnection", str], None]) -> None:
        self._on_events = on_events
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._last_id = 0
        self._reason = ""

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, operation: str, answer: type[T], timeout: float, fields: dict[str, Any]) -> T:
        """Send one request and wait for its answer, an `answer`. Raises `MediaEngineError`.

        Requests may overlap; they leave in the order of the calls. Cancelling gives up the answer, not the command.
        """
        raw = await self._request(operation, fields, timeout)
        try:
            return msgspec.json.decode(raw, type=answer)
        except msgspec.MsgspecError as error:
            self.close(f"protocol error: answer to {operation}: {error}")
            raise MediaEngineError(LOST, self._reason) from error

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
        reason = self._reason or (f"connection lost: {error}" if error else "the engine closed the connection")
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(MediaEngineError(LOST, reason))
        self._on_lost(self, reason)

    async def _request(self, operation: str, fields: dict[str, Any], timeout: float) -> msgspec.Raw:
        if self._transport is None or self._transport.is_closing():
            raise MediaEngineError(LOST, "the connection to the media engine is closed")
        self._last_id += 1
        request_id = self._last_id
        waiting: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = waiting
        self._transport.write(request_line(request_id, operation, fields))
        try:
            async with asyncio.timeout(timeout):
                return await waiting
        except TimeoutError:
            raise MediaEngineError(TIMEOUT, f"no answer to {operation} within {timeout:g} s") from None
        finally:
            self._waiting.pop(request_id, None)

    def _answered(self, answer: Answer) -> None:
        if answer.id is None:
            log.error("! the engine could not read a request", error=str(answer.error))
            return
        # None: its caller gave up by time-out or cancellation.
        waiting = self._waiting.pop(answer.id, None)
        if waiting is None or waiting.done():
            return
        if answer.error is not None:
            waiting.set_exception(MediaEngineError(answer.error.code, answer.error.message))
        elif answer.ok is not None:
            waiting.set_result(answer.ok)
