"""Requests that wait for the engine's answer, over as many connections as it takes."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeVar

import msgspec

from sidestream.media.engine import MediaEngineError
from sidestream.media.protocol import Answer, ProtocolError, request_line

LOST = "engine-lost"  # our own codes, beside those of the protocol's section 6
TIMEOUT = "engine-timeout"

T = TypeVar("T")


@dataclass(slots=True)
class Request:
    """A request without an answer so far. `deadline` is on the loop's clock.

    One that is `lasting` survives its connection: it is sent again on the next.
    """

    operation: str
    session: str | None
    line: bytes
    lasting: bool
    answer: type[Any]
    limit_s: float
    deadline: float
    done: asyncio.Future[Any]

    def fail(self, code: str, message: str) -> None:
        if not self.done.done():  # its caller may have given up
            self.done.set_exception(MediaEngineError(code, message))


class Requests:
    """Numbers requests, matches answers and looks after the time that each has."""

    def __init__(self) -> None:
        self._waiting: dict[int, Request] = {}
        self._watch: asyncio.TimerHandle | None = None  # one for all that wait
        self._watched_until = 0.0
        self._last_id = 0

    def __iter__(self) -> Iterator[Request]:
        """Those that wait, oldest first."""
        return iter(self._waiting.values())

    def add(
        self, operation: str, answer: type[T], timeout: float, fields: dict[str, Any], *, lasting: bool = False
    ) -> Request:
        """A request whose `line` is to be sent. Its `done` is an `answer`, or fails with `MediaEngineError`.

        `NoneType` is for one whose answer says no more than that it is done. Cancelling gives up the answer, not the
        command.
        """
        loop = asyncio.get_running_loop()
        self._last_id += 1
        line = request_line(self._last_id, operation, fields)
        deadline, done = loop.time() + timeout, loop.create_future()
        request = Request(operation, fields.get("session"), line, lasting, answer, timeout, deadline, done)
        self._waiting[self._last_id] = request
        if self._watch is None or request.deadline < self._watched_until:
            self._watch_until(request.deadline)
        return request

    def answered(self, answer: Answer) -> None:
        """Give a request its answer. Raises `ProtocolError` for one of another shape."""
        # None: its time was up.
        request = None if answer.id is None else self._waiting.pop(answer.id, None)
        if request is None:
            return
        if answer.error is not None:
            request.fail(answer.error.code, answer.error.message)
        elif answer.ok is not None and not request.done.done():
            wanted = request.answer
            try:
                request.done.set_result(None if wanted is NoneType else msgspec.json.decode(answer.ok, type=wanted))
            except msgspec.MsgspecError as error:
                wrong = f"answer to {request.operation}: {error}"
                request.fail(LOST, f"protocol error: {wrong}")
                raise ProtocolError(wrong) from error

    def interrupt(self, reason: str) -> None:
        """The connection broke: what is not lasting fails."""
        self._lose([number for number, request in self._waiting.items() if not request.lasting], reason)

    def give_up(self, reason: str) -> None:
        """No other connection is waited for: all fail."""
        self._lose(list(self._waiting), reason)

    def _lose(self, numbers: list[int], reason: str) -> None:
        for number in numbers:
            self._waiting.pop(number).fail(LOST, reason)
        if not self._waiting and self._watch is not None:
            self._watch.cancel()
            self._watch = None

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
        for number in [one for one, request in self._waiting.items() if request.deadline <= now]:
            request = self._waiting.pop(number)
            request.fail(TIMEOUT, f"no answer to {request.operation} within {request.limit_s:g} s")
        if self._waiting:
            self._watch_until(min(request.deadline for request in self._waiting.values()))
