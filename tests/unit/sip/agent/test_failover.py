"""Host names, one server after the other, sips, and peers behind a NAT, as the agent sees them."""

from typing import Any

import pytest

from sidestream.sip.agent.events import (
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteRejected,
    RequestAnswered,
    SessionEnded,
)
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

NAMED = Uri.parse("sip:bob@example.com")
FAILOVER_S = 4.0


def target(number: int, transport: Transport = Transport.UDP) -> Destination:
    return Destination(transport, f"10.0.0.{number}", transport.default_port, "example.com")


TWO, THREE = target(2), target(3)


def locate(bench: Any, *targets: Destination, reason: str = "") -> Question:
    """Answer the one question that the agent has; returns it."""
    lookup = bench.agent.poll_lookup()
    assert lookup is not None
    assert bench.agent.poll_lookup() is None
    bench.agent.located(lookup.id, targets, bench.now, reason)
    question: Question = lookup.question
    return question


def call(bench: Any, *targets: Destination) -> tuple[str, Any]:
    session, nothing = bench.invite(target=NAMED)
    assert nothing is None
    locate(bench, *targets)
    (sent,) = bench.take_transmits()
    assert sent.destination == targets[0]
    bench.transmits.append(sent)
    return session, bench.take_sent()[0]


def next_try(bench: Any, where: Destination) -> Any:
    """The INVITE that goes to the next server."""
    sent = [transmit for transmit in bench.take_transmits() if transmit.data.startswith(b"INVITE")]
    assert [transmit.destination for transmit in sent] == [where]
    bench.transmits += sent
    return bench.take_sent()[0]


def test_a_name_is_asked_for_before_anything_is_sent(bench: Any) -> None:
    session, _ = bench.invite(target=NAMED)
    assert locate(bench, TWO) == Question("example.com")
    (sent,) = bench.take_transmits()
    assert sent.destination == TWO
    assert bench.take_events() == []


def test_a_name_without_a_server_fails_the_call_with_the_reason(bench: Any) -> None:
    session, _ = bench.invite(target=NAMED)
    locate(bench, reason="no DNS server answers")
    failed = InviteFailed(session, Failure.TRANSPORT, "no DNS server answers")
    assert bench.take_events() == [failed, SessionEnded(session, EndCause.FAILED)]


def test_a_transport_error_goes_on_to_the_next_server_with_a_new_branch(bench: Any) -> None:
    session, first = call(bench, TWO, THREE)
    bench.agent.transport_failed(f"c|{first.via.branch}|INVITE", bench.now, "refused")
    second = next_try(bench, THREE)
    # RFC 3263 §4.3
    assert second.via.branch != first.via.branch
    assert (second.call_id, second.cseq, second.from_) == (first.call_id, first.cseq, first.from_)
    bench.reply(second, 200)
    assert isinstance(bench.take_events()[0], InviteAccepted)


def test_silence_goes_on_to_the_next_server_before_timer_b(bench: Any) -> None:
    session, _ = call(bench, TWO, THREE)
    bench.wait(FAILOVER_S - 0.1)
    assert not any(transmit.destination == THREE for transmit in bench.take_transmits())
    bench.wait(0.2)
    next_try(bench, THREE)
    bench.wait(31)
    assert bench.take_events() == []  # there is nobody else, so the last one has its whole time
    bench.wait(2)
    assert bench.take_events()[0] == InviteFailed(session, Failure.TIMEOUT)


def test_a_server_that_answers_at_all_is_stayed_with(bench: Any) -> None:
    _, first = call(bench, TWO, THREE)
    bench.reply(first, 100)
    bench.wait(31)
    assert all(transmit.destination == TWO for transmit in bench.take_transmits())


