"""The non-INVITE server transaction (RFC 3261 §17.2.2)."""

from typing import ClassVar

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Machine, Outlet, Signal


class State(IdentityEnum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class ServerOther(Machine):
    """Repeats our last response for a repeated request. Responses are fed in as bytes."""

    __slots__ = ("_last",)

    def __init__(self, key: str, outlet: Outlet, timers: Timers, *, reliable: bool) -> None:
        super().__init__(key, outlet, timers, reliable=reliable)
        self.state = State.TRYING
        self._last = b""

    def start(self, now: float) -> None:
        # RFC 4320 §4.2: an answer after the client's timer F is of no use, so a request that nobody answers is
        # forgotten then. RFC 3261 gives these states no timer; J is not needed for anything else before the answer.
        self._outlet.arm(self.key, Timer.J, now + self._timers.patience)

    def _proceed(self, data: bytes, _now: float) -> None:
        self.state = State.PROCEEDING
        self._last = data
        self._outlet.send(self.key, data)

    def _complete(self, data: bytes, now: float) -> None:
        self.state = State.COMPLETED
        self._last = data
        self._outlet.send(self.key, data)
        # RFC 3261 §17.2.2: timer J is zero over a reliable transport.
        self._outlet.arm(self.key, Timer.J, now if self._reliable else now + self._timers.patience)

    def _repeat(self, _payload: object, _now: float) -> None:
        self._outlet.send(self.key, self._last)

    def _terminate(self, _payload: None, _now: float) -> None:
        self.state = State.TERMINATED
        self._outlet.forget(self.key)

    TABLE: ClassVar = {
        (State.TRYING, Signal.REQUEST): Machine._ignore,
        (State.TRYING, Signal.PROVISIONAL): _proceed,
        (State.TRYING, Signal.SUCCESS): _complete,
        (State.TRYING, Signal.FAILURE): _complete,
        (State.TRYING, Timer.J): _terminate,
        (State.PROCEEDING, Signal.REQUEST): _repeat,
        (State.PROCEEDING, Signal.PROVISIONAL): _proceed,
        (State.PROCEEDING, Signal.SUCCESS): _complete,
        (State.PROCEEDING, Signal.FAILURE): _complete,
        (State.PROCEEDING, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.PROCEEDING, Timer.J): _terminate,
        (State.COMPLETED, Signal.REQUEST): _repeat,
        (State.COMPLETED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.COMPLETED, Timer.J): _terminate,
    }
