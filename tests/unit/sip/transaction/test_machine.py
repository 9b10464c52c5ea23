"""The tables as a whole."""

from enum import Enum
from typing import Any

import pytest

from sidestream.sip.timers import Timer
from sidestream.sip.transaction import client_invite, client_other, server_invite, server_other
from sidestream.sip.transaction.machine import Signal

MACHINES = [
    (client_invite.ClientInvite, client_invite.State),
    (client_other.ClientOther, client_other.State),
    (server_invite.ServerInvite, server_invite.State),
    (server_other.ServerOther, server_other.State),
]


@pytest.mark.parametrize(("machine", "states"), MACHINES)
def test_each_table_is_about_its_own_states_and_known_inputs(machine: Any, states: type[Enum]) -> None:
    assert {state for state, _ in machine.TABLE} == set(states) - {states["TERMINATED"]}
    assert all(isinstance(signal, Signal | Timer) for _, signal in machine.TABLE)


@pytest.mark.parametrize(("machine", "states"), MACHINES[:2])
def test_a_client_takes_every_response_in_every_state(machine: Any, states: type[Enum]) -> None:
    responses = {Signal.PROVISIONAL, Signal.SUCCESS, Signal.FAILURE, Signal.TRANSPORT_ERROR}
    for state in set(states) - {states["TERMINATED"]}:
        assert {signal for of, signal in machine.TABLE if of is state} >= responses


@pytest.mark.parametrize(("machine", "states"), MACHINES[2:])
def test_a_server_takes_the_request_again_in_every_state(machine: Any, states: type[Enum]) -> None:
    for state in set(states) - {states["TERMINATED"]}:
        assert (state, Signal.REQUEST) in machine.TABLE