def test_a_503_goes_on_to_the_next_server_and_the_next_call_avoids_it(bench: Any) -> None:
    _, first = call(bench, TWO, THREE)
    bench.reply(first, 503, extra="Retry-After: 60\r\n")
    second = next_try(bench, THREE)
    bench.reply(second, 486)
    assert [type(event) for event in bench.take_events()] == [InviteRejected, SessionEnded]
    bench.take_sent()
    bench.wait(40)
    _, _ = bench.invite(target=NAMED)
    locate(bench, TWO, THREE)
    (sent,) = bench.take_transmits()
    assert sent.destination == THREE


@pytest.mark.parametrize("retry_after", ["", "Retry-After: soon\r\n"])
def test_the_503_of_the_last_server_is_the_answer(bench: Any, retry_after: str) -> None:
    _, first = call(bench, TWO)
    bench.reply(first, 503, extra=retry_after)
    rejected = bench.take_events()[0]
    assert isinstance(rejected, InviteRejected)
    assert rejected.response.status == 503


def test_a_503_by_the_stream_of_the_peer_is_the_answer(bench: Any) -> None:
    stream = Peer(Transport.TCP, "10.0.0.2", 40000, "tcp")
    session = bench.answered(peer=stream, contact="<sip:bob@10.0.0.2;transport=tcp>")
    name = bench.agent.request(session, "INFO", now=bench.now)
    (info,) = bench.take_sent()
    bench.reply(info, 503)
    (sent,) = bench.take_transmits()
    assert sent.destination == Destination(Transport.TCP, "10.0.0.2", 5060)
    assert bench.take_events() == []
    bench.agent.transport_failed(sent.transmit_id, bench.now)
    assert RequestAnswered(name, session, None) in bench.take_events()


def test_a_call_that_is_to_be_cancelled_goes_to_no_further_server(bench: Any) -> None:
    session, first = call(bench, TWO, THREE)
    bench.agent.cancel(session, now=bench.now)
    bench.reply(first, 503)
    assert not [transmit for transmit in bench.take_transmits() if transmit.destination == THREE]
    assert bench.take_events()[-1] == SessionEnded(session, EndCause.CANCELLED)


def test_a_call_cancelled_while_its_server_is_sought_was_never_made(bench: Any) -> None:
    session, _ = bench.invite(target=NAMED)
    bench.agent.cancel(session, now=bench.now)
    assert bench.take_events() == [SessionEnded(session, EndCause.CANCELLED)]
    locate(bench, TWO)
    assert bench.take_transmits() == []
    bench.wait(60)
    assert bench.agent.live == (0, 0)


def test_the_contact_is_where_the_invite_leaves_from(bench: Any) -> None:
    session, _ = bench.invite(target=NAMED)
    locate(bench, target(2, Transport.TCP))
    (invite,) = bench.take_sent()
    assert (invite.via.transport, str(invite.contacts[0].uri)) == ("TCP", "sip:alice@10.0.0.1:5062;transport=tcp")
    bench.reply(invite, 200)
    bench.agent.acknowledge(session, now=bench.now)
    (ack,) = bench.take_sent()
    assert ack.via.transport == "TCP"  # the Contact of the 2xx names no transport, so the session's is used


