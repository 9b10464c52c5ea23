"""RFC 3261 §17.1.1 and RFC 6026 §8.4."""

from typing import Any

import pytest

from sidestream.sip.message import parse_message
from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.client_invite import ClientInvite, State
from sidestream.sip.transaction.machine import Failure, Signal, UnlistedInput, response_signal

NOW = 100.0


@pytest.fixture
def invite(request_of: Any) -> Any:
    return request_of(extra="Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n")


@pytest.fixture
def udp(invite: Any, outlet: Any) -> ClientInvite:
    machine = ClientInvite("k", invite, invite.to_bytes(), outlet, Timers(), reliable=False)
    machine.start(NOW)
    return machine


@pytest.fixture
def tcp(invite: Any, outlet: Any) -> ClientInvite:
    machine = ClientInvite("k", invite, invite.to_bytes(), outlet, Timers(), reliable=True)
    machine.start(NOW)
    return machine


def test_timer_a_doubles_without_ceiling_until_timer_b(udp: ClientInvite, outlet: Any) -> None:
    fired = []
    while Timer.A in outlet.armed and outlet.armed[Timer.A] < outlet.armed[Timer.B]:
        fired.append(outlet.fire(udp, Timer.A) - NOW)
    assert fired == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert len(outlet.sent) == 7
    assert len(set(outlet.sent)) == 1
    assert outlet.fire(udp, Timer.B) == NOW + 32
    assert udp.state is State.TERMINATED
    assert outlet.delivered == [Failure.TIMEOUT]
    assert outlet.forgotten == ["k"]
    assert outlet.armed == {}


def test_tcp_is_not_retransmitted(tcp: ClientInvite, outlet: Any) -> None:
    assert outlet.armed == {Timer.B: NOW + 32}


def test_a_provisional_response_stops_both_timers(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any
) -> None:
    first, second = response_to(invite, 100), response_to(invite, 180)
    udp.feed(Signal.PROVISIONAL, NOW, first)
    udp.feed(Signal.PROVISIONAL, NOW, second)
    assert udp.state is State.PROCEEDING
    assert outlet.armed == {}
    assert outlet.delivered == [first, second]


@pytest.mark.parametrize("ringing", [False, True])
def test_every_2xx_is_delivered_until_timer_m(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any, ringing: bool
) -> None:
    if ringing:
        udp.feed(Signal.PROVISIONAL, NOW, response_to(invite, 180))
    oks = [response_to(invite, 200, tag) for tag in ("x", "x", "y")]
    for ok in oks:
        udp.feed(Signal.SUCCESS, NOW, ok)
    assert udp.state is State.ACCEPTED
    assert outlet.delivered[-3:] == oks
    for late in (Signal.PROVISIONAL, Signal.FAILURE, Signal.TRANSPORT_ERROR):
        udp.feed(late, NOW, response_to(invite, 486))
    assert outlet.delivered[-3:] == oks
    assert len(outlet.sent) == 1
    assert outlet.fire(udp, Timer.M) == NOW + 32
    assert udp.state is State.TERMINATED


@pytest.mark.parametrize("ringing", [False, True])
def test_a_failure_is_acknowledged_as_often_as_it_comes(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any, ringing: bool
) -> None:
    if ringing:
        udp.feed(Signal.PROVISIONAL, NOW, response_to(invite, 180))
    busy = response_to(invite, 486)
    udp.feed(Signal.FAILURE, NOW, busy)
    udp.feed(Signal.FAILURE, NOW, busy)
    assert udp.state is State.COMPLETED
    assert outlet.delivered[-1] == busy
    assert len([item for item in outlet.delivered if item == busy]) == 1
    assert outlet.sent[1:] == [outlet.sent[1]] * 2
    for late in (Signal.PROVISIONAL, Signal.SUCCESS):
        udp.feed(late, NOW, response_to(invite, 200))
    assert outlet.armed == {Timer.D: NOW + 32}
    outlet.fire(udp, Timer.D)
    assert udp.state is State.TERMINATED


def test_the_ack_of_a_failure_is_built_from_both_messages(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any
) -> None:
    udp.feed(Signal.FAILURE, NOW, response_to(invite, 486, "callee"))
    ack = parse_message(outlet.sent[-1])
    assert (ack.method, ack.uri, str(ack.cseq)) == ("ACK", invite.uri, "1 ACK")  # type: ignore[union-attr]
    assert [str(via) for via in ack.vias] == [str(invite.via)]
    assert ack.to.tag == "callee"
    assert ack.headers.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (ack.from_, ack.call_id) == (invite.from_, invite.call_id)


def test_timer_d_is_zero_over_tcp(tcp: ClientInvite, outlet: Any, invite: Any, response_to: Any) -> None:
    tcp.feed(Signal.FAILURE, NOW, response_to(invite, 486))
    assert outlet.armed == {Timer.D: NOW}


def test_a_transport_error_ends_a_call_that_nobody_has_answered(udp: ClientInvite, outlet: Any) -> None:
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.delivered == [Failure.TRANSPORT]
    assert outlet.forgotten == ["k"]
    assert outlet.armed == {}


def test_a_transport_error_while_ringing_changes_nothing(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any
) -> None:
    udp.feed(Signal.PROVISIONAL, NOW, response_to(invite, 180))
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert udp.state is State.PROCEEDING


def test_an_ack_that_cannot_be_sent_only_ends_the_transaction(
    udp: ClientInvite, outlet: Any, invite: Any, response_to: Any
) -> None:
    udp.feed(Signal.FAILURE, NOW, response_to(invite, 486))
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.forgotten == ["k"]
    assert Failure.TRANSPORT not in outlet.delivered


def test_an_unlisted_input_is_a_typed_error(udp: ClientInvite) -> None:
    with pytest.raises(UnlistedInput) as caught:
        udp.feed(Signal.ACK, NOW)
    assert str(caught.value) == "ClientInvite in CALLING takes no ACK"


@pytest.mark.parametrize(
    ("status", "signal"),
    [
        (100, Signal.PROVISIONAL),
        (199, Signal.PROVISIONAL),
        (200, Signal.SUCCESS),
        (299, Signal.SUCCESS),
        (300, Signal.FAILURE),
        (699, Signal.FAILURE),
    ],
)
def test_the_input_that_a_status_is(status: int, signal: Signal) -> None:
    assert response_signal(status) is signal
