"""Reliable provisional responses, message by message (RFC 3262)."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import (
    Cancelled,
    EndCause,
    InviteAccepted,
    InviteProgress,
    ProgressAcknowledged,
    RequestReceived,
    SessionEnded,
)

BODY: dict[str, Any] = {"body": b"v=0\r\n", "content_type": "application/sdp"}
SDP = "Content-Type: application/sdp\r\n"
REQUIRED = {"extra": f"{SDP}Require: 100rel\r\n"}
SUPPORTED = {"extra": f"{SDP}Supported: 100rel\r\n"}
CONTACT = "Contact: <sip:bob@10.0.0.2>\r\n"


def kinds(bench: Any) -> list[type]:
    return [type(event) for event in bench.take_events()]


def prack(bench: Any, session: str, response: Any, number: int = 2, **options: Any) -> None:
    """Bob acknowledges `response`."""
    rack = f"RAck: {response.rseq} {response.cseq.number} INVITE\r\n"
    bench.inside(session, "PRACK", number, **{**options, "extra": rack + options.get("extra", "")})


class TestSending:
    def test_it_is_numbered_and_repeated_until_its_prack(self, bench: Any) -> None:
        session = bench.incoming(**REQUIRED)
        bench.agent.respond(session, 180, now=bench.now)
        (ringing,) = bench.take_sent()
        assert ringing.require == ("100rel",)
        assert 1 <= ringing.rseq < 2**31
        assert ringing.contacts
        bench.wait(8)
        copies = bench.take_sent()
        assert [copy.rseq for copy in copies] == [ringing.rseq] * 4  # after 0.5, 1.5, 3.5 and 7.5 s
        prack(bench, session, ringing)
        (ok,) = bench.take_sent()
        assert (ok.status, ok.cseq.method) == (200, "PRACK")
        bench.wait(30)
        assert bench.take_sent() == []
        assert kinds(bench) == [ProgressAcknowledged]

    def test_the_next_one_waits_and_has_the_next_number(self, bench: Any) -> None:
        session = bench.incoming(**REQUIRED)
        bench.agent.respond(session, 180, now=bench.now)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        (first,) = bench.take_sent()
        prack(bench, session, first)
        ok, second = bench.take_sent()
        assert (ok.cseq.method, second.status, second.rseq) == ("PRACK", 183, first.rseq + 1)

    def test_a_2xx_waits_for_the_prack_of_an_answer(self, bench: Any) -> None:
        session = bench.incoming(**SUPPORTED)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        (progress,) = bench.take_sent()
        bench.agent.respond(session, 200, now=bench.now, **BODY)
        with pytest.raises(WrongState):
            bench.agent.respond(session, 200, now=bench.now, **BODY)
        assert bench.take_sent() == []
        prack(bench, session, progress)
        assert [message.cseq.method for message in bench.take_sent()] == ["PRACK", "INVITE"]
        bench.request("ACK", to_tag=bench.tag(session))
        assert bench.agent.may_reinvite(session)

    def test_a_2xx_does_not_wait_for_the_prack_of_a_ringing(self, bench: Any) -> None:
        session = bench.incoming(**REQUIRED)
        bench.agent.respond(session, 180, now=bench.now)
        bench.agent.respond(session, 183, now=bench.now, **BODY)  # never sent, for the 200 says it all
        bench.agent.respond(session, 200, now=bench.now, **BODY)
        ringing, ok = bench.take_sent()
        assert (ringing.status, ok.status) == (180, 200)
        prack(bench, session, ringing)  # late
        assert [message.status for message in bench.take_sent()] == [200]

    def test_a_refusal_waits_for_nothing(self, bench: Any) -> None:
        session = bench.incoming(**SUPPORTED)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        bench.agent.respond(session, 486, now=bench.now)
        assert [message.status for message in bench.take_sent()] == [183, 486]
        assert kinds(bench) == [SessionEnded]

    def test_a_prack_that_never_comes_ends_the_invite(self, bench: Any) -> None:
        session = bench.incoming(**REQUIRED)
        bench.agent.respond(session, 180, now=bench.now)
        bench.wait(31.9)
        assert bench.take_events() == []
        bench.wait(0.2)
        assert bench.take_events() == [SessionEnded(session, EndCause.NO_PRACK)]
        assert bench.take_sent()[-1].status == 504

    def test_a_cancel_ends_it_too(self, bench: Any) -> None:
        session = bench.incoming(branch="z9hG4bKc", **SUPPORTED)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        bench.agent.respond(session, 200, now=bench.now, **BODY)
        bench.request("CANCEL", branch="z9hG4bKc")
        assert [message.status for message in bench.take_sent()] == [183, 200, 487]
        assert kinds(bench) == [Cancelled, SessionEnded]

    @pytest.mark.parametrize(
        "rack", ["", "RAck: 1 1 INVITE\r\n", "RAck: {rseq} 2 INVITE\r\n", "RAck: {rseq} 1 BYE\r\n"]
    )
    def test_a_prack_of_something_else_is_refused(self, bench: Any, rack: str) -> None:
        session = bench.incoming(**REQUIRED)
        bench.agent.respond(session, 180, now=bench.now)
        (ringing,) = bench.take_sent()
        bench.inside(session, "PRACK", 2, extra=rack.format(rseq=ringing.rseq))
        assert bench.take_sent()[-1].status == 481
        prack(bench, session, ringing, 3)
        prack(bench, session, ringing, 4)  # a second time
        assert [message.status for message in bench.take_sent()] == [200, 481]

    def test_who_does_not_know_it_gets_it_the_old_way(self, bench: Any) -> None:
        session = bench.incoming()
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        (progress,) = bench.take_sent()
        assert (progress.require, progress.rseq) == ((), None)

    def test_a_ringing_goes_the_old_way_unless_it_must_not(self, bench: Any) -> None:
        session = bench.incoming(**SUPPORTED)
        bench.agent.respond(session, 180, now=bench.now)
        assert bench.take_sent()[0].rseq is None

    def test_it_can_be_switched_off(self, bench_with: Any) -> None:
        bench = bench_with(reliable_progress=False)
        bench.request("INVITE", **REQUIRED)
        assert bench.take_sent()[-1].headers.get("Unsupported") == "100rel"
        session = bench.incoming(call_id="other", **SUPPORTED)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        assert bench.take_sent()[0].rseq is None

    def test_our_offer_is_answered_by_the_prack(self, bench: Any) -> None:
        session = bench.incoming(body="", extra="Supported: 100rel\r\n")
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        (progress,) = bench.take_sent()
        bench.inside(session, "UPDATE", 2, body="v=0\r\n", extra=SDP)
        assert bench.take_sent()[0].status == 491
        prack(bench, session, progress, 3, body="v=0\r\no=theirs\r\n", extra=SDP)
        (event,) = bench.take_events()
        assert isinstance(event, ProgressAcknowledged)
        assert event.request.body == b"v=0\r\no=theirs\r\n"
        bench.agent.respond(session, 200, now=bench.now)
        bench.take_sent()
        bench.inside(session, "UPDATE", 4, body="v=0\r\n", extra=SDP)  # the ACK is to bring nothing any more
        assert isinstance(bench.take_events()[0], RequestReceived)

    def test_an_offer_in_a_prack_is_the_applications_to_answer(self, bench: Any) -> None:
        session = bench.incoming(**SUPPORTED)
        bench.agent.respond(session, 183, now=bench.now, **BODY)
        (progress,) = bench.take_sent()
        prack(bench, session, progress, body="v=0\r\no=more\r\n", extra=SDP)
        (event,) = bench.take_events()
        assert (type(event), event.request.method) == (RequestReceived, "PRACK")
        bench.agent.answer(event.request_id, 200, now=bench.now, **BODY)
        assert bench.take_sent()[-1].body == b"v=0\r\n"


class TestHearing:
    def reply(self, bench: Any, request: Any, rseq: int | str, *, status: int = 183, body: str = "", **o: Any) -> None:
        extra = f"{CONTACT}Require: 100rel\r\nRSeq: {rseq}\r\n{SDP if body else ''}"
        bench.reply(request, status, extra=extra, body=body, **o)

    def test_it_is_acknowledged_in_its_dialog(self, bench: Any) -> None:
        _, request = bench.invite()
        self.reply(bench, request, 7, body="v=0\r\n")
        (sent,) = bench.take_sent()
        assert (sent.method, sent.headers.get("RAck"), sent.to.tag) == ("PRACK", "7 1 INVITE", "bobs")
        assert (sent.cseq.number, sent.body) == (2, b"")
        assert kinds(bench) == [InviteProgress]
        bench.reply(sent, 481)
        assert bench.take_events() == []

    def test_copies_and_later_ones_wait(self, bench: Any) -> None:
        _, request = bench.invite()
        self.reply(bench, request, 7)
        self.reply(bench, request, 7)
        self.reply(bench, request, 9)
        assert [sent.headers.get("RAck") for sent in bench.take_sent()] == ["7 1 INVITE"]
        assert kinds(bench) == [InviteProgress]
        self.reply(bench, request, 8)
        self.reply(bench, request, 9)
        assert [sent.headers.get("RAck") for sent in bench.take_sent()] == ["8 1 INVITE", "9 1 INVITE"]

    def test_forks_count_by_themselves(self, bench: Any) -> None:
        _, request = bench.invite()
        self.reply(bench, request, 7, tag="one")
        self.reply(bench, request, 3, tag="two")
        assert [(sent.to.tag, sent.headers.get("RAck")) for sent in bench.take_sent()] == [
            ("one", "7 1 INVITE"),
            ("two", "3 1 INVITE"),
        ]

    @pytest.mark.parametrize("extra", ["Require: 100rel\r\n", "RSeq: 5\r\n", ""])
    def test_one_that_is_not_reliable_is_not_acknowledged(self, bench: Any, extra: str) -> None:
        _, request = bench.invite()
        bench.reply(request, 180, extra=CONTACT + extra)
        assert bench.take_sent() == []
        assert kinds(bench) == [InviteProgress]

    def test_a_number_that_is_none_makes_it_unreadable(self, bench: Any) -> None:
        _, request = bench.invite()
        self.reply(bench, request, "x")
        assert bench.take_sent() == []
        assert bench.agent.malformed == 1

    def test_an_answered_offer_allows_an_update(self, bench: Any) -> None:
        session, request = bench.invite()
        bench.reply(request, 183, extra=f"{CONTACT}Allow: UPDATE\r\n{SDP}", body="v=0\r\n")
        assert not bench.agent.may_update(session)  # not reliable: the answer does not count yet
        self.reply(bench, request, 7, body="v=0\r\n")
        assert bench.agent.may_update(session)
        bench.agent.request(session, "UPDATE", now=bench.now, **BODY)
        assert not bench.agent.may_update(session)
        bench.reply(bench.take_sent()[-1], 200, extra=f"Contact: <sip:bob@10.0.0.9>\r\n{SDP}", body="v=0\r\n")
        assert bench.agent.may_update(session)
        assert bench.agent.dialog(session).remote_target.host == "10.0.0.9"

    def test_an_offer_is_answered_by_the_application(self, bench: Any) -> None:
        session, request = bench.invite(body=b"", content_type=None)
        with pytest.raises(WrongState):
            bench.agent.acknowledge_progress(session, now=bench.now, **BODY)
        self.reply(bench, request, 7, body="v=0\r\no=offer\r\n")
        assert bench.take_sent() == []
        bench.agent.acknowledge_progress(session, now=bench.now, **BODY)
        (sent,) = bench.take_sent()
        assert (sent.method, sent.body) == ("PRACK", b"v=0\r\n")
        bench.reply(request, 200)
        assert kinds(bench) == [InviteProgress, InviteAccepted]
        bench.agent.acknowledge(session, now=bench.now)
        bench.agent.bye(session, now=bench.now)
        bench.agent.acknowledge_progress(session, now=bench.now, **BODY)
        assert [sent.method for sent in bench.take_sent()] == ["ACK", "BYE"]
