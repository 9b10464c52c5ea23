"""The INVITE server transaction (RFC 3261 §17.2.1 as replaced by RFC 6026 §7.1 and §8.6)."""

from typing import ClassVar

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.message import Request
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Machine, Outlet, Signal
from sidestream.sip.transport import Peer


class State(IdentityEnum):
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class ServerInvite(Machine):
    """Repeats our responses for a repeated INVITE, and a final one above 299 until its ACK arrives.

    A 2xx is repeated by its sender, not here: each copy is fed in as SUCCESS. Responses are fed in as bytes.
    """

    __slots__ = ("_interval", "_last")

    def __init__(self, key: str, outlet: Outlet, timers: Timers, *, reliable: bool) -> None:
        super().__init__(key, outlet, timers, reliable=reliable)
        self.state = State.PROCEEDING
        self._last = b""
        self._interval = timers.t1

    def _send(self, data: bytes, _now: float) -> None:
        self._last = data
        self._outlet.send(self.key, data)

    def _repeat(self, _payload: object, _now: float) -> None:
        if self._last:
            self._outlet.send(self.key, self._last)

    def _accept(self, data: bytes, now: float) -> None:
        self.state = State.ACCEPTED
        self._last = b""
        self._outlet.send(self.key, data)
        self._outlet.arm(self.key, Timer.L, now + self._timers.patience)

    def _send_again(self, data: bytes, _now: float) -> None:
        self._outlet.send(self.key, data)

    def _complete(self, data: bytes, now: float) -> None:
        self.state = State.COMPLETED
        self._send(data, now)
        if not self._reliable:
            self._outlet.arm(self.key, Timer.G, now + self._interval)
        self._outlet.arm(self.key, Timer.H, now + self._timers.patience)

    def _repeat_final(self, _payload: None, now: float) -> None:
        # RFC 3261 §17.2.1: timer G doubles up to T2.
        self._interval = min(2 * self._interval, self._timers.t2)
        self._outlet.send(self.key, self._last)
        self._outlet.arm(self.key, Timer.G, now + self._interval)

    def _confirm(self, _ack: object, now: float) -> None:
        self.state = State.CONFIRMED
        self._last = b""
        self._outlet.stop(self.key, Timer.G)
        self._outlet.stop(self.key, Timer.H)
        # RFC 3261 §17.2.1: timer I is zero over a reliable transport.
        self._outlet.arm(self.key, Timer.I, now if self._reliable else now + self._timers.t4)

    def _pass_ack(self, ack: tuple[Request, Peer], _now: float) -> None:
        self._outlet.deliver_ack(self.key, *ack)

    def _terminate(self, _payload: None, _now: float) -> None:
        self.state = State.TERMINATED
        self._outlet.stop(self.key, Timer.G)
        self._outlet.forget(self.key)

    TABLE: ClassVar = {
        (State.PROCEEDING, Signal.REQUEST): _repeat,
        (State.PROCEEDING, Signal.ACK): Machine._ignore,
        (State.PROCEEDING, Signal.PROVISIONAL): _send,
        (State.PROCEEDING, Signal.SUCCESS): _accept,
        (State.PROCEEDING, Signal.FAILURE): _complete,
        # RFC 6026 §7.1: a transport error leaves the state as it is, so that repeated INVITEs are still absorbed.
        (State.PROCEEDING, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.ACCEPTED, Signal.REQUEST): Machine._ignore,
        (State.ACCEPTED, Signal.ACK): _pass_ack,
        (State.ACCEPTED, Signal.SUCCESS): _send_again,
        (State.ACCEPTED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.ACCEPTED, Timer.L): _terminate,
        (State.COMPLETED, Signal.REQUEST): _repeat,
        (State.COMPLETED, Signal.ACK): _confirm,
        (State.COMPLETED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.COMPLETED, Timer.G): _repeat_final,
        (State.COMPLETED, Timer.H): _terminate,
        (State.CONFIRMED, Signal.REQUEST): Machine._ignore,
        (State.CONFIRMED, Signal.ACK): Machine._ignore,
        (State.CONFIRMED, Signal.TRANSPORT_ERROR): Machine._ignore,
        (State.CONFIRMED, Timer.I): _terminate,
    }
