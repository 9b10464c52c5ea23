"""Offers that cross (RFC 3311 §5, RFC 3261 §14)."""

from typing import Any

from sidestream.sip.agent.events import ReinviteReceived, RequestAnswered, RequestReceived
from sidestream.sip.session_timer import SessionTimerPolicy

BODY: dict[str, Any] = {"body": b"v=0\r\n", "content_type": "application/sdp"}
OFFER: dict[str, Any] = {"body": "v=0\r\no=theirs\r\n", "extra": "Content-Type: application/sdp\r\n"}


def call(bench: Any) -> str:
    session, request = bench.invite()
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.2>\r\nAllow: INVITE, UPDATE\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    bench.take_sent()
    bench.take_events()
    return str(session)


def statuses(bench: Any) -> list[int]:
    return [message.status for message in bench.take_sent() if hasattr(message, "status")]


def test_a_free_session_takes_and_makes_offers(bench: Any) -> None:
    session = call(bench)
    assert bench.agent.may_update(session)
    assert bench.agent.may_reinvite(session)


def test_our_update_is_crossed_by_theirs(bench: Any) -> None:
    session = call(bench)
    bench.agent.request(session, "UPDATE", now=bench.now, **BODY)
    (update,) = bench.take_sent()
    assert not bench.agent.may_reinvite(session)
    bench.inside(session, "UPDATE", 1, **OFFER)
    bench.inside(session, "INVITE", 2, **OFFER)
    assert statuses(bench) == [491, 491]
    bench.inside(session, "UPDATE", 3)  # without an offer it disturbs nobody
    assert statuses(bench) == [200]
    bench.reply(update, 491)
    (answered,) = bench.take_events()
    assert isinstance(answered, RequestAnswered)
    assert answered.retry_in is not None
    assert 2.1 <= answered.retry_in <= 4.0  # RFC 3311 §5.3
    assert bench.agent.may_update(session)


def test_the_side_without_the_call_id_waits_less(bench: Any) -> None:
    session = bench.answered(extra="Content-Type: application/sdp\r\nAllow: UPDATE\r\n")
    bench.agent.request(session, "UPDATE", now=bench.now, **BODY)
    bench.reply(bench.take_sent()[0], 491)
    assert bench.take_events()[-1].retry_in <= 2.0


def test_their_update_waits_for_our_answer(bench: Any) -> None:
    session = call(bench)
    bench.inside(session, "UPDATE", 1, **OFFER)
    (received,) = bench.take_events()
    assert not bench.agent.may_update(session)
    assert not bench.agent.may_reinvite(session)
    for number, method in enumerate(("UPDATE", "INVITE"), start=2):
        bench.inside(session, method, number, **OFFER)
        (refusal,) = bench.take_sent()
        assert refusal.status == 500
        assert 0 <= refusal.retry_after <= 10
    bench.agent.answer(received.request_id, 200, now=bench.now, **BODY)
    bench.take_sent()
    bench.inside(session, "INVITE", 4, **OFFER)
    assert isinstance(bench.take_events()[0], ReinviteReceived)


def test_an_update_that_nobody_answers_blocks_only_for_a_while(bench: Any) -> None:
    session = call(bench)
    bench.inside(session, "UPDATE", 1, **OFFER)
    bench.wait(33)
    bench.take_sent()
    bench.inside(session, "UPDATE", 2, **OFFER)
    assert [type(event) for event in bench.take_events()] == [RequestReceived, RequestReceived]


def test_a_reinvite_of_theirs_blocks_their_update(bench: Any) -> None:
    session = call(bench)
    bench.inside(session, "INVITE", 1, **OFFER)
    bench.inside(session, "UPDATE", 2, **OFFER)
    assert statuses(bench) == [500]


def test_a_reinvite_of_ours_blocks_their_update(bench: Any) -> None:
    session = call(bench)
    bench.agent.reinvite(session, now=bench.now, **BODY)
    bench.inside(session, "UPDATE", 1, **OFFER)
    assert statuses(bench) == [491]


def test_an_offer_in_our_2xx_blocks_until_the_ack(bench: Any) -> None:
    session = bench.incoming(body="", extra="Allow: UPDATE\r\n")
    bench.agent.respond(session, 200, now=bench.now, **BODY)
    assert not bench.agent.may_update(session)
    bench.inside(session, "UPDATE", 2, **OFFER)
    assert statuses(bench)[-1] == 491
    bench.request("ACK", to_tag=bench.tag(session), **OFFER)
    assert bench.agent.may_update(session)


def test_before_an_answer_nothing_may_be_offered(bench: Any) -> None:
    session = bench.incoming(extra="Content-Type: application/sdp\r\nAllow: UPDATE\r\nSupported: 100rel\r\n")
    assert not bench.agent.may_update(session)
    bench.inside(session, "UPDATE", 2, **OFFER)
    assert statuses(bench) == [500]
    bench.agent.respond(session, 183, now=bench.now, **BODY)
    (progress,) = bench.take_sent()
    assert not bench.agent.may_update(session)  # until its PRACK
    bench.inside(session, "PRACK", 3, extra=f"RAck: {progress.rseq} 1 INVITE\r\n")
    assert bench.agent.may_update(session)
    bench.take_events()
    bench.inside(session, "UPDATE", 4, **OFFER)
    assert isinstance(bench.take_events()[0], RequestReceived)
    bench.agent.bye(session, now=bench.now)
    assert not bench.agent.may_update(session)


def test_where_there_is_no_dialog_there_is_no_update(bench: Any) -> None:
    session, _ = bench.invite()
    assert not bench.agent.may_update(session)


def test_an_update_without_offer_before_the_answer_moves_the_target_only(bench_with: Any) -> None:
    bench = bench_with(session_timer=SessionTimerPolicy())
    session = bench.incoming()
    bench.inside(session, "UPDATE", 2, contact="<sip:bob@10.0.0.8>", extra="Session-Expires: 90\r\n")
    assert statuses(bench) == [200]
    assert bench.agent.dialog(session).remote_target.host == "10.0.0.8"
    bench.wait(100)
    assert bench.take_events() == []  # the interval begins with the answer


def test_metadata_alone_is_no_offer(bench: Any) -> None:
    session = call(bench)
    bench.inside(session, "INVITE", 1, **OFFER)
    bench.inside(session, "UPDATE", 2, body="<x/>", extra="Content-Type: application/sdp\r\n".replace("sdp", "xml"))
    assert statuses(bench)[-1] == 415
