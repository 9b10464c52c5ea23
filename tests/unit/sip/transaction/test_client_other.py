"""RFC 3261 §17.1.2."""

from typing import Any

import pytest

from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.client_other import ClientOther, State
from sidestream.sip.transaction.machine import Failure, Signal, UnlistedInput

NOW = 100.0


@pytest.fixture
def options(request_of: Any) -> Any:
    return request_of("OPTIONS")


@pytest.fixture
def udp(options: Any, outlet: Any) -> ClientOther:
    machine = ClientOther("k", options.to_bytes(), outlet, Timers(), reliable=False)
    machine.start(NOW)
    return machine


@pytest.fixture
def tcp(options: Any, outlet: Any) -> ClientOther:
    machine = ClientOther("k", options.to_bytes(), outlet, Timers(), reliable=True)
    machine.start(NOW)
    return machine


def test_timer_e_doubles_up_to_t2_until_timer_f(udp: ClientOther, outlet: Any) -> None:
    fired = []
    while outlet.armed[Timer.E] < outlet.armed[Timer.F]:
        fired.append(outlet.fire(udp, Timer.E) - NOW)
    assert fired == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert outlet.fire(udp, Timer.F) == NOW + 32
    assert outlet.delivered == [Failure.TIMEOUT]
    assert outlet.forgotten == ["k"]
    assert outlet.armed == {}


def test_tcp_is_not_retransmitted(tcp: ClientOther, outlet: Any) -> None:
    assert outlet.armed == {Timer.F: NOW + 32}


def test_a_provisional_response_slows_retransmission_to_t2(
    udp: ClientOther, outlet: Any, options: Any, response_to: Any
) -> None:
    trying = response_to(options, 100)
    udp.feed(Signal.PROVISIONAL, NOW, trying)
    udp.feed(Signal.PROVISIONAL, NOW, trying)
    assert outlet.delivered == [trying, trying]
    outlet.fire(udp, Timer.E)
    assert outlet.armed == {Timer.E: NOW + 0.5 + 4, Timer.F: NOW + 32}
    outlet.fire(udp, Timer.F)
    assert outlet.delivered[-1] is Failure.TIMEOUT


@pytest.mark.parametrize(("signal", "status"), [(Signal.SUCCESS, 200), (Signal.FAILURE, 404)])
@pytest.mark.parametrize("trying", [False, True])
def test_one_final_response_is_delivered(
    udp: ClientOther, outlet: Any, options: Any, response_to: Any, signal: Signal, status: int, trying: bool
) -> None:
    if trying:
        udp.feed(Signal.PROVISIONAL, NOW, response_to(options, 100))
    final = response_to(options, status)
    for _ in range(2):
        udp.feed(signal, NOW, final)
    udp.feed(Signal.PROVISIONAL, NOW, response_to(options, 100))
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert [item for item in outlet.delivered if item == final] == [final]
    assert udp.state is State.COMPLETED
    assert outlet.armed == {Timer.K: NOW + 5}
    outlet.fire(udp, Timer.K)
    assert outlet.forgotten == ["k"]


def test_timer_k_is_zero_over_tcp(tcp: ClientOther, outlet: Any, options: Any, response_to: Any) -> None:
    tcp.feed(Signal.SUCCESS, NOW, response_to(options, 200))
    assert outlet.armed == {Timer.K: NOW}


@pytest.mark.parametrize("trying", [False, True])
def test_a_transport_error_ends_it(udp: ClientOther, outlet: Any, options: Any, response_to: Any, trying: bool) -> None:
    if trying:
        udp.feed(Signal.PROVISIONAL, NOW, response_to(options, 100))
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.delivered[-1] is Failure.TRANSPORT
    assert outlet.forgotten == ["k"]


def test_an_unlisted_input_is_a_typed_error(udp: ClientOther) -> None:
    with pytest.raises(UnlistedInput):
        udp.feed(Timer.K, NOW)
