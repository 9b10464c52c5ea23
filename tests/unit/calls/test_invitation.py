"""Our INVITE: who gets it, with what, and which fork is heard."""

from contextlib import contextmanager

import pytest

from sidestream.calls.events import Progress, Ringing
from sidestream.calls.invitation import Invitation, Invite
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.call_room import PHONE, SDP, response
from sidestream.testing.recording_agent import RecordingAgent

BOB = NameAddr(None, Uri.parse("sip:b@192.0.2.1"))


@pytest.fixture
def agent():
    return RecordingAgent()


@pytest.fixture
def begun():
    return []


@pytest.fixture
def invitation(agent, begun):
    invite = Invite(
        BOB.uri,
        from_=BOB,
        to=BOB,
        offer=SDP,
        headers=[("X-A", "b")],
        credentials=DigestCredentials("u", "p"),
        max_forwards=9,
        call_id="one",
        redirects=2,
        via=PHONE,
    )
    return Invitation(agent, begun.append, invite)


def fork(status, tag):
    answer = response(status)
    answer.headers.replace("To", f"<sip:b@example.com>;tag={tag}")
    return answer


def test_it_is_sent_when_told(invitation, agent, begun):
    assert agent.commands == []
    invitation.send()
    fields = agent.last("invite").fields
    assert (fields["target"], fields["via"], fields["max_forwards"], fields["confined"]) == (BOB.uri, PHONE, 9, False)
    assert fields["body"] == SDP.to_bytes()
    assert begun == ["s1"]


def test_the_session_is_known_before_its_events(invitation, agent, begun):
    """An INVITE that cannot be sent fails at the end of the same turn."""
    seen, turn = [], agent.turn

    @contextmanager
    def watched():
        with turn() as pair:
            yield pair
        seen.extend(begun)

    agent.turn = watched
    invitation.send()
    assert seen == ["s1"]


def test_redirections_keep_the_call_id_but_give_strangers_nothing(invitation, agent, begun):
    invitation.send()
    invitation.redirected([NameAddr.parse("<sip:c@192.0.2.1>"), NameAddr.parse("<sip:d@192.0.2.9>;q=0.5")])
    assert [str(invitation.go_on()), str(invitation.go_on())] == ["sip:c@192.0.2.1", "sip:d@192.0.2.9"]
    assert invitation.go_on() is None
    _, same_host, stranger = (one.fields for one in agent.all("invite"))
    assert (same_host["credentials"] is not None, stranger["credentials"]) == (True, None)
    assert (same_host["via"], stranger["via"]) == (None, None)
    assert {same_host["call_id"], stranger["call_id"]} == {"one"}
    assert (same_host["confined"], stranger["confined"]) == (True, True)
    assert begun == ["s1", "s2", "s3"]


def test_of_several_forks_the_first_with_sound_is_heard(invitation):
    invitation.send()
    assert invitation.progressed(fork(180, "x"), None) == Ringing(180, "Reason")
    assert invitation.progressed(fork(183, "one"), SDP) == Progress(183, "Reason", SDP)
    assert invitation.progressed(fork(183, "two"), SDP) == Ringing(183, "Reason")
    assert invitation.early_answer(fork(200, "two")) == SDP
    assert invitation.early_answer(fork(200, "three")) is None


def test_what_was_heard_before_a_redirection_is_forgotten(invitation):
    invitation.send()
    invitation.progressed(fork(183, "one"), SDP)
    invitation.redirected([NameAddr.parse("<sip:c@192.0.2.9>")])
    invitation.go_on()
    assert invitation.early_answer(fork(200, "one")) is None
