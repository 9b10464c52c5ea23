"""Requests that know a dialog's ids and do not come from its peer."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    Cancelled,
    RequestDoubted,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri

ELSEWHERE = Peer(Transport.UDP, "203.0.113.9", 5060, "udp")
ABSURD = 2**31 - 1


def is_let_in(bench: Any, session: str, peer: Peer) -> bool:
    """Whether an OPTIONS of `peer` in the session is answered as the peer's own would be."""
    number = bench.numbers = getattr(bench, "numbers", 100) + 1
    bench.inside(session, "OPTIONS", number, peer=peer)
    return bool(bench.take_sent()[-1].status == 200)


def udp(host: str, port: int = 5060) -> Peer:
    return Peer(Transport.UDP, host, port, "udp")


class TestWhoIsKnown:
    def test_who_is_where_the_caller_is_seen_or_says_to_be(self, bench: Any) -> None:
        session = bench.answered(peer=udp("198.51.100.9"), contact="<sip:bob@192.168.1.4>")
        assert is_let_in(bench, session, udp("198.51.100.9", 40000))
        assert is_let_in(bench, session, Peer(Transport.TCP, "198.51.100.9", 40000, "tcp"))
        assert is_let_in(bench, session, udp("192.168.1.4"))
        assert not is_let_in(bench, session, ELSEWHERE)

    def test_a_phone_behind_a_proxy_that_leaves_the_way(self, bench: Any) -> None:
        via = "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKp, SIP/2.0/UDP 192.168.1.4;received=198.51.100.7;branch=z9hG4bKq"
        session = bench.answered(via=via, contact="<sip:bob@192.168.1.4>")
        assert is_let_in(bench, session, udp("198.51.100.7"))
        assert not is_let_in(bench, session, ELSEWHERE)

    def test_who_answered_and_every_proxy_on_the_way(self, bench: Any) -> None:
        session, request = bench.invite()
        routes = "Record-Route: <sip:[2001:db8::9];lr>\r\nRecord-Route: <sip:10.0.0.8;lr>\r\n"
        bench.reply(request, 200, extra=routes + "Contact: <sip:bob@192.168.1.4>\r\n")
        bench.agent.acknowledge(session, now=bench.now)
        bench.take_sent()
        for host in ("10.0.0.2", "2001:0db8::0009", "10.0.0.8", "192.168.1.4"):
            assert is_let_in(bench, session, udp(host))
        assert not is_let_in(bench, session, ELSEWHERE)

    def test_every_server_of_the_name_that_was_called(self, bench: Any) -> None:
        session, _ = bench.invite(target=Uri.parse("sip:bob@carrier.example"))
        lookup = bench.agent.poll_lookup()
        assert lookup.question == Question("carrier.example", None, None, False)
        servers = [Destination(Transport.UDP, f"198.51.100.{last}", 5060, "carrier.example") for last in (1, 2)]
        bench.agent.located(lookup.id, servers, bench.now)
        (request,) = bench.take_sent()
        bench.reply(request, 200, extra="Contact: <sip:bob@carrier.example>\r\n")
        bench.agent.acknowledge(session, now=bench.now)
        bench.take_sent()
        assert is_let_in(bench, session, udp("198.51.100.2"))
        assert not is_let_in(bench, session, ELSEWHERE)

    def test_where_the_peer_has_moved_to(self, bench: Any) -> None:
        session = bench.answered()
        bench.inside(session, "UPDATE", 2, contact="<sip:bob@203.0.113.9>")
        bench.take_sent()
        assert is_let_in(bench, session, ELSEWHERE)

    def test_not_every_address_that_a_peer_may_think_of(self, bench: Any) -> None:
        vias = ", ".join(f"SIP/2.0/UDP 192.0.2.{last};branch=z9hG4bK{last}" for last in range(1, 41))
        session = bench.answered(via=vias)
        assert is_let_in(bench, session, udp("192.0.2.32"))
        assert not is_let_in(bench, session, udp("192.0.2.40"))


