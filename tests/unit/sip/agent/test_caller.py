"""The calling side, message by message."""

from typing import Any

import pytest

from sidestream.sip.agent.caller import MAX_FORKS
from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import (
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRejected,
    ReinviteAccepted,
    ReinviteRejected,
    SessionEnded,
)


def kinds(bench: Any) -> list[type]:
    return [type(event) for event in bench.take_events()]


def test_progress_of_forks_is_told_and_a_100_is_not(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 100)
    assert bench.agent.dialog(session) is None
    bench.reply(request, 180, tag="x")
    bench.reply(request, 183, tag="y", extra="Contact: <sip:y@10.0.0.3>\r\n")
    bench.reply(request, 180, tag="x", extra="Contact: <sip:x@10.0.0.4>\r\n")
    assert [event.response.status for event in bench.take_events()] == [180, 183, 180]
    assert bench.agent.dialog(session).remote.tag == "y"


def test_a_provisional_response_without_tag_makes_no_dialog(bench: Any) -> None:
    session, request = bench.invite()
    text = request.response(180).to_bytes()
    bench.receive(text)
    assert kinds(bench) == [InviteProgress]
    assert bench.agent.dialog(session) is None


def test_the_2xx_is_acknowledged_again_for_each_copy_once_it_was_acknowledged(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200)
    bench.reply(request, 200)
    assert kinds(bench) == [InviteAccepted]
    assert bench.take_sent() == []
    bench.agent.acknowledge(session, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
    with pytest.raises(WrongState):
        bench.agent.acknowledge(session, now=bench.now)
    bench.reply(request, 200)
    first, second = bench.take_sent()
    assert (first.method, first.cseq.number, first.body) == ("ACK", 1, b"v=0\r\n")
    assert (second.method, second.body) == ("ACK", b"v=0\r\n")
    assert first.via.branch != request.via.branch
    assert first.via.branch != second.via.branch
    assert kinds(bench) == []


def test_early_numbers_go_on_in_the_confirmed_dialog(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 183)
    bench.agent.request(session, "INFO", now=bench.now)
    (info,) = bench.take_sent()
    assert info.cseq.number == 2
    bench.request("INFO", number=9, to_tag=request.from_.tag, call_id=request.call_id)
    bench.reply(request, 200)
    dialog = bench.agent.dialog(session)
    assert (dialog.local_seq, dialog.remote_seq, dialog.confirmed) == (2, 9, True)


def test_early_dialogs_that_lost_are_forgotten(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 183, tag="loser")
    bench.reply(request, 200, tag="bobs")
    bench.take_events()
    bench.reply(request, 183, tag="loser")
    assert kinds(bench) == []
    text = f"From: <sip:bob@10.0.0.2>;tag=loser\r\nTo: <sip:alice@10.0.0.1>;tag={request.from_.tag}\r\n"
    bench.receive(
        f"INFO sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKl\r\n{text}"
        f"Call-ID: {request.call_id}\r\nCSeq: 1 INFO\r\n\r\n"
    )
    assert bench.take_sent()[-1].status == 481


def test_a_second_fork_is_acknowledged_and_hung_up_and_its_copies_acknowledged(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200, tag="first")
    bench.agent.acknowledge(session, now=bench.now)
    bench.take_sent()
    bench.take_events()
    for _ in range(2):
        bench.reply(request, 200, tag="second", extra="Contact: <sip:bob@10.0.0.7>\r\n")
    sent = bench.take_sent()
    assert [(message.method, message.to.tag) for message in sent] == [
        ("ACK", "second"),
        ("BYE", "second"),
        ("ACK", "second"),
    ]
    assert {message.uri.host for message in sent} == {"10.0.0.7"}
    assert kinds(bench) == []


def test_a_fork_that_answers_after_the_call_is_over_is_hung_up(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200, tag="first")
    bench.agent.bye(session, now=bench.now)
    bench.take_sent()
    bench.reply(request, 200, tag="second")
    assert [message.method for message in bench.take_sent()] == ["ACK", "BYE"]


def test_a_rejection_after_a_cancel_is_told_with_its_cause(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 180)
    bench.agent.cancel(session, now=bench.now)
    (cancel,) = bench.take_sent()
    assert cancel.via.branch == request.via.branch
    bench.reply(cancel, 200)
    bench.reply(request, 487)
    assert kinds(bench) == [InviteProgress, InviteRejected, SessionEnded]


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 180)
    bench.agent.cancel(session, now=bench.now)
    bench.agent.cancel(session, now=bench.now)
    bench.reply(request, 200)
    assert [message.method for message in bench.take_sent()] == ["CANCEL", "ACK", "BYE"]
    assert bench.take_events()[1:] == [SessionEnded(session, EndCause.CANCELLED)]
    bench.reply(request, 200)
    assert [message.method for message in bench.take_sent()] == ["ACK"]


def test_progress_after_a_cancel_sends_it_once(bench: Any) -> None:
    session, request = bench.invite()
    bench.agent.cancel(session, now=bench.now)
    bench.reply(request, 100)
    bench.reply(request, 180)
    assert [message.method for message in bench.take_sent()] == ["CANCEL"]


def test_a_cancel_that_nobody_heeds_ends_in_64_t1_and_the_rest_is_silence(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 180)
    bench.agent.cancel(session, now=bench.now)
    bench.wait(32)
    assert bench.take_events()[-1] == SessionEnded(session, EndCause.CANCELLED)
    bench.take_sent()
    bench.reply(request, 180)
    bench.reply(request, 200)
    assert bench.take_sent() == []
    assert bench.agent.dropped == 2


