"""Targets that failed a moment ago."""

import pytest

from sidestream.sip.agent import blocklist
from sidestream.sip.agent.blocklist import BLOCK_S, LONGEST_BLOCK_S, Blocklist
from sidestream.sip.agent.routing import Hop
from sidestream.sip.transport import Destination, ListenerAddress, Transport

LISTENER = ListenerAddress("l", Transport.UDP, "10.0.0.1", 5060)
ONE, TWO, THREE = (Hop(Destination(Transport.UDP, f"10.0.0.{n}", 5060), LISTENER) for n in (2, 3, 4))
HOPS = [ONE, TWO, THREE]


def target(hop: Hop) -> Destination:
    assert isinstance(hop.target, Destination)
    return hop.target


def test_a_failed_target_comes_last_for_a_while() -> None:
    blocked = Blocklist()
    blocked.block(target(ONE), 100.0)
    assert blocked.order(HOPS, 100.0) == [TWO, THREE, ONE]
    assert blocked.order(HOPS, 100.0 + BLOCK_S) == HOPS


def test_with_nothing_better_it_is_tried_all_the_same() -> None:
    blocked = Blocklist()
    for hop in HOPS:
        blocked.block(target(hop), 0.0)
    assert blocked.order(HOPS, 1.0) == HOPS


def test_a_server_may_ask_for_longer_but_not_for_ever() -> None:
    blocked = Blocklist()
    blocked.block(target(ONE), 0.0, 1e9)
    assert blocked.order(HOPS, LONGEST_BLOCK_S - 1)[-1] == ONE
    assert blocked.order(HOPS, LONGEST_BLOCK_S) == HOPS


def test_the_oldest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocklist, "MAX_BLOCKED", 2)
    blocked = Blocklist()
    for hop in (ONE, TWO, ONE, THREE):
        blocked.block(target(hop), 0.0)
    assert blocked.order(HOPS, 1.0) == [TWO, ONE, THREE]
