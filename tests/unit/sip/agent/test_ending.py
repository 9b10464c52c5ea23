"""BYE in every state."""

from typing import Any

import pytest

from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    EndCause,
    InviteRejected,
    ReinviteRejected,
    RequestAnswered,
    SessionEnded,
)

SDP = {"body": "v=0\r\n", "extra": "Content-Type: application/sdp\r\n"}
ANSWER: dict[str, Any] = {"body": b"v=0\r\n", "content_type": "application/sdp"}


def kinds(bench: Any) -> list[type]:
    return [type(event) for event in bench.take_events()]


def test_a_bye_with_a_body(bench: Any) -> None:
    session = bench.established()
    bench.agent.bye(
        session, headers=[("Require", "siprec")], body=b"<x/>", content_type="application/xml", now=bench.now
    )
    (bye,) = bench.take_sent()
    assert (bye.method, bye.cseq.number, bye.headers.get("Require"), bye.body) == ("BYE", 2, "siprec", b"<x/>")
    assert bench.take_events() == [SessionEnded(session, EndCause.LOCAL_BYE)]


@pytest.mark.parametrize("answered", [False, True])
def test_the_answer_to_a_bye_is_not_waited_for(bench: Any, answered: bool) -> None:
    session = bench.established()
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_sent()
    bench.take_events()
    if answered:
        bench.reply(bye, 200)
    bench.wait(70)
    assert bench.take_events() == []
    assert bench.agent.live == (0, 0)


def test_a_bye_before_the_application_has_acknowledged_sends_the_ack_first(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200)
    bench.agent.bye(session, now=bench.now)
    assert [message.method for message in bench.take_sent()] == ["ACK", "BYE"]
    bench.reply(request, 200)
    assert [message.method for message in bench.take_sent()] == ["ACK"]


def test_a_bye_waits_for_the_ack_of_the_first_2xx(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.take_sent()
    bench.agent.bye(session, headers=[("Reason", "first")], now=bench.now)
    bench.agent.bye(session, headers=[("Reason", "second")], now=bench.now)
    assert bench.take_sent() == []
    bench.request("ACK", to_tag=bench.tag(session))
    (bye,) = bench.take_sent()
    assert bye.headers.get("Reason") == "first"
    acked, ended = bench.take_events()
    assert isinstance(acked, AckReceived)
    assert ended == SessionEnded(session, EndCause.LOCAL_BYE)


def test_a_bye_that_waited_in_vain_is_sent_all_the_same(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.agent.bye(session, now=bench.now)
    bench.wait(32)
    assert bench.take_sent()[-1].method == "BYE"
    assert bench.take_events() == [SessionEnded(session, EndCause.LOCAL_BYE)]


def test_a_bye_does_not_wait_for_the_ack_of_a_reinvite(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, **SDP)
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.take_sent()
    bench.agent.bye(session, now=bench.now)
    assert [message.method for message in bench.take_sent()] == ["BYE"]


def test_our_bye_refuses_the_reinvite_that_waits(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, **SDP)
    bench.take_sent()
    bench.agent.bye(session, now=bench.now)
    refused, bye = bench.take_sent()
    assert (refused.status, bye.method) == (487, "BYE")


def test_a_bye_to_an_unanswered_invite_of_ours_is_a_cancel(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 180)
    bench.agent.bye(session, headers=[("Reason", "SIP;cause=200")], now=bench.now)
    (cancel,) = bench.take_sent()
    assert (cancel.method, cancel.headers.get("Reason")) == ("CANCEL", "SIP;cause=200")


def test_a_bye_to_an_unanswered_invite_of_the_peer_is_a_480(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.bye(session, now=bench.now)
    assert [message.status for message in bench.take_sent()] == [480]
    assert bench.take_events() == [SessionEnded(session, EndCause.LOCAL_BYE)]


def test_the_peers_bye_in_a_call(bench: Any) -> None:
    session = bench.answered()
    name = bench.agent.request(session, "INFO", now=bench.now)
    bench.agent.reinvite(session, now=bench.now)
    bench.take_sent()
    bench.inside(session, "BYE", 2)
    (ok,) = bench.take_sent()
    assert (ok.status, ok.to.tag) == (200, bench.tag(session))
    bye, info, reinvite, ended = bench.take_events()
    assert isinstance(bye, ByeReceived)
    assert info == RequestAnswered(name, session, None)
    assert reinvite == ReinviteRejected(session, None)
    assert ended == SessionEnded(session, EndCause.REMOTE_BYE)


@pytest.mark.parametrize("phase", ["ringing", "answered", "reinviting"])
def test_the_peers_bye_while_something_waits(bench: Any, phase: str) -> None:
    session = bench.answered() if phase == "reinviting" else bench.incoming()
    if phase == "answered":
        bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    if phase == "reinviting":
        bench.inside(session, "INVITE", 2, **SDP)
    bench.take_sent()
    bench.take_events()
    bench.inside(session, "BYE", 3)
    assert [message.status for message in bench.take_sent()] == ([200] if phase == "answered" else [200, 487])
    assert kinds(bench) == [ByeReceived, SessionEnded]
    bench.wait(2)
    assert [message.status for message in bench.take_sent() if message.status == 200] == []


def test_the_peers_bye_in_an_early_dialog_of_ours(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 180)
    bench.take_events()
    bench.request("BYE", to_tag=request.from_.tag, call_id=request.call_id)
    ok, cancel = bench.take_sent()
    assert (ok.status, cancel.method) == (200, "CANCEL")
    bench.reply(request, 487)
    assert kinds(bench) == [InviteRejected, SessionEnded]


def test_byes_that_cross(bench: Any) -> None:
    session = bench.answered()
    bench.agent.bye(session, now=bench.now)
    bench.take_events()
    bench.take_sent()
    bench.inside(session, "BYE", 2)
    assert [message.status for message in bench.take_sent()] == [200]
    assert bench.take_events() == []


def test_a_bye_of_a_call_long_forgotten(bench: Any) -> None:
    session = bench.answered()
    tag = bench.tag(session)
    bench.inside(session, "BYE", 2)
    bench.wait(70)
    bench.take_sent()
    bench.request("BYE", number=3, to_tag=tag)
    assert [message.status for message in bench.take_sent()] == [481]
