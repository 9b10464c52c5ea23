"""The agent's outer edge: bytes, timers, numbers."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import UnknownSession, WrongState
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr


def test_a_malformed_request_carries_its_own_answer(bench: Any) -> None:
    bench.receive(
        "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKx\r\nFrom: <sip:b@h>;tag=b\r\n"
        "To: <sip:a@h>\r\nCall-ID: one\r\nCSeq: x INVITE\r\n\r\n"
    )
    (transmit,) = bench.take_transmits()
    assert transmit.data.startswith(b"SIP/2.0 400 ")
    assert transmit.destination == Peer(Transport.UDP, "10.0.0.2", 5060, "udp")
    assert bench.take_events() == []
    assert bench.agent.malformed == 1
    assert bench.agent.live == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x00\xff",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"ACK sip:a@h SIP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_is_dropped_and_counted(bench: Any, data: bytes) -> None:
    bench.receive(data)
    assert bench.take_transmits() == []
    assert bench.agent.malformed == 1


def test_a_response_with_a_malformed_field_is_dropped(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 200, extra="Contact: <sip:@>\r\n")
    assert bench.take_events() == []
    assert bench.agent.malformed == 1


def test_a_response_to_nothing_is_dropped_and_counted(bench: Any) -> None:
    _, request = bench.invite()
    request.headers.replace("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKforged")
    bench.reply(request, 200)
    assert bench.take_events() == []
    assert bench.agent.dropped == 1


def test_the_next_deadline_is_the_earliest_of_all(bench: Any) -> None:
    assert bench.agent.poll_timeout() is None
    bench.incoming(extra="Content-Type: application/sdp\r\nExpires: 3\r\n")
    assert bench.agent.poll_timeout() == bench.now + 0.2
    bench.wait(0.2)
    assert bench.agent.poll_timeout() == bench.now + 2.8
    bench.invite()
    assert bench.agent.poll_timeout() == bench.now + 0.5


def test_an_unknown_session_is_misuse(bench: Any) -> None:
    for command in (bench.agent.bye, bench.agent.cancel, bench.agent.acknowledge, bench.agent.reinvite):
        with pytest.raises(UnknownSession):
            command("nobody", now=bench.now)
    with pytest.raises(UnknownSession):
        bench.agent.dialog("nobody")


def test_commands_to_an_ended_session_do_nothing(bench: Any) -> None:
    session = bench.established()
    bench.agent.bye(session, now=bench.now)
    bench.take_sent()
    bench.take_events()
    bench.agent.bye(session, now=bench.now)
    bench.agent.cancel(session, now=bench.now)
    bench.agent.acknowledge(session, now=bench.now)
    bench.agent.reinvite(session, now=bench.now)
    bench.agent.respond(session, 200, now=bench.now)
    assert bench.take_sent() == []
    assert bench.take_events() == []
    with pytest.raises(WrongState):
        bench.agent.request(session, "INFO", now=bench.now)


def test_a_reinvite_in_a_session_that_is_not_ready(bench: Any) -> None:
    ringing, _ = bench.invite()
    for session in (ringing, bench.incoming()):
        assert not bench.agent.may_reinvite(session)
        with pytest.raises(WrongState):
            bench.agent.reinvite(session, now=bench.now)


def test_an_invite_by_way_of_a_route_with_a_call_id_of_our_choice(bench: Any) -> None:
    route = NameAddr(None, Uri.parse("sip:10.0.0.9:5070;lr;transport=tcp"))
    bench.agent.invite(
        target=Uri.parse("sip:bob@example.com;method=INVITE"),
        from_=NameAddr("Alice", Uri.parse("sip:alice@10.0.0.1")),
        to=NameAddr(None, Uri.parse("sip:bob@example.com")),
        route=[route],
        call_id="chosen",
        max_forwards=7,
        contact_params=(("+sip.src", None),),
        now=bench.now,
    )
    (transmit,) = bench.take_transmits()
    assert (transmit.destination.transport, transmit.destination.host, transmit.destination.port) == (
        Transport.TCP,
        "10.0.0.9",
        5070,
    )
    text = transmit.data.decode()
    assert text.startswith("INVITE sip:bob@example.com SIP/2.0\r\n")
    for line in (
        "Route: <sip:10.0.0.9:5070;lr;transport=tcp>",
        "Call-ID: chosen",
        "Max-Forwards: 7",
        "Contact: <sip:alice@10.0.0.1:5062;transport=tcp>;+sip.src",
    ):
        assert f"\r\n{line}\r\n" in text


def test_two_agents_with_the_same_seed_write_the_same_bytes(bench_with: Any) -> None:
    first, second = bench_with(), bench_with()
    assert first.invite()[1].to_bytes() == second.invite()[1].to_bytes()


def test_the_dialog_handed_out_is_a_copy(bench: Any) -> None:
    session = bench.established()
    bench.agent.dialog(session).next_seq()
    assert bench.agent.dialog(session).local_seq == 1


def test_a_session_is_found_by_its_dialog(bench: Any) -> None:
    session = bench.established()
    dialog = bench.agent.dialog(session)
    assert bench.agent.find_session(*dialog.id) == session
    assert bench.agent.find_session(dialog.call_id, "other", "bobs") is None
