"""What a session says and agrees about its interval."""

from collections.abc import Callable
from typing import Any

import pytest

from sidestream.sip.agent.events import EndCause, InviteRejected, SessionEnded
from sidestream.sip.session_timer import SessionTimerPolicy

TIMED: dict[str, Any] = {"session_timer": SessionTimerPolicy()}
ANSWER: dict[str, Any] = {"body": b"v=0\r\n", "content_type": "application/sdp"}
SDP = "Content-Type: application/sdp\r\n"


@pytest.fixture
def timed(bench_with: Callable[..., Any]) -> Any:
    return bench_with(**TIMED)


def said(message: Any) -> tuple[str | None, str | None]:
    return message.headers.get("Session-Expires"), message.headers.get("Min-SE")


def test_without_a_policy_nothing_is_said_and_nothing_runs_out(bench: Any) -> None:
    session, request = bench.invite()
    assert said(request) == (None, None)
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 90;refresher=uac\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    bench.wait(10_000)
    assert all(not isinstance(event, SessionEnded) for event in bench.take_events())


def test_without_a_policy_a_required_timer_is_refused(bench: Any) -> None:
    bench.request("INVITE", extra="Require: timer\r\n")
    assert bench.take_sent()[-1].status == 420


def test_an_invite_asks_and_every_request_shows_that_we_know(timed: Any) -> None:
    _, request = timed.invite()
    assert said(request) == ("1800", "90")
    assert "timer" in request.supported


def test_an_answer_agrees(timed: Any) -> None:
    session = timed.incoming(extra=f"{SDP}Supported: timer\r\nSession-Expires: 600\r\n")
    timed.agent.respond(session, 180, now=timed.now)
    timed.agent.respond(session, 200, now=timed.now, **ANSWER)
    ringing, ok = timed.take_sent()
    assert said(ringing) == (None, None)
    assert said(ok) == ("600;refresher=uac", None)
    assert ok.require == ("timer",)


def test_an_interval_that_is_too_short_is_refused(timed: Any) -> None:
    timed.request("INVITE", extra="Supported: timer\r\nSession-Expires: 60\r\n")
    (refusal,) = timed.take_sent()
    assert (refusal.status, refusal.headers.get("Min-SE")) == (422, "90")


def test_a_422_makes_us_ask_for_more(timed: Any) -> None:
    session, request = timed.invite()
    timed.reply(request, 422, extra="Min-SE: 3600\r\n")
    ack, again = timed.take_sent()
    assert ack.method == "ACK"
    assert said(again) == ("3600", "3600")
    assert (again.call_id, again.cseq.number, again.from_) == (request.call_id, 2, request.from_)
    timed.reply(again, 422, extra="Min-SE: 3600\r\n")  # it has what it wants: nothing helps
    assert timed.take_events()[-1] == SessionEnded(session, EndCause.REJECTED)


@pytest.mark.parametrize("extra", ["", "Min-SE: 90\r\n", "Min-SE: x\r\n"])
def test_a_422_that_asks_for_nothing_is_final(timed: Any, extra: str) -> None:
    _, request = timed.invite()
    timed.reply(request, 422, extra=extra)
    assert isinstance(timed.take_events()[0], InviteRejected)


def test_a_422_after_cancel_is_final(timed: Any) -> None:
    session, request = timed.invite()
    timed.agent.cancel(session, now=timed.now)
    timed.reply(request, 422, extra="Min-SE: 3600\r\n")
    assert timed.take_events()[-1] == SessionEnded(session, EndCause.CANCELLED)


def test_only_so_many_422s_are_followed(timed: Any) -> None:
    _, request = timed.invite()
    for least in range(2000, 2010):
        timed.reply(request, 422, extra=f"Min-SE: {least}\r\n")
        sent = [message for message in timed.take_sent() if message.method == "INVITE"]
        if not sent:
            break
        request = sent[0]
    assert least == 2003


def test_a_422_to_what_is_no_session_request_is_its_answer(timed: Any) -> None:
    session = timed.established()
    timed.agent.bye(session, now=timed.now)
    timed.take_events()
    timed.reply(timed.take_sent()[0], 422, extra="Min-SE: 3600\r\n")
    assert timed.take_sent() == []


def test_a_min_se_of_the_peer_is_kept_to(timed: Any) -> None:
    session = timed.answered(extra=f"{SDP}Supported: timer\r\nSession-Expires: 2000\r\nMin-SE: 2000\r\n")
    timed.agent.reinvite(session, now=timed.now, **ANSWER)
    assert said(timed.take_sent()[0]) == ("2000;refresher=uas", "2000")


def test_an_update_agrees_anew(timed: Any) -> None:
    session = timed.established()
    timed.agent.request(session, "UPDATE", now=timed.now)
    (update,) = timed.take_sent()
    assert said(update) == ("1800;refresher=uac", "90")
    timed.reply(
        update, 200, extra="Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 90;refresher=uas\r\nRequire: timer\r\n"
    )
    timed.take_events()
    timed.wait(59)
    assert timed.take_events() == []
    timed.wait(2)
    assert timed.take_events() == [SessionEnded(session, EndCause.LAPSED)]


def test_an_answered_update_of_the_peer_agrees_anew(timed: Any) -> None:
    session = timed.established()
    timed.inside(session, "UPDATE", 1, extra="Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
    (ok,) = timed.take_sent()
    assert said(ok) == ("90;refresher=uac", None)
    assert timed.take_events() == []
    timed.wait(61)
    assert timed.take_events() == [SessionEnded(session, EndCause.LAPSED)]


def test_the_timer_can_be_turned_off(timed: Any) -> None:
    session = timed.answered(extra=f"{SDP}Supported: timer\r\nSession-Expires: 90\r\n")
    timed.inside(session, "UPDATE", 2)
    assert said(timed.take_sent()[-1]) == (None, None)
    timed.wait(1000)
    assert timed.take_events() == []
