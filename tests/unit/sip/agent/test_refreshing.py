"""Our refreshes, message by message."""

from collections.abc import Callable
from typing import Any

import pytest

from sidestream.sip.agent.events import EndCause, Refreshed, ReinviteReceived, SessionEnded
from sidestream.sip.session_timer import SessionTimerPolicy

CONTACT = "Contact: <sip:bob@10.0.0.2>\r\n"
GRANTED = f"{CONTACT}Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n"
THEIRS = "v=0\r\no=bob\r\n"
SDP = "Content-Type: application/sdp\r\n"


@pytest.fixture
def timed(bench_with: Callable[..., Any]) -> Any:
    return bench_with(session_timer=SessionTimerPolicy())


def call(bench: Any, *, allow: str = "", granted: str = GRANTED, sdp: str = THEIRS, **options: Any) -> str:
    session, request = bench.invite(**options)
    bench.reply(request, 200, extra=f"{granted}{allow}{SDP if sdp else ''}", body=sdp)
    bench.agent.acknowledge(session, now=bench.now)
    bench.take_sent()
    bench.take_events()
    return str(session)


def due(bench: Any, seconds: float = 900) -> Any:
    """The one request that is sent in that time."""
    bench.wait(seconds)
    (request,) = bench.take_sent()
    return request


def test_an_update_without_offer_if_the_peer_allows_it(timed: Any) -> None:
    session = call(timed, allow="Allow: INVITE, UPDATE\r\n")
    for number in (2, 3, 4):
        update = due(timed)
        assert (update.method, update.cseq.number, update.body) == ("UPDATE", number, b"")
        assert update.headers.get("Session-Expires") == "1800;refresher=uac"
        assert update.contacts
        timed.reply(update, 100)
        timed.reply(update, 200, extra=GRANTED.replace("bob@10.0.0.2", "bob@10.0.0.7"))
    assert timed.take_events() == []
    assert timed.agent.dialog(session).remote_target.host == "10.0.0.7"


def test_else_a_reinvite_with_the_same_offer(timed: Any) -> None:
    call(timed, allow="Allow: INVITE\r\n")
    again = due(timed)
    assert (again.method, again.body) == ("INVITE", b"v=0\r\n")
    timed.reply(again, 180)
    timed.reply(again, 200, extra=f"{GRANTED}{SDP}", body=THEIRS)
    timed.reply(again, 200, extra=f"{GRANTED}{SDP}", body=THEIRS)
    acks = timed.take_sent()
    assert [(ack.method, ack.cseq.number, ack.body) for ack in acks] == [("ACK", 2, b"")] * 2
    assert timed.take_events() == []
    assert due(timed).method == "INVITE"


def test_a_changed_description_is_reported(timed: Any) -> None:
    session = call(timed)
    timed.reply(due(timed), 200, extra=f"{GRANTED}{SDP}", body="v=0\r\no=other\r\n")
    (refreshed,) = timed.take_events()
    assert isinstance(refreshed, Refreshed)
    assert (refreshed.session, refreshed.response.body) == (session, b"v=0\r\no=other\r\n")


def test_a_session_without_description_is_refreshed_by_update(timed: Any) -> None:
    call(timed, sdp="", body=b"", content_type=None, allow="Allow: INVITE\r\n")
    for wait in (900, 434.2):
        update = due(timed, wait)
        assert update.method == "UPDATE"
        timed.reply(update, 405)


def test_where_update_is_unknown_after_all_the_reinvite_follows_at_once(timed: Any) -> None:
    call(timed, allow="Allow: UPDATE\r\n")
    timed.reply(due(timed), 501)
    timed.wait(0.0)
    (again,) = timed.take_sent()
    assert again.method == "INVITE"


@pytest.mark.parametrize("allow", ["Allow: UPDATE\r\n", ""])
def test_a_refused_refresh_is_tried_again_halfway_to_the_end(timed: Any, allow: str) -> None:
    session = call(timed, allow=allow)
    attempts = 0
    while (request := due_or_none(timed)) is not None:
        attempts += 1
        assert request.method == ("UPDATE" if allow else "INVITE")
        timed.reply(request, 488, extra=CONTACT)
        timed.take_sent()
    assert 3 <= attempts <= 8
    assert timed.take_events() == [SessionEnded(session, EndCause.LAPSED)]


