"""Digest challenges, changes of transport, and the ACKs that no transaction owns."""

from typing import Any

import pytest

from sidestream.sip.agent.events import (
    EndCause,
    Failure,
    InviteFailed,
    InviteRejected,
    RequestAnswered,
    SessionEnded,
)
from sidestream.sip.digest import Authorization, DigestCredentials
from sidestream.sip.message import parse_message
from sidestream.sip.transport import Destination, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

CREDENTIALS = DigestCredentials("alice", "secret")
CHALLENGE = 'Digest realm="here", nonce="{}", algorithm=MD5, qop="auth"'
TCP = Peer(Transport.TCP, "10.0.0.2", 40000, "tcp")
BIG = {"body": b"v=0\r\n" + b"a=x\r\n" * 300, "content_type": "application/sdp"}


def challenge(bench: Any, request: Any, status: int = 401, nonce: str = "n1") -> None:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    bench.reply(request, status, extra=f"{name}: {CHALLENGE.format(nonce)}\r\n")


def test_a_challenge_is_answered_with_the_next_number_and_a_new_branch(bench: Any) -> None:
    _, first = bench.invite(credentials=CREDENTIALS)
    challenge(bench, first)
    ack, second = bench.take_sent()
    assert (ack.method, ack.cseq.number, ack.via.branch) == ("ACK", 1, first.via.branch)
    assert (second.method, second.cseq.number) == ("INVITE", 2)
    assert second.via.branch != first.via.branch
    assert (second.call_id, second.from_, second.to, second.body) == (
        first.call_id,
        first.from_,
        first.to,
        first.body,
    )
    answer = Authorization.parse(second.headers.get("Authorization") or "")
    assert answer is not None
    assert (answer.username, answer.realm, answer.uri, answer.nc) == ("alice", "here", "sip:bob@10.0.0.2", 1)
    assert bench.take_events() == []


def test_the_ack_of_the_2xx_repeats_the_credentials(bench: Any) -> None:
    session, first = bench.invite(credentials=CREDENTIALS)
    challenge(bench, first)
    _, second = bench.take_sent()
    bench.reply(second, 200)
    bench.agent.acknowledge(session, now=bench.now)
    (ack,) = bench.take_sent()
    assert ack.headers.get("Authorization") == second.headers.get("Authorization")
    assert ack.cseq.number == 2


def test_later_requests_of_the_session_bring_credentials_from_the_start(bench: Any) -> None:
    session, first = bench.invite(credentials=CREDENTIALS)
    challenge(bench, first)
    _, second = bench.take_sent()
    bench.reply(second, 200)
    bench.agent.acknowledge(session, now=bench.now)
    bench.agent.bye(session, now=bench.now)
    _, bye = bench.take_sent()
    answer = Authorization.parse(bye.headers.get("Authorization") or "")
    assert answer is not None
    assert answer.nc == 2
    assert bye.cseq.number == 3


def test_a_proxys_challenge_after_a_servers(bench: Any) -> None:
    _, first = bench.invite(credentials=CREDENTIALS)
    challenge(bench, first)
    challenge(bench, bench.take_sent()[1], 407, "n2")
    third = bench.take_sent()[1]
    assert "Authorization" in third.headers
    assert "Proxy-Authorization" in third.headers


def test_a_wrong_password_is_reported(bench: Any) -> None:
    session, first = bench.invite(credentials=CREDENTIALS)
    challenge(bench, first)
    challenge(bench, bench.take_sent()[1], nonce="n2")
    rejected, ended = bench.take_events()
    assert isinstance(rejected, InviteRejected)
    assert rejected.response.status == 401
    assert ended == SessionEnded(session, EndCause.REJECTED)


def test_a_server_that_never_stops_asking_is_given_up(bench: Any) -> None:
    _, request = bench.invite(credentials=CREDENTIALS)
    for attempt in range(4):
        stale = f"WWW-Authenticate: {CHALLENGE.format(f'n{attempt}')}, stale=true\r\n"
        bench.reply(request, 401, extra=stale)
        request = bench.take_sent()[-1]
    assert isinstance(bench.take_events()[0], InviteRejected)


def test_without_credentials_a_challenge_is_a_rejection(bench: Any) -> None:
    _, first = bench.invite()
    challenge(bench, first)
    assert isinstance(bench.take_events()[0], InviteRejected)


def test_a_cancelled_call_answers_no_challenge(bench: Any) -> None:
    session, first = bench.invite(credentials=CREDENTIALS)
    bench.agent.cancel(session, now=bench.now)
    challenge(bench, first)
    assert [message.method for message in bench.take_sent()] == ["ACK"]
    assert bench.take_events()[-1] == SessionEnded(session, EndCause.CANCELLED)


def test_a_challenged_bye_is_sent_again(bench: Any) -> None:
    session = bench.established(credentials=CREDENTIALS)
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_sent()
    challenge(bench, bye)
    (again,) = bench.take_sent()
    assert (again.method, again.cseq.number) == ("BYE", bye.cseq.number + 1)
    bench.reply(again, 200)
    assert bench.take_sent() == []


def test_a_challenged_request_outside_a_session(bench: Any) -> None:
    name = bench.agent.request(
        None,
        "OPTIONS",
        target=Uri.parse("sip:10.0.0.2"),
        from_=NameAddr(None, Uri.parse("sip:alice@10.0.0.1")),
        credentials=CREDENTIALS,
        now=bench.now,
    )
    challenge(bench, bench.take_sent()[0])
    (again,) = bench.take_sent()
    assert again.cseq.number == 2
    bench.reply(again, 200)
    (answered,) = bench.take_events()
    assert (answered.request_id, answered.response.status) == (name, 200)