def test_the_ack_of_a_named_contact_waits_for_its_address(bench: Any) -> None:
    session, invite = bench.invite()
    bench.reply(invite, 200, extra="Contact: <sip:bob@example.com>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    assert bench.take_transmits() == []
    locate(bench, THREE)
    (sent,) = bench.take_transmits()
    assert (sent.data[:3], sent.destination) == (b"ACK", THREE)
    bench.reply(invite, 200, extra="Contact: <sip:bob@example.com>\r\n")
    locate(bench)
    assert bench.take_transmits() == []


def test_a_contact_without_any_way_is_not_acknowledged(bench: Any) -> None:
    session, invite = bench.invite()
    bench.reply(invite, 200, extra="Contact: <sips:bob@10.0.0.2>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    assert bench.take_transmits() == []


def test_a_late_answer_for_an_ended_session_sends_nothing(bench: Any) -> None:
    session = bench.established()
    bench.inside(session, "UPDATE", 1, contact="<sip:bob@example.com>")
    name = bench.agent.request(session, "INFO", now=bench.now)
    bench.take_sent()
    bench.inside(session, "BYE", 2)
    bench.take_sent()
    locate(bench, TWO)
    assert bench.take_transmits() == []
    assert RequestAnswered(name, session, None) in bench.take_events()


def test_silence_by_the_stream_of_the_peer_is_not_asked_for_twice(bench: Any) -> None:
    stream = Peer(Transport.TCP, "10.0.0.2", 40000, "tcp")
    session = bench.answered(peer=stream, contact="<sip:bob@10.0.0.2;transport=tcp>")
    name = bench.agent.request(session, "INFO", now=bench.now)
    bench.wait(32)
    assert RequestAnswered(name, session, None) in bench.take_events()
    assert {transmit.destination for transmit in bench.take_transmits()} == {stream}


def test_what_fails_after_the_end_of_its_session_is_nobodys_business(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "INFO", now=bench.now)
    (sent,) = bench.take_transmits()
    bench.agent.bye(session, now=bench.now)
    bench.take_events()
    bench.agent.transport_failed(sent.transmit_id, bench.now)
    assert bench.take_events() == []


def test_large_requests_try_the_next_server_after_tcp_and_udp(bench: Any) -> None:
    bench.invite(target=NAMED, body=b"a=x\r\n" * 400)
    locate(bench, TWO, THREE)
    seen = []
    for _ in range(4):
        (sent,) = bench.take_transmits()
        seen.append((sent.destination.transport, sent.destination.host))
        bench.agent.transport_failed(sent.transmit_id, bench.now)
    udp, tcp = Transport.UDP, Transport.TCP
    assert seen == [(tcp, "10.0.0.2"), (udp, "10.0.0.2"), (tcp, "10.0.0.3"), (udp, "10.0.0.3")]


def test_other_requests_fail_over_too_and_have_their_time_once_answered(bench: Any) -> None:
    name = bench.agent.request(None, "OPTIONS", target=NAMED, from_=NameAddr(None, NAMED), now=bench.now)
    locate(bench, TWO, THREE)
    bench.wait(FAILOVER_S + 0.1)
    (*_, last) = bench.take_sent()
    bench.reply(last, 100)
    bench.wait(20)
    assert bench.take_events() == []
    bench.reply(last, 200)
    (answered,) = bench.take_events()
    assert (answered.request_id, answered.response.status) == (name, 200)


def test_a_provisional_response_gives_a_request_its_whole_time_although_there_are_others(bench: Any) -> None:
    bench.agent.request(None, "OPTIONS", target=NAMED, from_=NameAddr(None, NAMED), now=bench.now)
    locate(bench, TWO, THREE)
    (first,) = bench.take_sent()
    bench.reply(first, 100)
    bench.wait(31)
    assert bench.take_events() == []
    bench.wait(2)
    assert bench.take_events()[0].response is None


SECURE = (
    ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060),
    ListenerAddress("tls", Transport.TLS, "10.0.0.1", 5061),
)


def test_sips_goes_by_tls_with_a_sips_contact(bench_with: Any) -> None:
    bench = bench_with(listeners=SECURE)
    _, invite = bench.invite(target=Uri.parse("sips:bob@10.0.0.2"))
    assert invite.headers.get("Via").startswith("SIP/2.0/TLS 10.0.0.1:5061;")
    assert "alias" in dict(invite.via.params)
    assert str(invite.contacts[0].uri) == "sips:alice@10.0.0.1"


@pytest.mark.parametrize(
    ("uri", "extra", "contact"),
    [
        ("sips:alice@10.0.0.1", "", "sips:alice@10.0.0.1"),
        ("sip:alice@10.0.0.1", "Record-Route: <sips:p.example;lr>\r\n", "sips:alice@10.0.0.1"),
        ("sip:alice@10.0.0.1", "", "sip:alice@10.0.0.1:5061;transport=tls"),
    ],
)
def test_a_call_by_tls_is_answered_in_kind(bench_with: Any, uri: str, extra: str, contact: str) -> None:
    bench = bench_with(listeners=SECURE)
    peer = Peer(Transport.TLS, "10.0.0.2", 40000, "tls")
    bench.request("INVITE", uri=uri, peer=peer, body="v=0\r\n", extra=f"Content-Type: application/sdp\r\n{extra}")
    session = bench.take_events()[0].session
    bench.agent.respond(session, 200, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
    transmits = bench.take_transmits()
    assert {transmit.destination for transmit in transmits} == {peer}
    bench.transmits += transmits
    assert str(bench.take_sent()[-1].contacts[0].uri) == contact


def test_a_request_over_tls_goes_back_by_the_stream_the_invite_came_by(bench_with: Any) -> None:
    bench = bench_with(listeners=SECURE)
    peer = Peer(Transport.TLS, "10.0.0.2", 40000, "tls")
    session = bench.answered(peer=peer, contact="<sip:bob@phone.example;transport=tls>")
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_transmits()
    assert bye.destination == peer
    bench.agent.transport_failed(bye.transmit_id, bench.now)
    assert locate(bench, target(2, Transport.TLS)) == Question("phone.example", None, Transport.TLS)
    (bye,) = bench.take_transmits()
    assert bye.destination == target(2, Transport.TLS)


NATTED = (ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060, nat=True),)
OUTSIDE = Peer(Transport.UDP, "203.0.113.7", 4321, "udp")


def test_a_caller_behind_a_nat_is_reached_where_it_is_seen(bench_with: Any) -> None:
    bench = bench_with(listeners=NATTED)
    via = "SIP/2.0/UDP 192.168.1.5:5060;branch=z9hG4bKn"
    bench.request("INVITE", peer=OUTSIDE, contact="<sip:bob@192.168.1.5>", via=via)
    session = bench.take_events()[0].session
    bench.agent.respond(session, 200, now=bench.now)
    seen = Destination(Transport.UDP, "203.0.113.7", 4321)
    assert {transmit.destination for transmit in bench.take_transmits()} == {seen}  # although there is no rport
    bench.request("ACK", peer=OUTSIDE, to_tag=bench.tag(session))
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_transmits()
    assert bye.destination == seen
    assert b"BYE sip:bob@192.168.1.5 " in bye.data


def test_without_nat_the_contact_is_believed(bench: Any) -> None:
    session = bench.answered(peer=OUTSIDE, contact="<sip:bob@192.168.1.5>")
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_transmits()
    assert bye.destination == Destination(Transport.UDP, "192.168.1.5", 5060)


def test_a_callee_behind_a_nat_is_reached_where_its_invite_went(bench_with: Any) -> None:
    bench = bench_with(listeners=NATTED)
    session, invite = bench.invite(target=Uri.parse("sip:bob@203.0.113.7:4321"))
    bench.reply(invite, 200, extra="Contact: <sip:bob@192.168.1.5>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    (ack,) = bench.take_transmits()
    assert ack.destination == Destination(Transport.UDP, "203.0.113.7", 4321)


def test_with_too_many_sessions_new_invites_are_told_to_come_back(bench_with: Any) -> None:
    bench = bench_with(session_limit=2)
    first = bench.established()
    bench.answered(call_id="second")
    bench.request("INVITE", call_id="third", body="v=0\r\n", extra="Content-Type: application/sdp\r\n")
    (response,) = bench.take_sent()
    assert (response.status, response.retry_after) == (503, 5)
    assert bench.take_events() == []
    assert bench.agent.overloads == 1
    bench.agent.bye(first, now=bench.now)
    bench.take_sent()
    bench.take_events()
    bench.incoming(call_id="fourth")
    assert bench.agent.overloads == 1
