"""What the four transaction machines share; an input that a state does not list is a defect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol

from sidestream.base.identity_enum import IdentityEnum
from sidestream.sip.errors import LocalError
from sidestream.sip.message import Request, Response
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transport import Peer


class Signal(IdentityEnum):
    """Inputs of a machine besides its timers; responses come from the peer to a client, from us to a server."""

    PROVISIONAL = "a response 100–199"
    SUCCESS = "a response 200–299"
    FAILURE = "a response 300–699"
    REQUEST = "the request again"
    ACK = "an ACK"
    TRANSPORT_ERROR = "the transport could not send the last message"


Input = Signal | Timer


class Failure(Enum):
    """Why a client transaction got no final response."""

    TIMEOUT = "no response in time"  # RFC 3261 §8.1.3.1: to be treated as a 408
    TRANSPORT = "could not be sent"  # RFC 3261 §8.1.3.1: to be treated as a 503


@dataclass
class UnlistedInput(LocalError):
    """A machine was given an input that its table does not list for its state: a defect on our side."""

    machine: str
    state: str
    input: str

    def __str__(self) -> str:
        return f"{self.machine} in {self.state} takes no {self.input}"


class Outlet(Protocol):
    """What a machine can bring about; the layer implements it."""

    def send(self, key: str, data: bytes) -> None: ...

    def arm(self, key: str, timer: Timer, deadline: float) -> None: ...

    def stop(self, key: str, timer: Timer) -> None: ...

    def deliver_response(self, key: str, response: Response) -> None: ...

    def deliver_ack(self, key: str, request: Request, peer: Peer) -> None: ...

    def deliver_failure(self, key: str, cause: Failure) -> None: ...

    def forget(self, key: str) -> None: ...


class Machine:
    """A transaction: `state`, and a `TABLE` from state and input to the step to take. `key` is unique in its layer."""

    __slots__ = ("_outlet", "_reliable", "_timers", "key", "state")

    TABLE: ClassVar[Mapping[tuple[Any, Input], Callable[[Any, Any, float], None]]]

    state: Any

    def __init__(self, key: str, outlet: Outlet, timers: Timers, *, reliable: bool) -> None:
        self.key = key
        self._outlet = outlet
        self._timers = timers
        self._reliable = reliable

    def feed(self, signal: Input, now: float, payload: Any = None) -> None:
        """Take one input. Raises UnlistedInput when the table has no such line."""
        step = self.TABLE.get((self.state, signal))
        if step is None:
            raise UnlistedInput(type(self).__name__, self.state.name, signal.name)
        step(self, payload, now)

    def _ignore(self, _payload: Any, _now: float) -> None:
        """The input is expected here and changes nothing."""


def response_signal(status: int) -> Signal:
    """The input that a response with this status is."""
    if status < 200:
        return Signal.PROVISIONAL
    return Signal.SUCCESS if status < 300 else Signal.FAILURE
