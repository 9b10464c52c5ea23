"""The INVITE client transaction (RFC 3261 §17.1.1 as replaced by RFC 6026 §8.4)."""

from typing import ClassVar

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.headers import Headers
from sidestream.sip.message import Request, Response
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Failure, Machine, Outlet, Signal


class State(IdentityEnum):
    CALLING = "calling"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    TERMINATED = "terminated"


class ClientInvite(Machine):
    """Sends one INVITE until it is answered, and acknowledges a final response above 299."""

    __slots__ = ("_ack", "_data", "_interval", "_request")

    def __init__(
        self, key: str, request: Request, data: bytes, outlet: Outlet, timers: Timers, *, reliable: bool
    ) -> None:
        super().__init__(key, outlet, timers, reliable=reliable)
        self.state = State.CALLING
        self._request = request
        self._data = data
        self._ack = b""
        self._interval = timers.t1

    def start(self, now: float, patience: float | None = None) -> None:
        """`patience`: seconds until timer B, if there is somebody else to ask."""
        self._outlet.send(self.key, self._data)
        if not self._reliable:
            self._outlet.arm(self.key, Timer.A, now + self._interval)
        self._outlet.arm(self.key, Timer.B, now + (patience or self._timers.patience))

    def _repeat(self, _payload: None, now: float) -> None:
        # RFC 3261 §17.1.1.2: the interval doubles, without the ceiling that non-INVITE requests have.
        self._interval *= 2
        self._outlet.send(self.key, self._data)
        self._outlet.arm(self.key, Timer.A, now + self._interval)

    def _proceed(self, response: Response, _now: float) -> None:
        self.state = State.PROCEEDING
        self._stop_calling()
        self._outlet.deliver_response(self.key, response)

    def _progress(self, response: Response, _now: float) -> None:
        self._outlet.deliver_response(self.key, response)

    def _accept(self, response: Response, now: float) -> None:
        self.state = State.ACCEPTED
        self._stop_calling()
        self._data = b""
        self._outlet.arm(self.key, Timer.M, now + self._timers.patience)
        self._outlet.deliver_response(self.key, response)

    def _complete(self, response: Response, now: float) -> None:
        self.state = State.COMPLETED
        self._stop_calling()
        self._data = b""
        self._ack = failure_ack(self._request, response).to_bytes()
        self._outlet.send(self.key, self._ack)
        # RFC 3261 §17.1.1.2: timer D is zero over a reliable transport.
        self._outlet.arm(self.key, Timer.D, now if self._reliable else now + self._timers.d)
        self._outlet.deliver_response(self.key, response)

    def _repeat_ack(self, _response: Response, _now: float) -> None:
        self._outlet.send(self.key, self._ack)

    def _time_out(self, _payload: None, _now: float) -> None:
        self._outlet.deliver_failure(self.key, Failure.TIMEOUT)
        self._terminate(None, _now)

    def _break(self, _payload: None, _now: float) -> None:
        self._outlet.deliver_failure(self.key, Failure.TRANSPORT)
        self._terminate(None, _now)

    def _terminate(self, _payload: None, _now: float) -> None:
        self._stop_calling()
        self.state = State.TERMINATED
        self._outlet.forget(self.key)

    def _stop_calling(self) -> None:
        self._outlet.stop(self.key, Timer.A)
        self._outlet.stop(self.key, Timer.B)

    TABLE: ClassVar = {
        (State.CALLING, Timer.A): _repeat,
        (State.CALLING, Timer.B): _time_out,
        (State.CALLING, Signal.PROVISIONAL): _proceed,
        (State.CALLING, Signal.SUCCESS): _accept,
        (State.CALLING, Signal.FAILURE): _complete,
        (State.CALLING, Signal.TRANSPORT_ERROR): _break,
        (State.PROCEEDING, Signal.PROVISIONAL): _progress,
        (State.PROCEEDING, Signal.SUCCESS): _accept,
        (State.PROCEEDING, Signal.FAILURE): _complete,
        # A stream that breaks now may still be replaced by the server, which answers to sent-by (§18.2.2).
        (State.PROCEEDING, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.ACCEPTED, Signal.PROVISIONAL): Machine._ignore,
        (State.ACCEPTED, Signal.SUCCESS): _progress,
        (State.ACCEPTED, Signal.FAILURE): Machine._ignore,
        (State.ACCEPTED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.ACCEPTED, Timer.M): _terminate,
        (State.COMPLETED, Signal.PROVISIONAL): Machine._ignore,
        (State.COMPLETED, Signal.SUCCESS): Machine._ignore,
        (State.COMPLETED, Signal.FAILURE): _repeat_ack,
        # RFC 3261 §17.1.1.2 tells the TU that its ACK was lost; it could do nothing about it, so only the state ends.
        (State.COMPLETED, Signal.TRANSPORT_ERROR): _terminate,
        (State.COMPLETED, Timer.D): _terminate,
    }


def failure_ack(request: Request, response: Response) -> Request:
    """The ACK of a final response above 299 to `request`."""
    # RFC 3261 §17.1.1.3: one Via, equal to the top one of the INVITE; To of the response; the INVITE's Route.
    headers = request.headers
    fields = [
        ("Via", headers.get_all("Via")[0]),
        ("From", headers.get("From") or ""),
        ("To", response.headers.get("To") or ""),
        ("Call-ID", headers.get("Call-ID") or ""),
        ("CSeq", f"{request.cseq.number} ACK"),
        ("Max-Forwards", "70"),
        *(("Route", value) for value in headers.get_all("Route")),
    ]
    return Request("ACK", request.uri, Headers.from_wire(fields))
