"""INFO, UPDATE, OPTIONS and the like."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import EndCause, RequestAnswered, RequestReceived, SessionEnded
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

ALICE = NameAddr(None, Uri.parse("sip:alice@10.0.0.1"))
BOB = Uri.parse("sip:bob@10.0.0.2")
OFFER = {"body": "v=0\r\n", "extra": "Content-Type: application/sdp\r\n"}


def test_an_info_and_its_answer(bench: Any) -> None:
    session = bench.established()
    name = bench.agent.request(
        session, "INFO", headers=[("Info-Package", "dtmf")], body=b"5", content_type="text/plain", now=bench.now
    )
    (info,) = bench.take_sent()
    assert (info.method, info.cseq.number, info.body, info.contacts) == ("INFO", 2, b"5", ())
    bench.reply(info, 100)
    assert bench.take_events() == []
    bench.reply(info, 415)
    (answered,) = bench.take_events()
    assert (answered.request_id, answered.session, answered.response.status) == (name, session, 415)


def test_an_update_refreshes_the_target_both_ways(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "UPDATE", contact_params=(("+sip.src", None),), now=bench.now)
    (update,) = bench.take_sent()
    assert str(update.contacts[0]) == "<sip:alice@10.0.0.1>;+sip.src"
    bench.reply(update, 200, extra="Contact: <sip:bob@10.0.0.7>\r\n")
    assert bench.agent.dialog(session).remote_target.host == "10.0.0.7"
    bench.inside(session, "UPDATE", 1, contact="<sip:bob@10.0.0.8>", **OFFER)
    assert bench.agent.dialog(session).remote_target.host == "10.0.0.8"
    bench.agent.answer(bench.take_events()[-1].request_id, 200, now=bench.now)
    assert str(bench.take_sent()[-1].contacts[0]) == "<sip:alice@10.0.0.1>;+sip.src"


def test_a_refused_update_refreshes_nothing(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "UPDATE", now=bench.now)
    bench.reply(bench.take_sent()[0], 488, extra="Contact: <sip:bob@10.0.0.7>\r\n")
    assert bench.agent.dialog(session).remote_target.host == "10.0.0.2"
    bench.inside(session, "UPDATE", 1, **OFFER)
    bench.agent.answer(bench.take_events()[-1].request_id, 488, now=bench.now)
    assert bench.take_sent()[-1].contacts == ()


@pytest.mark.parametrize("status", [408, 481])
def test_an_answer_that_denies_the_dialog_ends_the_session(bench: Any, status: int) -> None:
    session = bench.established()
    bench.agent.request(session, "INFO", now=bench.now)
    bench.reply(bench.take_sent()[0], status)
    answered, ended = bench.take_events()
    assert answered.response.status == status
    assert ended == SessionEnded(session, EndCause.LOST)
    assert bench.take_sent()[0].method == "BYE"


def test_a_notify_ends_its_subscription_only(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "NOTIFY", now=bench.now)
    bench.reply(bench.take_sent()[0], 481)
    bench.agent.request(session, "NOTIFY", now=bench.now)
    bench.wait(33)
    assert [type(event) for event in bench.take_events()] == [RequestAnswered, RequestAnswered]
    assert bench.agent.may_reinvite(session)


def test_silence_ends_the_session(bench: Any) -> None:
    session = bench.established()
    name = bench.agent.request(session, "INFO", now=bench.now)
    bench.wait(32)
    assert bench.take_events() == [RequestAnswered(name, session, None), SessionEnded(session, EndCause.LOST)]


def test_a_denied_request_in_an_early_dialog_leaves_the_call_ringing(bench: Any) -> None:
    session, invite = bench.invite()
    bench.reply(invite, 183)
    bench.take_events()
    name = bench.agent.request(session, "INFO", now=bench.now)
    bench.reply(bench.take_sent()[0], 481)
    assert [type(event) for event in bench.take_events()] == [RequestAnswered]
    assert name


def test_options_is_answered_without_waking_anybody(bench_with: Any) -> None:
    bench = bench_with(supported=("timer",))
    session = bench.established()
    bench.inside(session, "OPTIONS", 1)
    bench.request("OPTIONS")
    for response in bench.take_sent():
        assert response.status == 200
        assert response.supported == ("timer", "100rel")
        assert "BYE" in response.allow
        assert response.accept == ("application/sdp", "multipart/mixed")
        assert response.to.tag
    assert bench.take_events() == []


def test_a_request_of_the_peer_waits_for_one_answer(bench: Any) -> None:
    session = bench.established()
    bench.inside(session, "INFO", 1)
    (received,) = bench.take_events()
    assert (received.session, received.request.method) == (session, "INFO")
    bench.agent.answer(
        received.request_id, 202, reason="Fine", headers=[("X-Y", "z")], body=b"x", content_type="a/b", now=bench.now
    )
    (response,) = bench.take_sent()
    assert (response.status, response.reason, response.headers.get("X-Y"), response.body) == (202, "Fine", "z", b"x")
    assert response.to.tag == bench.tag(session)
    with pytest.raises(UnknownRequest):
        bench.agent.answer(received.request_id, 200, now=bench.now)


def test_a_request_outside_a_session_of_an_allowed_method(bench_with: Any) -> None:
    bench = bench_with(allow=("MESSAGE",))
    bench.request("MESSAGE")
    (received,) = bench.take_events()
    assert isinstance(received, RequestReceived)
    assert received.session is None
    bench.agent.answer(received.request_id, 200, now=bench.now)
    assert bench.take_sent()[0].to.tag


def test_one_outside_a_session_that_nobody_answers_is_forgotten(bench_with: Any) -> None:
    bench = bench_with(allow=("REGISTER",))
    bench.request("REGISTER", call_id="one")
    bench.wait(33)
    bench.request("REGISTER", call_id="two")
    first, second = bench.take_events()
    with pytest.raises(UnknownRequest):
        bench.agent.answer(first.request_id, 200, now=bench.now)
    bench.agent.answer(second.request_id, 200, now=bench.now)


def test_an_answer_that_comes_too_late(bench: Any) -> None:
    session = bench.established()
    bench.inside(session, "INFO", 1)
    bench.wait(20)
    bench.inside(session, "INFO", 2)
    first, second = bench.take_events()
    bench.wait(13)
    with pytest.raises(UnknownRequest):
        bench.agent.answer(first.request_id, 200, now=bench.now)
    bench.agent.answer(second.request_id, 200, now=bench.now)
    assert [message.status for message in bench.take_sent()] == [200]


def test_a_request_in_an_ended_session(bench: Any) -> None:
    session = bench.established()
    bench.agent.bye(session, now=bench.now)
    bench.take_sent()
    bench.take_events()
    bench.inside(session, "INFO", 1)
    assert [message.status for message in bench.take_sent()] == [481]
    assert bench.take_events() == []


def test_there_is_no_contact_toward_what_we_do_not_speak(bench: Any) -> None:
    assert bench.agent.contact_toward(Uri.parse("sip:10.0.0.2;transport=sctp"), "alice") is None


def test_the_answer_to_a_register_names_the_contacts_of_others(bench_with: Any) -> None:
    bench = bench_with(allow=("INVITE", "REGISTER"))
    bench.request("REGISTER", extra="Contact: <sip:bob@10.0.0.2>\r\n")
    (event,) = bench.take_events()
    bench.agent.answer(event.request_id, 200, headers=[("Contact", "<sip:bob@10.0.0.2>;expires=60")], now=bench.now)
    (response,) = bench.take_sent()
    assert response.headers.get_all("Contact") == ["<sip:bob@10.0.0.2>;expires=60"]