def test_what_is_too_large_for_udp_goes_by_tcp_and_falls_back_when_refused(bench: Any) -> None:
    bench.agent.invite(
        target=Uri.parse("sip:bob@10.0.0.2"),
        from_=NameAddr(None, Uri.parse("sip:alice@10.0.0.1")),
        to=NameAddr(None, Uri.parse("sip:bob@10.0.0.2")),
        now=bench.now,
        **BIG,
    )
    (first,) = bench.take_transmits()
    assert first.destination == Destination(Transport.TCP, "10.0.0.2", 5060)
    assert first.listener == "tcp"
    assert b"Via: SIP/2.0/TCP 10.0.0.1:5062;branch=" in first.data
    bench.agent.transport_failed(first.transmit_id or "", bench.now)
    (second,) = bench.take_transmits()
    assert second.destination == Destination(Transport.UDP, "10.0.0.2", 5060)
    assert b"Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=" in second.data


def test_a_request_that_has_been_heard_is_not_sent_by_another_way(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "INFO", now=bench.now, **BIG)
    (first,) = bench.take_transmits()
    request = parse_message(first.data)
    bench.reply(request, 100)
    bench.agent.transport_failed(first.transmit_id or "", bench.now)
    events = bench.take_events()
    assert isinstance(events[0], RequestAnswered)
    assert events[0].response is None


@pytest.mark.parametrize("uri", ["sips:bob@10.0.0.2", "sip:bob@10.0.0.2;transport=tls"])
def test_a_target_that_we_cannot_speak_to_fails_at_once(bench: Any, uri: str) -> None:
    session, _ = bench.invite(target=Uri.parse(uri))
    failed = InviteFailed(session, Failure.TRANSPORT, "we have no listener for the transport that its address asks for")
    assert bench.take_events() == [failed, SessionEnded(session, EndCause.FAILED)]


def test_a_bye_to_a_contact_that_we_cannot_speak_to_goes_nowhere(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200, extra="Contact: <sips:bob@10.0.0.2>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    bench.agent.bye(session, now=bench.now)
    assert bench.take_sent() == []
    assert bench.take_events()[-1] == SessionEnded(session, EndCause.LOCAL_BYE)


def test_a_large_ack_goes_by_tcp_too(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200)
    bench.agent.acknowledge(session, now=bench.now, **BIG)
    (transmit,) = bench.take_transmits()
    assert transmit.destination == Destination(Transport.TCP, "10.0.0.2", 5060)
    assert b"Via: SIP/2.0/TCP 10.0.0.1:5062;branch=" in transmit.data
    assert transmit.transmit_id is None


def accepted_reinvite(bench: Any) -> Any:
    """A call by TCP in which our re-INVITE was accepted; returns its session."""
    session = bench.answered(peer=TCP, contact="<sip:bob@10.0.0.2;transport=tcp>")
    bench.agent.reinvite(session, now=bench.now)
    (request,) = bench.take_sent()
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.2;transport=tcp>\r\n")
    bench.take_events()
    return session


def test_an_ack_whose_stream_is_gone_goes_by_a_new_one(bench: Any) -> None:
    session = accepted_reinvite(bench)
    bench.agent.acknowledge(session, now=bench.now)
    (first,) = bench.take_transmits()
    assert first.destination == TCP
    bench.agent.transport_failed(first.transmit_id or "", bench.now)
    bench.agent.transport_failed(first.transmit_id or "", bench.now)
    (second,) = bench.take_transmits()
    assert second.destination == Destination(Transport.TCP, "10.0.0.2", 5060)


def test_a_request_whose_stream_is_gone_goes_by_a_new_one_and_so_do_the_next(bench: Any) -> None:
    session = accepted_reinvite(bench)
    bench.agent.acknowledge(session, now=bench.now)
    bench.take_transmits()
    bench.agent.request(session, "INFO", now=bench.now)
    (first,) = bench.take_transmits()
    assert first.destination == TCP
    bench.agent.transport_failed(first.transmit_id or "", bench.now)
    bench.agent.request(session, "INFO", now=bench.now)
    assert {transmit.destination for transmit in bench.take_transmits()} == {
        Destination(Transport.TCP, "10.0.0.2", 5060)
    }


def test_an_ack_of_a_forgotten_session_is_no_matter(bench: Any) -> None:
    bench.agent.transport_failed("a|nobody", bench.now)
    assert bench.take_sent() == []


def test_a_stream_through_a_proxy_is_not_taken_for_the_way_to_the_phone(bench: Any) -> None:
    via = "SIP/2.0/TCP 10.0.0.8;branch=z9hG4bKp\r\nVia: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKq"
    peer = Peer(Transport.TCP, "10.0.0.8", 40000, "tcp")
    session = bench.answered(peer=peer, via=via)
    bench.agent.bye(session, now=bench.now)
    (bye,) = bench.take_transmits()
    assert bye.destination == Destination(Transport.TCP, "10.0.0.2", 5060)


def test_a_peer_by_tcp_that_asks_for_udp_gets_it(bench: Any) -> None:
    session = bench.answered(peer=TCP, contact="<sip:bob@10.0.0.2;transport=udp>")
    bench.agent.bye(session, now=bench.now)
    assert bench.take_transmits()[0].destination == Destination(Transport.UDP, "10.0.0.2", 5060)
