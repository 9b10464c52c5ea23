"""RFC 3261 §17.2.1 and RFC 6026 §7.1, §8.6."""

from typing import Any

import pytest

from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Signal, UnlistedInput
from sidestream.sip.transaction.server_invite import ServerInvite, State
from sidestream.sip.transport import Peer, Transport

NOW = 100.0
PEER = Peer(Transport.UDP, "10.0.0.1", 5070, "udp")


@pytest.fixture
def udp(outlet: Any) -> ServerInvite:
    return ServerInvite("k", outlet, Timers(), reliable=False)


@pytest.fixture
def tcp(outlet: Any) -> ServerInvite:
    return ServerInvite("k", outlet, Timers(), reliable=True)


def test_a_repeated_invite_gets_the_last_provisional_response(udp: ServerInvite, outlet: Any) -> None:
    udp.feed(Signal.REQUEST, NOW)
    assert outlet.sent == []
    udp.feed(Signal.PROVISIONAL, NOW, b"100")
    udp.feed(Signal.PROVISIONAL, NOW, b"180")
    udp.feed(Signal.REQUEST, NOW)
    udp.feed(Signal.ACK, NOW)
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.sent == [b"100", b"180", b"180"]
    assert outlet.armed == {}


def test_after_a_2xx_repeated_invites_are_absorbed_and_acks_passed_on(
    udp: ServerInvite, outlet: Any, request_of: Any
) -> None:
    udp.feed(Signal.SUCCESS, NOW, b"200")
    udp.feed(Signal.REQUEST, NOW)
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.sent == [b"200"]
    udp.feed(Signal.SUCCESS, NOW, b"200")
    assert outlet.sent == [b"200", b"200"]
    ack = (request_of("ACK"), PEER)
    udp.feed(Signal.ACK, NOW, ack)
    assert outlet.delivered == [ack]
    assert udp.state is State.ACCEPTED
    assert outlet.fire(udp, Timer.L) == NOW + 32
    assert outlet.forgotten == ["k"]


def test_timer_g_doubles_up_to_t2_until_timer_h(udp: ServerInvite, outlet: Any) -> None:
    udp.feed(Signal.FAILURE, NOW, b"486")
    fired = []
    while outlet.armed[Timer.G] < outlet.armed[Timer.H]:
        fired.append(outlet.fire(udp, Timer.G) - NOW)
    assert fired == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert outlet.sent == [b"486"] * 11
    assert outlet.fire(udp, Timer.H) == NOW + 32
    assert outlet.forgotten == ["k"]
    assert outlet.armed == {}


def test_the_ack_ends_the_repetition(udp: ServerInvite, outlet: Any, request_of: Any) -> None:
    udp.feed(Signal.FAILURE, NOW, b"486")
    udp.feed(Signal.REQUEST, NOW)
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.sent == [b"486", b"486"]
    udp.feed(Signal.ACK, NOW, request_of("ACK"))
    assert udp.state is State.CONFIRMED
    for late in (Signal.ACK, Signal.REQUEST, Signal.TRANSPORT_ERROR):
        udp.feed(late, NOW)
    assert outlet.sent == [b"486", b"486"]
    assert outlet.armed == {Timer.I: NOW + 5}
    outlet.fire(udp, Timer.I)
    assert outlet.forgotten == ["k"]


def test_tcp_repeats_nothing_and_waits_for_nothing(tcp: ServerInvite, outlet: Any, request_of: Any) -> None:
    tcp.feed(Signal.FAILURE, NOW, b"486")
    assert outlet.armed == {Timer.H: NOW + 32}
    tcp.feed(Signal.ACK, NOW, request_of("ACK"))
    assert outlet.armed == {Timer.I: NOW}


def test_an_unlisted_input_is_a_typed_error(udp: ServerInvite) -> None:
    udp.feed(Signal.FAILURE, NOW, b"486")
    with pytest.raises(UnlistedInput):
        udp.feed(Signal.SUCCESS, NOW, b"200")
