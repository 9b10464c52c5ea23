"""The called side, message by message."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import (
    AckReceived,
    Cancelled,
    EndCause,
    InviteReceived,
    ReinviteCancelled,
    ReinviteReceived,
    SessionEnded,
)
from sidestream.sip.errors import LocalError

SDP = {"body": "v=0\r\n", "extra": "Content-Type: application/sdp\r\n"}
ANSWER: dict[str, Any] = {"body": b"v=0\r\n", "content_type": "application/sdp"}


def statuses(bench: Any) -> list[int]:
    return [message.status for message in bench.take_sent()]


def kinds(bench: Any) -> list[type]:
    return [type(event) for event in bench.take_events()]


def test_an_invite_that_nobody_answers_gets_its_100_and_wakes_the_application_once(bench: Any) -> None:
    for _ in range(2):
        bench.request("INVITE", branch="z9hG4bKsame", **SDP)
    assert statuses(bench) == []
    bench.wait(0.2)
    assert statuses(bench) == [100]
    bench.request("INVITE", branch="z9hG4bKsame", **SDP)
    bench.wait(40)
    assert statuses(bench) == [100]
    assert kinds(bench) == [InviteReceived]


@pytest.mark.parametrize(("status", "sent"), [(180, {180}), (200, {200}), (486, {486})])
def test_an_invite_that_is_answered_soon_gets_no_100(bench: Any, status: int, sent: set[int]) -> None:
    session = bench.incoming()
    bench.wait(0.1)
    bench.agent.respond(session, status, now=bench.now, **ANSWER)
    bench.wait(1.0)
    assert set(statuses(bench)) == sent


def test_an_invite_without_contact_is_refused(bench: Any) -> None:
    bench.request("INVITE", contact=None)
    (response,) = bench.take_sent()
    assert (response.status, response.reason) == (400, "Missing Contact")
    assert kinds(bench) == []


def test_responses_share_tag_and_contact(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 180, contact_params=(("+sip.srs", None),), now=bench.now)
    bench.agent.respond(session, 200, headers=[("X-Y", "z")], now=bench.now, **ANSWER)
    ringing, ok = bench.take_sent()
    assert ringing.to.tag == ok.to.tag == bench.tag(session)
    assert [str(message.contacts[0]) for message in (ringing, ok)] == ["<sip:alice@10.0.0.1>;+sip.srs"] * 2
    assert (ok.headers.get("X-Y"), ok.body) == ("z", b"v=0\r\n")


@pytest.mark.parametrize("status", [99, 100, 700])
def test_statuses_that_are_not_the_applications(bench: Any, status: int) -> None:
    session = bench.incoming()
    with pytest.raises(LocalError):
        bench.agent.respond(session, status, now=bench.now)


def test_nothing_to_respond_to(bench: Any) -> None:
    outgoing, _ = bench.invite()
    for session in (outgoing, bench.answered()):
        with pytest.raises(WrongState):
            bench.agent.respond(session, 200, now=bench.now)


def test_a_refusal_ends_the_session(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 486, reason="On Another Call", now=bench.now)
    (busy,) = bench.take_sent()
    assert (busy.status, busy.reason, busy.contacts) == (486, "On Another Call", ())
    assert bench.take_events() == [SessionEnded(session, EndCause.REJECTED)]


def test_the_2xx_is_repeated_until_its_ack(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.wait(4)
    assert statuses(bench) == [200] * 4
    tag = bench.tag(session)
    bench.request("ACK", number=2, to_tag=tag)  # of something else
    bench.request("ACK", to_tag=tag)
    bench.request("ACK", to_tag=tag)
    assert kinds(bench) == [AckReceived]
    bench.wait(40)
    assert statuses(bench) == []


def test_an_ack_for_nobody_is_dropped(bench: Any) -> None:
    bench.request("ACK", to_tag="nobody")
    assert bench.take_sent() == []
    assert bench.take_events() == []


def test_no_ack_ends_the_session_with_a_bye(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.wait(32)
    assert bench.take_sent()[-1].method == "BYE"
    assert bench.take_events() == [SessionEnded(session, EndCause.NO_ACK)]


def test_progress_is_repeated_every_minute(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 180, now=bench.now)
    bench.wait(125)
    assert statuses(bench) == [180] * 3
    bench.agent.respond(session, 480, now=bench.now)
    bench.wait(1)
    assert set(statuses(bench)) == {480}


def test_an_invite_expires_unless_answered(bench: Any) -> None:
    session = bench.incoming(extra="Content-Type: application/sdp\r\nExpires: 5\r\n")
    answered = bench.answered(extra="Content-Type: application/sdp\r\nExpires: 5\r\n", call_id="two")
    bench.wait(6)
    assert set(statuses(bench)) == {100, 487}
    assert bench.take_events() == [SessionEnded(session, EndCause.EXPIRED)]
    assert bench.agent.may_reinvite(answered)


def test_cancel_before_and_after_the_final_response(bench: Any) -> None:
    session = bench.incoming(branch="z9hG4bKc")
    tag = bench.tag(session)
    bench.request("CANCEL", branch="z9hG4bKc")
    cancelled, terminated = bench.take_sent()
    assert (cancelled.status, cancelled.cseq.method, cancelled.to.tag) == (200, "CANCEL", tag)
    assert (terminated.status, terminated.cseq.method, terminated.to.tag) == (487, "INVITE", tag)
    assert kinds(bench) == [Cancelled, SessionEnded]


def test_a_cancel_after_the_answer_changes_nothing(bench: Any) -> None:
    session = bench.incoming(branch="z9hG4bKc")
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    (answer,) = bench.take_sent()
    bench.request("CANCEL", branch="z9hG4bKc")
    (cancelled,) = bench.take_sent()
    assert (cancelled.status, cancelled.to.tag) == (200, answer.to.tag)
    assert kinds(bench) == []


def test_a_cancel_of_nothing(bench: Any) -> None:
    bench.request("CANCEL")
    assert statuses(bench) == [481]


def test_a_reinvite_is_answered_like_an_invite(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, contact="<sip:bob@10.0.0.7>", **SDP)
    bench.wait(0.2)
    assert statuses(bench) == [100]
    assert kinds(bench) == [ReinviteReceived]
    assert bench.agent.dialog(session).remote_target.host == "10.0.0.7"
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    assert statuses(bench) == [200]
    assert not bench.agent.may_reinvite(session)
    bench.request("ACK", number=2, to_tag=bench.tag(session))
    assert kinds(bench) == [AckReceived]
    assert bench.agent.may_reinvite(session)


def test_a_refused_reinvite_leaves_the_session_alone(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, **SDP)
    bench.agent.respond(session, 488, now=bench.now)
    assert statuses(bench) == [488]
    assert kinds(bench) == [ReinviteReceived]


def test_a_cancelled_reinvite_leaves_the_session_alone(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, branch="z9hG4bKr", **SDP)
    bench.inside(session, "CANCEL", 2, branch="z9hG4bKr")
    assert statuses(bench) == [200, 487]
    assert kinds(bench) == [ReinviteReceived, ReinviteCancelled]
    assert bench.agent.may_reinvite(session)


def test_a_second_invite_before_the_first_is_answered_comes_too_early(bench: Any) -> None:
    session = bench.answered()
    bench.inside(session, "INVITE", 2, **SDP)
    bench.take_sent()
    bench.inside(session, "INVITE", 3, **SDP)
    (response,) = bench.take_sent()
    assert response.status == 500
    assert 0 <= response.retry_after <= 10


def test_glare(bench: Any) -> None:
    session = bench.answered()
    bench.agent.reinvite(session, now=bench.now)
    bench.take_sent()
    bench.inside(session, "INVITE", 2, **SDP)
    assert statuses(bench) == [491]


def test_glare_lasts_until_the_2xx_is_acknowledged(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200)
    bench.inside(session, "INVITE", 1, **SDP)
    assert statuses(bench) == [491]


def test_a_reinvite_while_the_ack_is_to_bring_an_answer_is_glare(bench: Any) -> None:
    session = bench.incoming(body="", extra="")
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.take_sent()
    bench.inside(session, "INVITE", 2, **SDP)
    assert statuses(bench) == [491]


def test_a_reinvite_stands_for_the_lost_ack_of_an_answer(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now, **ANSWER)
    bench.take_sent()
    bench.inside(session, "INVITE", 2, **SDP)
    assert kinds(bench) == [ReinviteReceived]
    bench.take_sent()
    bench.wait(40)
    assert statuses(bench) == [100]


def test_a_reinvite_in_an_ended_session(bench: Any) -> None:
    session = bench.answered()
    bench.agent.bye(session, now=bench.now)
    bench.take_sent()
    bench.inside(session, "INVITE", 2, **SDP)
    assert statuses(bench) == [481]


def test_the_contact_user_can_be_set(bench_with: Any) -> None:
    bench = bench_with(contact_user="edge")
    session = bench.incoming()
    bench.agent.respond(session, 180, now=bench.now)
    assert bench.take_sent()[0].contacts[0].uri.user == "edge"
