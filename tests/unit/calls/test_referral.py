"""REFER of a leg's peer: which are taken, and what they are told."""

import pytest

from sidestream.calls.events import Referred
from sidestream.calls.referral import REFER_EXPIRES_S, Referral
from sidestream.sip.refer import Replaces
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import request
from sidestream.testing.recording_agent import RecordingAgent

TARGET = "Refer-To: <sip:carol@192.0.2.7>\r\n"


@pytest.fixture
def agent():
    return RecordingAgent()


@pytest.fixture
def referral(agent):
    return Referral(agent)


def receive(referral, extra=TARGET, request_id="r1"):
    return referral.receive(request_id, request("REFER", extra=extra))


def told(agent):
    return [
        (dict(one.fields["headers"])["Subscription-State"].partition(";")[0], one.fields["body"].decode().strip())
        for one in agent.all("request")
    ]


def test_it_says_who_is_wanted(referral):
    extra = "Refer-To: <sip:carol@192.0.2.7?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n"
    extra += "Referred-By: <sip:a@example.com>\r\n"
    assert receive(referral, extra) == Referred(
        Uri.parse("sip:carol@192.0.2.7"), Replaces("x@y", "1", "2"), "<sip:a@example.com>"
    )


def test_it_is_answered_once_and_its_progress_told_to_the_end(referral, agent):
    receive(referral)
    referral.answer(202)
    referral.answer(202)
    for status in (100, 180, 200, 200):
        referral.tell("s1", status)
    assert [one.args for one in agent.all("answer")] == [("r1", 202)]
    assert told(agent) == [
        ("active", "SIP/2.0 100 Trying"),
        ("active", "SIP/2.0 180 Ringing"),
        ("terminated", "SIP/2.0 200 OK"),
    ]
    headers = dict(agent.all("request")[0].fields["headers"])
    assert headers == {"Event": "refer", "Subscription-State": f"active;expires={REFER_EXPIRES_S}"}


def test_a_refused_one_hears_no_more_and_makes_room(referral, agent):
    receive(referral)
    referral.answer(401, [("WWW-Authenticate", "Digest")])
    referral.tell("s1", 100)
    assert agent.last("answer").fields["headers"] == [("WWW-Authenticate", "Digest")]
    assert agent.all("request") == []
    # RFC 3515 §2.4.6: it is the second of the dialog.
    assert receive(referral, request_id="r2") is not None
    referral.answer(202)
    referral.tell("s1", 100)
    assert dict(agent.last("request").fields["headers"])["Event"] == "refer;id=2"


def test_one_at_a_time(referral, agent):
    receive(referral)
    assert receive(referral, request_id="r2") is None
    assert agent.last("answer").args == ("r2", 603)
    referral.answer(202)
    assert receive(referral, request_id="r3") is None
    assert agent.last("answer").args == ("r3", 603)
    referral.tell("s1", 486)
    assert receive(referral, request_id="r4") is not None


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ("", 400),
        (TARGET + TARGET, 400),
        ("Refer-To: <http://example.org>\r\n", 603),
        ("Refer-To: <sip:a@b;method=BYE>\r\n", 603),
    ],
)
def test_what_cannot_be_done_is_refused_and_does_not_disturb_one_under_way(referral, agent, extra, status):
    receive(referral)
    referral.answer(202)
    assert receive(referral, extra, request_id="r2") is None
    assert agent.last("answer").args == ("r2", status)
    referral.tell("s1", 200)
    assert told(agent) == [("terminated", "SIP/2.0 200 OK")]


def test_who_wants_no_notify_gets_none(referral, agent):
    receive(referral, TARGET + "Refer-Sub: false\r\n")
    referral.answer(202)
    referral.tell("s1", 200)
    assert agent.last("answer").fields["headers"] == [("Refer-Sub", "false")]
    assert agent.all("request") == []


def test_who_has_left_hears_nothing(referral, agent):
    receive(referral)
    referral.answer(202)
    referral.tell(None, 200)
    assert agent.all("request") == []
