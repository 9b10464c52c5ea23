"""RFC 3261 §17.2.2."""

from typing import Any

import pytest

from sidestream.sip.timers import Timer, Timers
from sidestream.sip.transaction.machine import Signal, UnlistedInput
from sidestream.sip.transaction.server_other import ServerOther, State

NOW = 100.0


@pytest.fixture
def udp(outlet: Any) -> ServerOther:
    machine = ServerOther("k", outlet, Timers(), reliable=False)
    machine.start(NOW)
    return machine


def test_repeated_requests_get_the_last_response(udp: ServerOther, outlet: Any) -> None:
    udp.feed(Signal.REQUEST, NOW)
    assert outlet.sent == []
    udp.feed(Signal.PROVISIONAL, NOW, b"100")
    udp.feed(Signal.PROVISIONAL, NOW, b"182")
    udp.feed(Signal.REQUEST, NOW)
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    udp.feed(Signal.SUCCESS, NOW + 1, b"200")
    udp.feed(Signal.REQUEST, NOW)
    udp.feed(Signal.TRANSPORT_ERROR, NOW)
    assert outlet.sent == [b"100", b"182", b"182", b"200", b"200"]
    assert udp.state is State.COMPLETED
    assert outlet.fire(udp, Timer.J) == NOW + 33
    assert outlet.forgotten == ["k"]


@pytest.mark.parametrize("provisional", [False, True])
@pytest.mark.parametrize("signal", [Signal.SUCCESS, Signal.FAILURE])
def test_any_final_response_completes(outlet: Any, signal: Signal, provisional: bool) -> None:
    tcp = ServerOther("k", outlet, Timers(), reliable=True)
    tcp.start(NOW)
    if provisional:
        tcp.feed(Signal.PROVISIONAL, NOW, b"100")
    tcp.feed(signal, NOW + 1, b"final")
    assert outlet.armed == {Timer.J: NOW + 1}


@pytest.mark.parametrize("provisional", [False, True])
def test_a_request_that_nobody_answers_is_forgotten(udp: ServerOther, outlet: Any, provisional: bool) -> None:
    if provisional:
        udp.feed(Signal.PROVISIONAL, NOW, b"100")
    assert outlet.fire(udp, Timer.J) == NOW + 32
    assert outlet.forgotten == ["k"]


def test_an_unlisted_input_is_a_typed_error(udp: ServerOther) -> None:
    with pytest.raises(UnlistedInput):
        udp.feed(Signal.ACK, NOW)
