"""Misuse says what was misused."""

from sidestream.sip.agent.errors import AgentError, UnknownRequest, UnknownSession, WrongState
from sidestream.sip.errors import LocalError


def test_texts() -> None:
    assert str(UnknownSession("s1")) == "no session s1"
    assert str(WrongState("s1", "cancel", "ringing")) == "cancel does not fit session s1: ringing"
    assert str(UnknownRequest("r1")) == "no request r1 waits for an answer"


def test_they_are_errors_of_our_own() -> None:
    assert issubclass(AgentError, LocalError)
    assert all(issubclass(kind, AgentError) for kind in (UnknownSession, WrongState, UnknownRequest))