class TestTls:
    LISTENERS = (
        ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060),
        ListenerAddress("tcp", Transport.TCP, "10.0.0.1", 5060),
        ListenerAddress("tls", Transport.TLS, "10.0.0.1", 5061),
    )
    BY_TLS = Peer(Transport.TLS, "10.0.0.2", 40000, "tls")
    BY_TCP = Peer(Transport.TCP, "10.0.0.2", 40000, "tcp")

    def test_what_tls_protected_is_not_changed_by_less(self, bench_with: Any) -> None:
        bench = bench_with(listeners=self.LISTENERS)
        session = bench.answered(peer=self.BY_TLS)
        assert is_let_in(bench, session, Peer(Transport.TLS, "10.0.0.2", 40001, "tls"))
        assert not is_let_in(bench, session, udp("10.0.0.2"))

    def test_unless_the_peer_has_named_another_way(self, bench_with: Any) -> None:
        bench = bench_with(listeners=self.LISTENERS)
        session = bench.answered(peer=self.BY_TLS, contact="<sip:bob@10.0.0.2;transport=tcp>")
        assert is_let_in(bench, session, self.BY_TCP)
        assert not is_let_in(bench, session, udp("10.0.0.2"))

    def test_a_sips_call_has_no_other_way(self, bench_with: Any) -> None:
        bench = bench_with(listeners=self.LISTENERS)
        contact = "<sips:bob@10.0.0.2;transport=tcp>"
        session = bench.answered(peer=self.BY_TLS, contact=contact, uri="sips:alice@10.0.0.1")
        assert is_let_in(bench, session, self.BY_TLS)
        assert not is_let_in(bench, session, self.BY_TCP)


