"""Calls between two phones on a good wire, with single faults on purpose."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import UnknownSession, WrongState
from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    Cancelled,
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteReceived,
    InviteRejected,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.transport import Transport

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"
SDP_TYPE = "application/sdp"
BIG = {"body": SDP + b"a=x\r\n" * 300, "content_type": SDP_TYPE}


def kinds(phone: Any) -> list[type]:
    return [type(event) for event in phone.node.events]


def cause(phone: Any) -> EndCause:
    (ended,) = phone.seen(SessionEnded)
    return EndCause(ended.cause)


def test_a_call_from_first_to_last(pair: Any) -> None:
    session, _ = pair.talk()
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    assert kinds(pair.alice) == [InviteProgress, InviteAccepted, SessionEnded]
    assert kinds(pair.bob) == [InviteReceived, AckReceived, ByeReceived, SessionEnded]
    assert (cause(pair.alice), cause(pair.bob)) == (EndCause.LOCAL_BYE, EndCause.REMOTE_BYE)
    assert [carried.start.split()[0 if carried.start[0] != "S" else 1] for carried in pair.wire.log] == [
        "INVITE",
        "180",
        "200",
        "ACK",
        "BYE",
        "200",
    ]
    pair.check_rest()


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_a_refused_call(pair: Any, status: int) -> None:
    pair.bob.answers = status
    pair.alice.call(pair.bob)
    pair.wire.run()
    (rejected,) = pair.alice.seen(InviteRejected)
    assert rejected.response.status == status
    assert (cause(pair.alice), cause(pair.bob)) == (EndCause.REJECTED, EndCause.REJECTED)
    pair.check_rest()


def test_nobody_there_is_timer_b(pair: Any) -> None:
    pair.wire.loss = 1.0
    start = pair.alice.now
    session = pair.alice.call(pair.bob)
    pair.wire.run(31.9)
    assert pair.alice.node.events == []
    pair.wire.run(0.2)
    assert pair.alice.node.events == [InviteFailed(session, Failure.TIMEOUT), SessionEnded(session, EndCause.FAILED)]
    assert [round(carried.at - start, 2) for carried in pair.wire.log] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    pair.wire.run()
    pair.check_rest()


def test_an_unanswered_request_in_a_call_is_timer_f_and_ends_the_call(pair: Any) -> None:
    session, _ = pair.talk()
    pair.wire.loss = 1.0
    name = pair.alice.agent.request(session, "INFO", now=pair.alice.now)
    pair.wire.run(31.9)
    assert pair.alice.seen(RequestAnswered) == []
    pair.wire.run(0.2)
    assert pair.alice.seen(RequestAnswered) == [RequestAnswered(name, session, None)]
    assert cause(pair.alice) is EndCause.LOST


def test_a_lost_ack_is_sent_again_for_the_repeated_2xx(pair: Any) -> None:
    lost = iter([True, True, False])
    pair.wire.drop = lambda carried: carried.start.startswith("ACK") and next(lost, False)
    session, _ = pair.talk()
    assert len(pair.wire.sent("bob", "SIP/2.0 200")) == 3
    assert len(pair.wire.sent("alice", "ACK")) == 3
    assert len(pair.bob.seen(AckReceived)) == 1
    assert len(pair.alice.seen(InviteAccepted)) == 1
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


def test_an_ack_that_never_comes_ends_the_call_after_64_t1(pair: Any) -> None:
    pair.wire.drop = lambda carried: carried.start.startswith("ACK")
    start = pair.bob.now
    pair.alice.call(pair.bob)
    pair.wire.run(33)
    repeats = [round(carried.at - start, 2) for carried in pair.wire.sent("bob", "SIP/2.0 200 OK")]
    assert repeats[:11] == [0.01, 0.51, 1.51, 3.51, 7.51, 11.51, 15.51, 19.51, 23.51, 27.51, 31.51]
    assert cause(pair.bob) is EndCause.NO_ACK
    assert cause(pair.alice) is EndCause.REMOTE_BYE
    pair.wire.run()
    pair.check_rest()


def test_a_2xx_is_repeated_over_tcp_too(pair: Any) -> None:
    pair.wire.drop = lambda carried: False
    pair.alice.node.on_event = None  # never acknowledges
    pair.alice.call(pair.bob, target=pair.bob.address.uri.with_params(("transport", "tcp")))
    pair.wire.run(2)
    assert len(pair.wire.sent("bob", "SIP/2.0 200")) == 3


def test_a_callee_who_hangs_up_before_the_ack_waits_for_it(pair: Any) -> None:
    pair.wire.drop = lambda carried: carried.start.startswith("ACK") and carried.at < 1001
    pair.alice.call(pair.bob)
    pair.wire.run(0.5)
    session = pair.bob.session()
    pair.bob.agent.bye(session, now=pair.bob.now)
    pair.bob.agent.bye(session, now=pair.bob.now)
    pair.wire.run(0.1)
    assert pair.wire.sent("bob", "BYE") == []
    pair.wire.run()
    assert len(pair.wire.sent("bob", "BYE")) == 1
    assert kinds(pair.bob)[-2:] == [AckReceived, SessionEnded]
    assert (cause(pair.bob), cause(pair.alice)) == (EndCause.LOCAL_BYE, EndCause.REMOTE_BYE)
    pair.check_rest()


def test_a_callee_who_hangs_up_and_never_gets_the_ack_sends_its_bye_in_the_end(pair: Any) -> None:
    pair.wire.drop = lambda carried: carried.start.startswith("ACK")
    pair.alice.call(pair.bob)
    pair.wire.run(1)
    pair.bob.agent.bye(pair.bob.session(), now=pair.bob.now)
    pair.wire.run()
    assert cause(pair.bob) is EndCause.LOCAL_BYE
    pair.check_rest()


def test_a_ringing_call_is_cancelled(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob)
    pair.wire.run(2)
    pair.alice.agent.cancel(session, headers=[("Reason", "SIP;cause=200")], now=pair.alice.now)
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.wire.run()
    assert kinds(pair.bob) == [InviteReceived, Cancelled, SessionEnded]
    assert pair.bob.seen(Cancelled)[0].request.headers.get("Reason") == "SIP;cause=200"
    assert pair.alice.seen(InviteRejected)[0].response.status == 487
    assert (cause(pair.alice), cause(pair.bob)) == (EndCause.CANCELLED, EndCause.CANCELLED)
    assert len(pair.wire.sent("alice", "CANCEL")) == 1
    pair.check_rest()


def test_a_cancel_waits_for_the_first_provisional_response(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob)
    pair.alice.agent.bye(session, now=pair.alice.now)
    pair.wire.run(0.005)
    assert pair.wire.sent("alice", "CANCEL") == []
    pair.wire.run()
    assert len(pair.wire.sent("alice", "CANCEL")) == 1
    assert cause(pair.alice) is EndCause.CANCELLED
    pair.check_rest()


def test_a_cancelled_call_that_nobody_ever_answers_ends_by_timer_b(pair: Any) -> None:
    pair.wire.loss = 1.0
    session = pair.alice.call(pair.bob)
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.wire.run()
    assert pair.alice.node.events == [SessionEnded(session, EndCause.CANCELLED)]
    pair.check_rest()


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob)
    pair.wire.run(2)
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.bob.answer(pair.bob.session(), 200)
    pair.wire.run()
    assert kinds(pair.alice) == [InviteProgress, SessionEnded]
    assert cause(pair.alice) is EndCause.CANCELLED
    assert kinds(pair.bob) == [InviteReceived, AckReceived, ByeReceived, SessionEnded]
    assert len(pair.wire.sent("bob", "SIP/2.0 200")) == 3  # INVITE, CANCEL, BYE
    pair.check_rest()


def test_no_final_response_after_a_cancel_ends_the_call_after_64_t1(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob)
    pair.wire.run(2)
    pair.wire.loss = 1.0
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.wire.run(31.9)
    assert pair.alice.seen(SessionEnded) == []
    pair.wire.run(0.2)
    assert cause(pair.alice) is EndCause.CANCELLED
    pair.bob.agent.bye(pair.bob.session(), now=pair.bob.now)
    pair.wire.run()
    pair.check_rest()


def test_a_callee_may_hang_up_while_it_rings(pair: Any) -> None:
    pair.bob.answers = None
    pair.alice.call(pair.bob)
    pair.wire.run(2)
    pair.bob.agent.bye(pair.bob.session(), now=pair.bob.now)
    pair.wire.run()
    assert pair.alice.seen(InviteRejected)[0].response.status == 480
    assert cause(pair.bob) is EndCause.LOCAL_BYE
    pair.check_rest()


def test_a_long_ringing_call_is_kept_alive_every_minute(pair: Any) -> None:
    pair.bob.answers = None
    session = pair.alice.call(pair.bob)
    pair.wire.run(200)
    assert len(pair.alice.seen(InviteProgress)) == 4
    pair.alice.agent.cancel(session, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


def test_an_invite_expires(pair: Any) -> None:
    pair.bob.answers = None
    pair.alice.call(pair.bob, headers=[("Expires", "20")])
    pair.wire.run(19)
    assert pair.bob.seen(SessionEnded) == []
    pair.wire.run()
    assert cause(pair.bob) is EndCause.EXPIRED
    assert pair.alice.seen(InviteRejected)[0].response.status == 487
    pair.check_rest()


def test_two_byes_cross(pair: Any) -> None:
    ours, theirs = pair.talk()
    pair.alice.agent.bye(ours, now=pair.alice.now)
    pair.bob.agent.bye(theirs, now=pair.bob.now)
    pair.wire.run()
    assert (cause(pair.alice), cause(pair.bob)) == (EndCause.LOCAL_BYE, EndCause.LOCAL_BYE)
    assert [carried.start for carried in pair.wire.log[-2:]] == ["SIP/2.0 200 OK"] * 2
    pair.check_rest()


def test_a_reinvite_each_way(pair: Any) -> None:
    ours, theirs = pair.talk()
    for phone, session in ((pair.alice, ours), (pair.bob, theirs)):
        assert phone.agent.may_reinvite(session)
        phone.agent.reinvite(session, body=SDP, content_type=SDP_TYPE, now=phone.now)
        assert not phone.agent.may_reinvite(session)
        pair.wire.run(1)
        assert len(phone.seen(ReinviteAccepted)) == 1
    assert len(pair.alice.seen(ReinviteReceived)) == 1
    assert len(pair.alice.seen(AckReceived)) == 1
    assert len(pair.bob.seen(AckReceived)) == 2
    pair.alice.agent.bye(ours, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


def test_glare_is_solved_by_waiting(pair: Any) -> None:
    ours, theirs = pair.talk()
    sides = ((pair.alice, ours, 2.1, 4.0), (pair.bob, theirs, 0.0, 2.0))
    for phone, session, _, _ in sides:
        phone.agent.reinvite(session, body=SDP, content_type=SDP_TYPE, now=phone.now)
    pair.wire.run(1)
    for phone, session, low, high in sides:
        (rejected,) = phone.seen(ReinviteRejected)
        assert rejected.response.status == 491
        assert low <= rejected.retry_in <= high
        assert phone.agent.may_reinvite(session)
    pair.bob.agent.reinvite(theirs, body=SDP, content_type=SDP_TYPE, now=pair.bob.now)
    pair.wire.run(1)
    assert len(pair.bob.seen(ReinviteAccepted)) == 1


def test_a_reinvite_that_meets_an_unanswered_one_is_told_to_come_back(pair: Any) -> None:
    ours, _ = pair.talk()
    pair.bob.node.on_event = None  # leaves the first one waiting
    pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run(1)
    with pytest.raises(WrongState):
        pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    with pytest.raises(WrongState):
        pair.bob.agent.reinvite(pair.bob.session(), body=SDP, content_type=SDP_TYPE, now=pair.bob.now)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_bye_overtakes_an_unanswered_reinvite(pair: Any, who: str) -> None:
    ours, theirs = pair.talk()
    pair.bob.node.on_event = None
    pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run(1)
    phone, session = (pair.alice, ours) if who == "alice" else (pair.bob, theirs)
    phone.agent.bye(session, now=phone.now)
    pair.wire.run()
    assert kinds(pair.alice)[-2:] == [ReinviteRejected, SessionEnded] or who == "bob"
    assert len(pair.wire.sent("bob", "SIP/2.0 487")) == 1
    pair.check_rest()


def test_a_bye_sent_while_the_peer_accepts_a_reinvite_still_acknowledges_it(pair: Any) -> None:
    ours, _ = pair.talk()
    pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run(0.015)
    pair.alice.agent.bye(ours, now=pair.alice.now)
    pair.wire.run()
    assert len(pair.wire.sent("alice", "ACK")) == 2
    pair.check_rest()


def test_a_reinvite_that_is_lost_for_good_ends_the_call(pair: Any) -> None:
    ours, _ = pair.talk()
    pair.wire.loss = 1.0
    pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run(40)
    assert pair.alice.seen(ReinviteRejected)[0].response is None
    assert cause(pair.alice) is EndCause.LOST


def test_a_peer_that_has_forgotten_the_call_ends_it(pair: Any) -> None:
    ours, theirs = pair.talk()
    pair.wire.drop = lambda carried: carried.source == "bob" and b"BYE" in carried.data
    pair.bob.agent.bye(theirs, now=pair.bob.now)
    pair.wire.run(60)
    pair.wire.drop = lambda carried: False
    pair.alice.agent.reinvite(ours, body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run()
    assert pair.alice.seen(ReinviteRejected)[0].response.status == 481
    assert cause(pair.alice) is EndCause.LOST
    pair.check_rest()


def test_update_refreshes_the_target_and_gets_a_contact(pair: Any) -> None:
    ours, _ = pair.talk()
    pair.alice.agent.request(ours, "UPDATE", body=SDP, content_type=SDP_TYPE, now=pair.alice.now)
    pair.wire.run(1)
    (answered,) = pair.alice.seen(RequestAnswered)
    assert answered.response.status == 200
    assert str(answered.response.contacts[0].uri) == "sip:bob@10.0.0.2"
    assert pair.bob.seen(RequestReceived)[0].request.contacts


def test_options_is_answered_without_the_application(pair: Any) -> None:
    ours, _ = pair.talk()
    pair.alice.agent.request(ours, "OPTIONS", now=pair.alice.now)
    pair.alice.agent.request(None, "OPTIONS", target=pair.bob.address.uri, from_=pair.alice.address, now=pair.alice.now)
    pair.wire.run(1)
    for answered in pair.alice.seen(RequestAnswered):
        assert answered.response.status == 200
        assert "INVITE" in answered.response.allow
        assert answered.response.accept == ("application/sdp", "multipart/mixed")
    assert pair.bob.seen(RequestReceived) == []


def test_a_large_request_goes_by_tcp_and_the_call_goes_on_as_the_contacts_say(pair: Any) -> None:
    ours = pair.alice.call(pair.bob, **BIG)
    pair.wire.run(1)
    pair.alice.agent.bye(ours, now=pair.alice.now)
    pair.wire.run()
    (invite,) = pair.wire.sent("alice", "INVITE")
    assert invite.transport is Transport.TCP
    assert b"Via: SIP/2.0/TCP 10.0.0.1:5060;branch" in invite.data
    assert b"Contact: <sip:alice@10.0.0.1>\r\n" in invite.data
    assert pair.wire.sent("alice", "BYE")[0].transport is Transport.TCP  # for bob's Contact has transport=tcp
    pair.check_rest()


def test_a_large_request_goes_by_udp_where_tcp_is_refused(pair: Any) -> None:
    pair.wire.refuses_tcp.add("10.0.0.2")
    ours = pair.alice.call(pair.bob, **BIG)
    pair.wire.run(1)
    assert [carried.transport for carried in pair.wire.sent("alice", "INVITE")] == [Transport.TCP, Transport.UDP]
    assert b"Via: SIP/2.0/UDP" in pair.wire.sent("alice", "INVITE")[1].data
    pair.alice.agent.bye(ours, now=pair.alice.now)
    pair.wire.run()
    pair.check_rest()


def test_tcp_alone_that_is_refused_fails_at_once(pair: Any) -> None:
    pair.wire.refuses_tcp.add("10.0.0.2")
    session = pair.alice.call(pair.bob, target=pair.bob.address.uri.with_params(("transport", "tcp")))
    pair.wire.run()
    assert pair.alice.node.events == [InviteFailed(session, Failure.TRANSPORT), SessionEnded(session, EndCause.FAILED)]
    pair.check_rest()


@pytest.mark.parametrize("cut", [False, True])
def test_the_callee_uses_the_stream_of_the_invite_as_long_as_it_stands(pair: Any, cut: bool) -> None:
    pair.alice.call(pair.bob, target=pair.bob.address.uri.with_params(("transport", "tcp")))
    pair.wire.run(1)
    if cut:
        pair.wire.cut_streams()
    pair.bob.agent.reinvite(pair.bob.session(), body=SDP, content_type=SDP_TYPE, now=pair.bob.now)
    pair.wire.run(1)
    assert len(pair.bob.seen(ReinviteAccepted)) == 1
    pair.bob.agent.bye(pair.bob.session(), now=pair.bob.now)
    pair.wire.run()
    assert cause(pair.alice) is EndCause.REMOTE_BYE
    assert len(pair.wire.sent("bob", "INVITE")) == (2 if cut else 1)
    assert {carried.transport for carried in pair.wire.log} == {Transport.TCP}
    pair.check_rest()


def test_commands_to_an_ended_call_do_nothing_and_to_a_forgotten_one_raise(pair: Any) -> None:
    ours, _ = pair.talk()
    agent, now = pair.alice.agent, pair.alice.now
    agent.bye(ours, now=now)
    sent = len(pair.wire.log)
    agent.bye(ours, now=now)
    agent.cancel(ours, now=now)
    agent.acknowledge(ours, now=now)
    agent.respond(ours, 200, now=now)
    agent.reinvite(ours, now=now)
    assert len(pair.wire.log) == sent
    assert not agent.may_reinvite(ours)
    with pytest.raises(WrongState):
        agent.request(ours, "INFO", now=now)
    pair.wire.run()
    with pytest.raises(UnknownSession):
        agent.bye(ours, now=pair.alice.now)