def test_cancelling_what_was_answered_is_misuse(bench: Any) -> None:
    session = bench.established()
    with pytest.raises(WrongState):
        bench.agent.cancel(session, now=bench.now)


def test_silence_fails_the_call(bench: Any) -> None:
    session, _ = bench.invite()
    bench.wait(32)
    assert bench.take_events() == [InviteFailed(session, Failure.TIMEOUT), SessionEnded(session, EndCause.FAILED)]


def test_silence_after_a_cancel_is_a_cancelled_call(bench: Any) -> None:
    session, _ = bench.invite()
    bench.agent.cancel(session, now=bench.now)
    bench.wait(32)
    assert bench.take_events() == [SessionEnded(session, EndCause.CANCELLED)]


def reinvite(bench: Any) -> tuple[str, Any]:
    session = bench.established()
    bench.agent.reinvite(session, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
    (request,) = bench.take_sent()
    return session, request


def test_an_accepted_reinvite_refreshes_the_target(bench: Any) -> None:
    session, request = reinvite(bench)
    assert (request.cseq.number, request.to.tag) == (2, "bobs")
    bench.reply(request, 100)
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.7>\r\n")
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.7>\r\n")
    assert kinds(bench) == [ReinviteAccepted]
    assert not bench.agent.may_reinvite(session)
    bench.agent.acknowledge(session, now=bench.now)
    bench.reply(request, 200)
    acks = bench.take_sent()
    assert [(ack.method, ack.cseq.number, ack.uri.host) for ack in acks] == [("ACK", 2, "10.0.0.7")] * 2
    assert bench.agent.may_reinvite(session)


def test_a_refused_reinvite_changes_nothing(bench: Any) -> None:
    session, request = reinvite(bench)
    bench.reply(request, 488)
    (event,) = bench.take_events()
    assert (event.response.status, event.retry_in) == (488, None)
    assert bench.agent.may_reinvite(session)


@pytest.mark.parametrize(("ours", "low", "high"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_after_a_491_the_owner_of_the_call_id_waits_longer(bench: Any, ours: bool, low: float, high: float) -> None:
    session = bench.established() if ours else bench.answered()
    waits = []
    for _ in range(40):
        bench.agent.reinvite(session, now=bench.now)
        bench.reply(bench.take_sent()[-1], 491)
        waits.append(bench.take_events()[0].retry_in)
    assert low <= min(waits)
    assert max(waits) <= high
    assert len(set(waits)) > 20


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_does_not_know_the_call_ends_it(bench: Any, status: int) -> None:
    session, request = reinvite(bench)
    bench.reply(request, status)
    rejected, ended = bench.take_events()
    assert isinstance(rejected, ReinviteRejected)
    assert ended == SessionEnded(session, EndCause.LOST)
    assert [message.method for message in bench.take_sent()] == ["ACK", "BYE"]


def test_silence_to_a_reinvite_ends_the_call(bench: Any) -> None:
    session, _ = reinvite(bench)
    bench.wait(32)
    assert bench.take_events() == [ReinviteRejected(session, None), SessionEnded(session, EndCause.LOST)]
    assert bench.take_sent()[-1].method == "BYE"


@pytest.mark.parametrize(("status", "methods"), [(200, ["BYE", "ACK"]), (488, ["BYE", "ACK"])])
def test_a_reinvite_answered_after_our_bye_is_acknowledged(bench: Any, status: int, methods: list[str]) -> None:
    session, request = reinvite(bench)
    bench.agent.bye(session, now=bench.now)
    assert kinds(bench) == [ReinviteRejected, SessionEnded]
    bench.reply(request, status)
    bench.reply(request, status)
    assert [message.method for message in bench.take_sent()] == [*methods, "ACK"]
    assert kinds(bench) == []


def test_a_reinvite_that_times_out_after_our_bye_is_forgotten(bench: Any) -> None:
    session, _ = reinvite(bench)
    bench.agent.bye(session, now=bench.now)
    bench.take_events()
    bench.wait(40)
    assert bench.take_events() == []


class TestForks:
    def test_three_hundred_that_ring_and_answer_are_all_served(self, bench: Any) -> None:
        session, request = bench.invite()
        for number in range(300):
            bench.reply(request, 180, tag=f"f{number}")
        for number in range(300):
            bench.reply(request, 200, tag=f"f{number}")
            if number == 0:
                bench.agent.acknowledge(session, now=bench.now)
        methods = [sent.method for sent in bench.take_sent()]
        assert (methods.count("ACK"), methods.count("BYE")) == (300, 299)

    def test_more_than_anybody_has_phones_are_not_kept(self, bench: Any) -> None:
        session, request = bench.invite()
        for number in range(MAX_FORKS + 10):
            bench.reply(request, 180, tag=f"f{number}")
        assert len(bench.agent._core.session(session).early) == MAX_FORKS
        bench.take_events()
        bench.reply(request, 180, tag="f1")
        assert len(bench.take_events()) == 1
        for number in range(MAX_FORKS + 10):
            bench.reply(request, 200, tag=f"f{number}")
            if number == 0:
                bench.agent.acknowledge(session, now=bench.now)
        assert [sent.method for sent in bench.take_sent()].count("ACK") == MAX_FORKS