class TestRefused:
    @pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER"])
    def test_nothing_comes_of_it_and_the_peer_is_still_heard(self, bench_with: Any, method: str) -> None:
        """Also with a number after which no number of the peer's would be in order."""
        bench = bench_with(allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "REFER"))
        session = bench.answered()
        target = bench.agent.dialog(session).remote_target
        bench.inside(session, method, ABSURD, peer=ELSEWHERE, contact="<sip:evil@203.0.113.9>")
        assert [sent.status for sent in bench.take_sent()] == [403]
        assert bench.take_events() == []
        assert bench.agent.dialog(session).remote_target == target
        assert bench.agent.strangers == 1
        bench.inside(session, "BYE", 2)
        assert [sent.status for sent in bench.take_sent()] == [200]

    def test_not_in_an_early_dialog_either(self, bench: Any) -> None:
        session, request = bench.invite()
        bench.reply(request, 180)
        bench.take_events()
        ours, call_id = request.from_.tag, request.call_id
        bench.request("BYE", to_tag=ours, call_id=call_id, peer=ELSEWHERE)
        assert [sent.status for sent in bench.take_sent()] == [403]
        assert bench.take_events() == []

    def test_a_call_that_is_over_is_no_secret(self, bench: Any) -> None:
        session = bench.answered()
        bench.inside(session, "BYE", 2)
        bench.take_sent()
        bench.inside(session, "INFO", 3, peer=ELSEWHERE)
        assert [sent.status for sent in bench.take_sent()] == [481]

    @pytest.mark.parametrize("peer", [ELSEWHERE, None])
    def test_a_cancel_comes_from_who_sent_the_invite(self, bench: Any, peer: Peer | None) -> None:
        bench.incoming(branch="z9hG4bKinvite")
        extra = {} if peer is None else {"peer": peer}
        via = "SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKinvite"
        bench.request("CANCEL", via=via, **extra)
        statuses = [sent.status for sent in bench.take_sent()]
        assert statuses == ([403] if peer else [200, 487])
        assert [type(event) for event in bench.take_events()] == ([] if peer else [Cancelled, SessionEnded])

    def test_an_ack_that_would_agree_for_the_peer_is_dropped(self, bench: Any) -> None:
        session = bench.incoming(body="", extra="")
        bench.agent.respond(session, 200, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
        bench.take_sent()
        tag, sdp = bench.tag(session), "Content-Type: application/sdp\r\n"
        bench.request("ACK", to_tag=tag, body="v=0\r\n", extra=sdp, peer=ELSEWHERE)
        assert (bench.take_events(), bench.take_sent()) == ([], [])
        bench.request("ACK", to_tag=tag, body="v=0\r\n", extra=sdp)
        assert [type(event) for event in bench.take_events()] == [AckReceived]

    def test_one_that_says_nothing_is_taken(self, bench: Any) -> None:
        session = bench.incoming()
        bench.agent.respond(session, 200, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
        bench.request("ACK", to_tag=bench.tag(session), peer=ELSEWHERE)
        assert [type(event) for event in bench.take_events()] == [AckReceived]


class TestAsked:
    def doubted(self, bench: Any, session: str, method: str, **options: Any) -> RequestDoubted:
        bench.agent.ask_about_strangers(session)
        bench.inside(session, method, 2, peer=ELSEWHERE, **options)
        assert bench.take_sent() == []
        (event,) = bench.take_events()
        assert isinstance(event, RequestDoubted)
        assert (event.session, event.request.method, event.peer) == (session, method, ELSEWHERE)
        return event

    def test_who_is_vouched_for_is_heard(self, bench: Any) -> None:
        session = bench.answered()
        event = self.doubted(bench, session, "INFO")
        bench.agent.admit(event.request_id, now=bench.now)
        (received,) = bench.take_events()
        assert isinstance(received, RequestReceived)
        bench.agent.answer(received.request_id, 200, now=bench.now)
        assert bench.take_sent()[0].status == 200

    def test_who_is_not_is_told_what_the_application_says(self, bench: Any) -> None:
        session = bench.answered()
        event = self.doubted(bench, session, "BYE")
        challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
        bench.agent.answer(event.request_id, 401, headers=[challenge], now=bench.now)
        (sent,) = bench.take_sent()
        assert (sent.status, sent.headers.get(challenge[0])) == (401, challenge[1])
        bench.inside(session, "BYE", 3)
        assert [type(event) for event in bench.take_events()] == [ByeReceived, SessionEnded]

    def test_numbers_count_from_then_on(self, bench: Any) -> None:
        session = bench.answered()
        event = self.doubted(bench, session, "INFO")
        bench.inside(session, "OPTIONS", 3)
        assert bench.take_sent()[0].status == 200
        bench.agent.admit(event.request_id, now=bench.now)
        assert bench.take_sent()[0].status == 500, "the peer has gone on meanwhile"

    def test_only_once_and_only_in_time(self, bench: Any) -> None:
        session = bench.answered()
        event = self.doubted(bench, session, "INFO")
        bench.wait(32)
        with pytest.raises(UnknownRequest):
            bench.agent.admit(event.request_id, now=bench.now)
        with pytest.raises(UnknownRequest):
            bench.agent.answer(event.request_id, 403, now=bench.now)

    def test_a_call_that_ended_meanwhile_is_over(self, bench: Any) -> None:
        session = bench.answered()
        event = self.doubted(bench, session, "INFO")
        bench.inside(session, "BYE", 3)
        bench.take_sent()
        bench.agent._core.forget(bench.agent._core.session(session))
        bench.agent.admit(event.request_id, now=bench.now)
        assert bench.take_sent()[0].status == 481

    def test_a_cancel_too(self, bench: Any) -> None:
        session = bench.incoming(branch="z9hG4bKinvite")
        bench.agent.ask_about_strangers(session)
        bench.request("CANCEL", via="SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKinvite", peer=ELSEWHERE)
        (event,) = bench.take_events()
        bench.agent.admit(event.request_id, now=bench.now)
        assert [sent.status for sent in bench.take_sent()] == [200, 487]

    @pytest.mark.parametrize("lives", [True, False])
    def test_an_ack_too(self, bench: Any, lives: bool) -> None:
        session = bench.incoming(body="", extra="")
        bench.agent.respond(session, 200, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
        bench.agent.ask_about_strangers(session)
        bench.take_sent()
        sdp = "Content-Type: application/sdp\r\n"
        bench.request("ACK", to_tag=bench.tag(session), body="v=0\r\n", extra=sdp, peer=ELSEWHERE)
        (event,) = bench.take_events()
        if not lives:
            bench.agent._core.unbind(bench.agent.dialog(session))
        bench.agent.admit(event.request_id, now=bench.now)
        assert [type(event) for event in bench.take_events()] == ([AckReceived] if lives else [])
