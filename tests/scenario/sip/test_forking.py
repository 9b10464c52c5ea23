"""One INVITE, two phones that answer it, a stateless proxy between."""

from collections import deque
from typing import Any

import pytest

from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    EndCause,
    InviteAccepted,
    InviteProgress,
    SessionEnded,
)
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.sip.values import Via

PROXY = "10.0.0.9"


class ForkingProxy:
    """Sends each request outside a dialog to every target, and each response back where its Via says."""

    def __init__(self, *targets: str) -> None:
        self.targets = targets
        self.out: deque[Transmit] = deque()

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        message = parse_message(data)
        if isinstance(message, Request):
            message.note_source(peer.host, peer.port)
            for number, target in enumerate(self.targets):
                copy = Request(message.method, message.uri, message.headers.copy(), message.body)
                branch = f"{message.via.branch}f{number}"
                copy.headers.insert_first("Via", str(Via("UDP", PROXY, 5060, (("branch", branch),))))
                self.send(copy.to_bytes(), target, 5060)
        else:
            message.headers.replace("Via", *[str(via) for via in message.vias[1:]])
            self.send(message.to_bytes(), message.via.received or message.via.host, message.via.rport or 5060)

    def send(self, data: bytes, host: str, port: int) -> None:
        self.out.append(Transmit(data, Destination(Transport.UDP, host, port)))

    def poll_transmit(self) -> Transmit | None:
        return self.out.popleft() if self.out else None

    def poll_lookup(self) -> None:
        return None

    def poll_event(self) -> None:
        return None

    def poll_timeout(self) -> None:
        return None

    def handle_timeout(self, now: float) -> None:
        raise AssertionError("a stateless proxy has no timers")


@pytest.fixture
def carol(pair: Any, phone_on: Any) -> Any:
    """A third phone; she and bob are reached by calling the proxy."""
    pair.wire.join("proxy", ForkingProxy("10.0.0.2", "10.0.0.3"), PROXY)
    return phone_on("carol", "10.0.0.3", pair.wire)


def call(pair: Any) -> str:
    target = pair.bob.address.uri
    return str(pair.alice.call(pair.bob, target=type(target).sip("bob", PROXY)))


def test_the_second_2xx_is_acknowledged_and_hung_up(pair: Any, carol: Any) -> None:
    session = call(pair)
    pair.wire.run(2)
    assert len(pair.alice.seen(InviteAccepted)) == 1
    (ended,) = pair.bob.seen(SessionEnded) + carol.seen(SessionEnded)
    assert ended.cause is EndCause.REMOTE_BYE
    assert len(pair.bob.seen(AckReceived)) == len(carol.seen(AckReceived)) == 1
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    for phone in (pair.alice, pair.bob, carol):
        phone.check_rest()


def test_a_lost_ack_of_the_second_2xx_is_sent_again(pair: Any, carol: Any) -> None:
    lost = {"bob", "carol"}

    def drop(carried: Any) -> bool:
        if carried.start.startswith("ACK") and carried.target in lost:
            lost.discard(carried.target)
            return True
        return False

    pair.wire.drop = drop
    call(pair)
    pair.wire.run(3)
    assert len(pair.alice.seen(InviteAccepted)) == 1
    # The fork that nobody wants is hung up before its ACK comes again: a BYE tells as much.
    assert len(pair.bob.seen(ByeReceived)) + len(carol.seen(ByeReceived)) == 1
    assert len(pair.bob.seen(AckReceived)) + len(carol.seen(AckReceived)) == 1


def test_early_dialogs_of_both_forks_are_told_apart(pair: Any, carol: Any) -> None:
    pair.bob.answers = carol.answers = None
    session = call(pair)
    pair.wire.run(1)
    tags = {event.response.to.tag for event in pair.alice.seen(InviteProgress)}
    assert len(tags) == 2
    carol.answer(carol.session(), 200)
    pair.wire.run(1)
    (accepted,) = pair.alice.seen(InviteAccepted)
    dialog = pair.alice.agent.dialog(session)
    assert dialog is not None
    assert dialog.remote.tag == accepted.response.to.tag
    assert dialog.remote_target.host == "10.0.0.3"
    pair.bob.answer(pair.bob.session(), 200)  # too late: the proxy did not cancel it
    pair.wire.run(1)
    assert pair.bob.seen(SessionEnded)[0].cause is EndCause.REMOTE_BYE
    assert carol.seen(SessionEnded) == []


def test_a_cancel_reaches_every_fork(pair: Any, carol: Any) -> None:
    pair.bob.answers = carol.answers = None
    session = call(pair)
    pair.wire.run(1)
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.wire.run()
    assert {phone.seen(SessionEnded)[0].cause for phone in (pair.alice, pair.bob, carol)} == {EndCause.CANCELLED}


def test_the_same_phone_reached_twice_refuses_the_merged_copy(pair: Any) -> None:
    pair.wire.join("proxy", ForkingProxy("10.0.0.2", "10.0.0.2"), PROXY)
    call(pair)
    pair.wire.run(2)
    assert len(pair.wire.sent("bob", "SIP/2.0 482")) >= 1
    assert len(pair.alice.seen(InviteAccepted)) == 1
    assert len(pair.bob.seen(AckReceived)) == 1
