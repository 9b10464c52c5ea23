"""Where each request ends up."""

from typing import Any

import pytest

from sidestream.sip.agent.events import InviteReceived


def statuses(bench: Any) -> list[int]:
    return [message.status for message in bench.take_sent()]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "UPDATE", "OPTIONS"])
def test_a_dialog_that_nobody_knows(bench: Any, method: str) -> None:
    bench.request(method, to_tag="nobody")
    assert statuses(bench) == [481]
    assert bench.take_events() == []


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE"])
def test_methods_that_need_a_dialog(bench: Any, method: str) -> None:
    bench.request(method)
    assert statuses(bench) == [481]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO"])
def test_a_number_out_of_order(bench: Any, method: str) -> None:
    session = bench.answered(number=5)
    bench.inside(session, method, 5)
    bench.inside(session, method, 4)
    assert statuses(bench) == [500, 500]
    assert bench.take_events() == []


def test_a_request_that_was_forked_and_merged(bench: Any) -> None:
    bench.request("INVITE", branch="z9hG4bKa")
    bench.request("INVITE", branch="z9hG4bKb")
    assert statuses(bench) == [482]
    assert [type(event) for event in bench.take_events()] == [InviteReceived]
