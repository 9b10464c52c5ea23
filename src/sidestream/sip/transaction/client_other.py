"""The non-INVITE client transaction (RFC 3261 §17.1.2)."""

from typing import ClassVar

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.message import Response
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Failure, Machine, Outlet, Signal


class State(IdentityEnum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class ClientOther(Machine):
    """Sends one request until it gets its final response."""

    __slots__ = ("_data", "_gives_up_at", "_interval")

    def __init__(self, key: str, data: bytes, outlet: Outlet, timers: Timers, *, reliable: bool) -> None:
        super().__init__(key, outlet, timers, reliable=reliable)
        self.state = State.TRYING
        self._data = data
        self._interval = timers.t1
        self._gives_up_at = 0.0

    def start(self, now: float, patience: float | None = None) -> None:
        """`patience`: seconds until timer F, if there is somebody else to ask."""
        self._outlet.send(self.key, self._data)
        self._gives_up_at = now + self._timers.patience
        self._outlet.arm(self.key, Timer.F, now + (patience or self._timers.patience))
        if not self._reliable:
            self._outlet.arm(self.key, Timer.E, now + self._interval)

    def _repeat(self, _payload: None, now: float) -> None:
        # RFC 3261 §17.1.2.2: MIN(2 * previous, T2) while trying, T2 flat once a provisional response came.
        self._interval = min(2 * self._interval, self._timers.t2)
        self._outlet.send(self.key, self._data)
        self._outlet.arm(self.key, Timer.E, now + self._interval)

    def _proceed(self, response: Response, now: float) -> None:
        self.state = State.PROCEEDING
        self._interval = self._timers.t2
        self._outlet.arm(self.key, Timer.F, self._gives_up_at)  # the server is there, so it has its whole time
        self._outlet.deliver_response(self.key, response)

    def _progress(self, response: Response, _now: float) -> None:
        self._outlet.deliver_response(self.key, response)

    def _complete(self, response: Response, now: float) -> None:
        self.state = State.COMPLETED
        self._data = b""
        self._stop_trying()
        # RFC 3261 §17.1.2.2: timer K is zero over a reliable transport.
        self._outlet.arm(self.key, Timer.K, now if self._reliable else now + self._timers.t4)
        self._outlet.deliver_response(self.key, response)

    def _time_out(self, _payload: None, now: float) -> None:
        self._outlet.deliver_failure(self.key, Failure.TIMEOUT)
        self._terminate(None, now)

    def _break(self, _payload: None, now: float) -> None:
        self._outlet.deliver_failure(self.key, Failure.TRANSPORT)
        self._terminate(None, now)

    def _terminate(self, _payload: None, _now: float) -> None:
        self._stop_trying()
        self.state = State.TERMINATED
        self._outlet.forget(self.key)

    def _stop_trying(self) -> None:
        self._outlet.stop(self.key, Timer.E)
        self._outlet.stop(self.key, Timer.F)

    TABLE: ClassVar = {
        (State.TRYING, Timer.E): _repeat,
        (State.TRYING, Timer.F): _time_out,
        (State.TRYING, Signal.PROVISIONAL): _proceed,
        (State.TRYING, Signal.SUCCESS): _complete,
        (State.TRYING, Signal.FAILURE): _complete,
        (State.TRYING, Signal.TRANSPORT_ERROR): _break,
        (State.PROCEEDING, Timer.E): _repeat,
        (State.PROCEEDING, Timer.F): _time_out,
        (State.PROCEEDING, Signal.PROVISIONAL): _progress,
        (State.PROCEEDING, Signal.SUCCESS): _complete,
        (State.PROCEEDING, Signal.FAILURE): _complete,
        (State.PROCEEDING, Signal.TRANSPORT_ERROR): _break,
        (State.COMPLETED, Signal.PROVISIONAL): Machine._ignore,
        (State.COMPLETED, Signal.SUCCESS): Machine._ignore,
        (State.COMPLETED, Signal.FAILURE): Machine._ignore,
        (State.COMPLETED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.COMPLETED, Timer.K): _terminate,
    }
