"""The dialog that a session shows."""

from typing import Any

from sidestream.sip.agent.session import Cancel, Phase, SessionTimer


def test_the_latest_early_dialog_stands_in_for_the_confirmed_one(bench: Any) -> None:
    session, request = bench.invite()
    assert bench.agent.dialog(session) is None
    for tag in ("x", "y"):
        bench.reply(request, 180, tag=tag)
    assert bench.agent.dialog(session).remote.tag == "y"
    bench.reply(request, 200, tag="x")
    assert bench.agent.dialog(session).remote.tag == "x"


def test_states_and_timers_are_described() -> None:
    assert all(member.value for kind in (Phase, Cancel, SessionTimer) for member in kind)
