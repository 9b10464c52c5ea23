"""The agent that does nothing but remember."""

import pytest

from sidestream.sip.agent.events import AckReceived
from sidestream.testing.call_room import request
from sidestream.testing.recording_agent import RecordingAgent


def test_it_keeps_what_it_is_told_and_says_what_it_is_given():
    agent, heard = RecordingAgent(), []
    with agent.turn() as (same, now):
        session = same.invite(target="x", now=now)
        same.respond(session, 200, reason="OK", now=now)
    agent.attach(session, heard.append)
    agent.hear(AckReceived(session, request("ACK")))
    assert agent.names() == ["invite", "respond"]
    assert (agent.last("respond").status, agent.last("respond").fields) == (200, {"reason": "OK"})
    assert [event.session for event in heard] == ["s1"]
    assert agent.invite() == "s2"


def test_it_answers_as_it_was_set_up():
    agent = RecordingAgent(dialogs={("1", "b", "a"): "s9"}, raises={"bye": ValueError()}, may_offer=False)
    assert agent.find_session("1", "b", "a") == "s9"
    assert agent.find_session("1", "a", "b") is None
    assert not agent.may_reinvite("s9")
    agent.ask_about_strangers("s9")
    assert agent.asking == ["s9"]
    with pytest.raises(ValueError):
        agent.bye("s9", now=0.0)
