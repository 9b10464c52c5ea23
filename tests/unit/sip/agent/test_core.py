"""Sessions and how they are found, kept and forgotten."""

from typing import Any

from sidestream.sip.message import parse_message
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr


def test_an_ended_session_is_kept_for_late_messages_and_then_forgotten(bench: Any) -> None:
    session = bench.established()
    bench.agent.bye(session, now=bench.now)
    bench.wait(31.9)
    assert bench.agent.live[0] == 1
    bench.wait(0.2)
    assert bench.agent.live == (0, 0)


def test_a_call_that_never_had_a_dialog_is_forgotten_too(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 404)
    bench.wait(33)
    assert bench.agent.live == (0, 0)


def test_early_dialogs_are_forgotten_with_their_session(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 183)
    bench.reply(request, 404)
    bench.wait(33)
    bench.take_sent()
    bench.request("INFO", to_tag=request.from_.tag, call_id=request.call_id)
    assert bench.take_sent()[0].status == 481


def test_strict_routes_are_followed(bench: Any) -> None:
    session, request = bench.invite()
    # The last Record-Route is the router next to us.
    routes = "Record-Route: <sip:10.0.0.8;lr>\r\nRecord-Route: <sip:10.0.0.9:5070>\r\n"
    bench.reply(request, 200, extra=routes + "Contact: <sip:bob@10.0.0.2>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    (transmit,) = bench.take_transmits()
    assert (transmit.destination.host, transmit.destination.port) == ("10.0.0.9", 5070)
    assert transmit.data.startswith(b"ACK sip:10.0.0.9:5070 SIP/2.0\r\n")
    assert b"\r\nRoute: <sip:10.0.0.8;lr>\r\nRoute: <sip:bob@10.0.0.2>\r\n" in transmit.data


BEHIND_NAT = Peer(Transport.UDP, "198.51.100.9", 40123, "udp")
CONNECTION = Peer(Transport.TCP, "198.51.100.9", 40124, "tcp")
PRIVATE = "Contact: <sip:bob@192.168.1.4>\r\n"


def test_a_phone_behind_a_nat_is_reached_where_it_registered_from_all_call_long(bench: Any) -> None:
    target = Uri.parse("sip:bob@192.168.1.4")
    session = bench.agent.invite(target=target, **party(bench), via=BEHIND_NAT)
    (transmit,) = bench.take_transmits()
    assert (transmit.destination, transmit.listener) == (BEHIND_NAT, "udp")
    assert transmit.data.startswith(b"INVITE sip:bob@192.168.1.4 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport")
    bench.reply(parse_message(transmit.data), 200, extra=PRIVATE)
    bench.agent.acknowledge(session, now=bench.now)
    bench.agent.bye(session, now=bench.now)
    ack, bye = bench.take_transmits()
    assert ack.destination == bye.destination == BEHIND_NAT
    assert ack.data.startswith(b"ACK sip:bob@192.168.1.4 SIP/2.0\r\n")


def test_large_requests_to_it_stay_on_udp(bench: Any) -> None:
    bench.agent.invite(target=Uri.parse("sip:bob@192.168.1.4"), **party(bench, size=1500), via=BEHIND_NAT)
    assert [transmit.destination for transmit in bench.take_transmits()] == [BEHIND_NAT]


def test_a_proxy_on_the_way_to_it_that_stays_there_is_heeded(bench: Any) -> None:
    session = bench.agent.invite(target=Uri.parse("sip:bob@192.168.1.4"), **party(bench), via=BEHIND_NAT)
    (request,) = bench.take_sent()
    bench.reply(request, 200, extra="Record-Route: <sip:10.0.0.9;lr>\r\n" + PRIVATE)
    bench.agent.acknowledge(session, now=bench.now)
    (ack,) = bench.take_transmits()
    assert ack.destination.host == "10.0.0.9"


def test_a_phone_is_called_by_the_connection_it_registered_by_and_at_its_address_once_that_is_gone(bench: Any) -> None:
    session = bench.agent.invite(target=Uri.parse("sip:bob@192.168.1.4;transport=tcp"), **party(bench), via=CONNECTION)
    (first,) = bench.take_transmits()
    assert first.destination == CONNECTION
    bench.agent.transport_failed(first.transmit_id, bench.now)
    (second,) = bench.take_transmits()
    assert second.destination == Destination(Transport.TCP, "192.168.1.4", 5060)
    bench.reply(parse_message(second.data), 200, extra="Contact: <sip:bob@192.168.1.4;transport=tcp>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    assert bench.take_transmits()[0].destination.host == "192.168.1.4"


def test_a_way_that_no_listener_serves_any_more_is_not_taken(bench_with: Any) -> None:
    bench = bench_with(listeners=(ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060),))
    bench.agent.invite(target=Uri.parse("sip:bob@10.0.0.2"), **party(bench), via=CONNECTION)
    assert bench.take_transmits()[0].destination.host == "10.0.0.2"


def party(bench: Any, size: int = 0) -> dict[str, Any]:
    alice, bob = (NameAddr(None, Uri.parse(f"sip:{name}@example.com")) for name in ("alice", "bob"))
    return {"from_": alice, "to": bob, "now": bench.now, "body": b"v" * size, "content_type": "application/sdp"}