def due_or_none(bench: Any) -> Any:
    while bench.agent.poll_timeout() is not None:
        bench.wait(max(0.0, bench.agent.poll_timeout() - bench.now))
        for request in bench.take_sent():
            return None if request.method == "BYE" else request
    return None


@pytest.mark.parametrize("allow", ["Allow: UPDATE\r\n", ""])
@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_knows_no_such_call_ends_it(timed: Any, allow: str, status: int) -> None:
    session = call(timed, allow=allow)
    timed.reply(due(timed), status)
    assert timed.take_events() == [SessionEnded(session, EndCause.LOST)]


@pytest.mark.parametrize("allow", ["Allow: UPDATE\r\n", ""])
def test_silence_ends_the_session(timed: Any, allow: str) -> None:
    session = call(timed, allow=allow)
    timed.wait(900 + 33)
    assert timed.take_events() == [SessionEnded(session, EndCause.LOST)]


@pytest.mark.parametrize("allow", ["Allow: UPDATE\r\n", ""])
def test_a_call_that_ends_meanwhile_hears_no_more_of_it(timed: Any, allow: str) -> None:
    for status in (200, None):
        session = call(timed, allow=allow, call_id=f"x{status}")
        request = due(timed)
        timed.agent.bye(session, now=timed.now)
        assert timed.take_events() == [SessionEnded(session, EndCause.LOCAL_BYE)]
        if status is None:
            timed.wait(40)
        else:
            timed.reply(request, status, extra=GRANTED)
            timed.wait(40)
        assert timed.take_events() == []
        timed.take_sent()


def test_glare_with_a_refresh_puts_it_off(timed: Any) -> None:
    call(timed)
    timed.reply(due(timed), 491)
    timed.take_sent()
    timed.wait(2.0)
    assert timed.take_sent() == []
    timed.wait(2.1)
    assert timed.take_sent()[0].method == "INVITE"
    assert timed.take_events() == []


def test_a_refresh_waits_for_other_exchanges(timed: Any) -> None:
    session = call(timed)
    timed.wait(899)
    timed.inside(session, "INVITE", 1, body="v=0\r\no=new\r\n", extra=SDP)
    timed.wait(2)
    assert [message.status for message in timed.take_sent()] == [100]
    timed.agent.respond(session, 488, now=timed.now)
    timed.take_sent()
    timed.wait(5)
    assert "INVITE" in [getattr(message, "method", None) for message in timed.take_sent()]


def test_a_refresh_by_reinvite_of_the_peer_is_answered_by_itself(timed: Any) -> None:
    session = call(timed, granted=GRANTED.replace("uac", "uas"))
    timed.wait(900)
    refresh = f"{SDP}Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n"
    timed.inside(session, "INVITE", 1, body=THEIRS, extra=refresh)
    (ok,) = timed.take_sent()
    assert (ok.status, ok.body) == (200, b"v=0\r\n")
    assert ok.headers.get("Session-Expires") == "1800;refresher=uac"
    timed.inside(session, "ACK", 1)
    timed.wait(1700)
    assert timed.take_events() == []
    timed.wait(100)
    assert timed.take_events() == [SessionEnded(session, EndCause.LAPSED)]


@pytest.mark.parametrize(
    ("extra", "body"),
    [("Session-Expires: 1800\r\n", "v=0\r\no=new\r\n"), ("", THEIRS), ("Session-Expires: 1800\r\n", "")],
)
def test_what_may_be_more_than_a_refresh_goes_to_the_application(timed: Any, extra: str, body: str) -> None:
    session = call(timed)
    timed.inside(session, "INVITE", 1, body=body, extra=extra + (SDP if body else ""))
    assert isinstance(timed.take_events()[0], ReinviteReceived)
