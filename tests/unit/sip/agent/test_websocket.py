"""Peers that have come by a WebSocket (RFC 7118): reached by it, and by nothing else."""

from typing import Any

import pytest

from sidestream.sip.agent.events import EndCause, SessionEnded
from sidestream.sip.transaction.layer import default_port
from sidestream.sip.transport import ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr, Via

LISTENERS = (
    ListenerAddress("udp", Transport.UDP, "10.0.0.1", 5060),
    ListenerAddress("wss", Transport.WSS, "10.0.0.1", 443),
)
PAGE = Peer(Transport.WSS, "198.51.100.9", 40000, "wss")
AGAIN = Peer(Transport.WSS, "198.51.100.9", 40001, "wss")
CONTACT = "<sip:bob@df7jal23ls0d.invalid;transport=ws>"


@pytest.fixture
def page(bench_with: Any) -> Any:
    return bench_with(listeners=LISTENERS)


@pytest.mark.parametrize("extra", ["", "Record-Route: <sip:df7jal23ls0d.invalid;transport=ws;lr>\r\n"])
def test_requests_in_its_call_go_by_its_connection(page: Any, extra: str) -> None:
    via = "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKw, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKv"
    session = page.answered(peer=PAGE, via=via, contact=CONTACT, extra=extra + "Content-Type: application/sdp\r\n")
    page.agent.bye(session, now=page.now)
    (bye,) = page.take_transmits()
    assert bye.destination == PAGE
    assert b"\r\nVia: SIP/2.0/WSS 10.0.0.1:443;branch=" in bye.data


def test_answers_go_by_it_or_nowhere(page: Any) -> None:
    page.request("OPTIONS", peer=PAGE, via="SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKw")
    (answer,) = page.take_transmits()
    assert answer.destination == PAGE
    page.agent.transport_failed(answer.transmit_id, page.now)
    assert page.take_transmits() == []


def test_a_registered_page_is_called_by_it(page: Any) -> None:
    target = Uri.parse("sip:bob@df7jal23ls0d.invalid;transport=ws")
    alice, bob = (NameAddr(None, Uri.parse(f"sip:{name}@example.com")) for name in ("alice", "bob"))
    session = page.agent.invite(target=target, from_=alice, to=bob, via=PAGE, now=page.now)
    (invite,) = page.take_transmits()
    assert invite.destination == PAGE
    assert b"\r\nContact: <sip:alice@10.0.0.1:443;transport=ws>\r\n" in invite.data
    page.agent.transport_failed(invite.transmit_id, page.now)
    assert page.take_events()[-1] == SessionEnded(session, EndCause.FAILED), "there is no other way"


def test_a_call_goes_on_by_the_connection_that_comes_after_it(page: Any) -> None:
    session = page.answered(peer=PAGE, contact=CONTACT)
    page.inside(session, "UPDATE", 2, peer=AGAIN, contact=CONTACT)
    page.take_sent()
    page.agent.bye(session, now=page.now)
    assert [transmit.destination for transmit in page.take_transmits()] == [AGAIN]


def test_nothing_else_leads_there(page: Any) -> None:
    session, sent = page.invite(target=Uri.parse("sip:bob@10.0.0.2;transport=ws"))
    assert sent is None
    assert page.take_events()[-1] == SessionEnded(session, EndCause.FAILED)


def test_its_call_is_not_changed_by_less(page: Any) -> None:
    session = page.answered(peer=PAGE, contact=CONTACT)
    page.inside(session, "BYE", 2, peer=Peer(Transport.UDP, PAGE.host, 5060, "udp"))
    assert page.take_sent()[0].status == 403


@pytest.mark.parametrize(("transport", "port"), [("WS", 80), ("wss", 443), ("TLS", 5061), ("SCTP", 5060)])
def test_the_port_that_a_via_does_not_name(transport: str, port: int) -> None:
    assert default_port(Via.parse(f"SIP/2.0/{transport} h;branch=z9hG4bKx")) == port
