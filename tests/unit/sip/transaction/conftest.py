"""An outlet that notes what a transaction brings about, and the messages to feed it with."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sidestream.sip.message import Request, Response, parse_message
from sidestream.sip.timers import Timer
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Peer


@dataclass
class NotedOutlet:
    sent: list[bytes] = field(default_factory=list)
    armed: dict[Timer, float] = field(default_factory=dict)
    delivered: list[Any] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def send(self, key: str, data: bytes) -> None:
        self.sent.append(data)

    def arm(self, key: str, timer: Timer, deadline: float) -> None:
        self.armed[timer] = deadline

    def stop(self, key: str, timer: Timer) -> None:
        self.armed.pop(timer, None)

    def deliver_response(self, key: str, response: Response) -> None:
        self.delivered.append(response)

    def deliver_ack(self, key: str, request: Request, peer: Peer) -> None:
        self.delivered.append((request, peer))

    def deliver_failure(self, key: str, cause: Failure) -> None:
        self.delivered.append(cause)

    def forget(self, key: str) -> None:
        self.forgotten.append(key)

    def fire(self, machine: Any, timer: Timer) -> float:
        """Let an armed timer expire; returns the time at which it did."""
        now = self.armed.pop(timer)
        machine.feed(timer, now)
        return now


def make_request(
    method: str = "INVITE",
    branch: str = "z9hG4bKone",
    *,
    number: int = 1,
    extra: str = "",
    to_tag: str = "",
    via: str | None = None,
) -> Request:
    top = via if via is not None else f"SIP/2.0/UDP 10.0.0.1:5060;rport;branch={branch}"
    tag = f";tag={to_tag}" if to_tag else ""
    data = (
        f"{method} sip:bob@10.0.0.2 SIP/2.0\r\nVia: {top}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:alice@10.0.0.1>;tag=from\r\nTo: <sip:bob@10.0.0.2>{tag}\r\nCall-ID: one@10.0.0.1\r\n"
        f"CSeq: {number} {method}\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def make_response(of: Request, status: int, tag: str = "to") -> Response:
    message = parse_message(of.response(status, to_tag=tag).to_bytes())
    assert isinstance(message, Response)
    return message


@pytest.fixture
def outlet() -> NotedOutlet:
    return NotedOutlet()


@pytest.fixture
def request_of() -> Any:
    """`make_request`."""
    return make_request


@pytest.fixture
def response_to() -> Any:
    """`make_response`."""
    return make_response
