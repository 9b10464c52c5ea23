"""Hops: RFC 3261 §8.1.2, §18.1.1; what RFC 3263 §4 says about URIs that need no DNS."""

from typing import Any

import pytest

from sidestream.sip.agent.routing import Hop, Routing, Search, is_literal, next_uri
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

FIRST = ListenerAddress("first", Transport.UDP, "10.0.0.1", 5060)
SECOND = ListenerAddress("second", Transport.UDP, "10.1.0.1", 5060, nat=True)
STREAM = ListenerAddress("stream", Transport.TCP, "10.0.0.1", 5060)
SECURE = ListenerAddress("secure", Transport.TLS, "10.0.0.1", 5061)
SIX = ListenerAddress("six", Transport.UDP, "sip.example.com", 5060, bound="2001:db8::1")
ROUTING = Routing((FIRST, SECOND, STREAM, SECURE, SIX))
PLAIN = Routing((FIRST,))


def way(uri: str, usual: Transport = Transport.UDP, preferred: str = "", routing: Routing = ROUTING) -> Any:
    return routing.way(Uri.parse(uri), usual=usual, preferred=preferred)


@pytest.mark.parametrize(
    ("uri", "usual", "expected"),
    [
        ("sip:b@10.0.0.2", Transport.UDP, (Transport.UDP, "10.0.0.2", 5060)),
        ("sip:b@10.0.0.2:5070", Transport.TCP, (Transport.TCP, "10.0.0.2", 5070)),
        ("sip:b@10.0.0.2;transport=tcp", Transport.UDP, (Transport.TCP, "10.0.0.2", 5060)),
        ("sip:b@10.0.0.2;transport=UDP", Transport.TCP, (Transport.UDP, "10.0.0.2", 5060)),
        ("sip:b@example.com;maddr=10.0.0.9", Transport.UDP, (Transport.UDP, "10.0.0.9", 5060)),
        ("sip:b@[2001:db8::2]:5061", Transport.UDP, (Transport.UDP, "2001:db8::2", 5061)),
        ("sips:b@10.0.0.2", Transport.UDP, (Transport.TLS, "10.0.0.2", 5061)),
        ("sips:b@10.0.0.2:5070;transport=tcp", Transport.UDP, (Transport.TLS, "10.0.0.2", 5070)),
        ("sip:b@10.0.0.2;transport=tls", Transport.UDP, (Transport.TLS, "10.0.0.2", 5061)),
    ],
)
def test_the_way_to_an_address(uri: str, usual: Transport, expected: tuple[Transport, str, int]) -> None:
    assert way(uri, usual).target == Destination(*expected)


@pytest.mark.parametrize(
    ("uri", "usual", "expected"),
    [
        ("sip:b@example.com", Transport.UDP, Question("example.com")),
        ("sip:b@example.com:5070", Transport.UDP, Question("example.com", 5070)),
        ("sip:b@example.com;transport=tcp", Transport.UDP, Question("example.com", None, Transport.TCP)),
        ("sip:b@example.com", Transport.TLS, Question("example.com", None, Transport.TLS)),
        ("sips:b@example.com", Transport.TCP, Question("example.com", secure=True)),
        ("sips:b@example.com;transport=tcp", Transport.UDP, Question("example.com", None, Transport.TCP, True)),
    ],
)
def test_a_name_has_to_be_searched(uri: str, usual: Transport, expected: Question) -> None:
    assert way(uri, usual, "second") == Search(expected, "second")


@pytest.mark.parametrize("uri", ["tel:+15551234567", "sip:b@10.0.0.2;transport=sctp", "sips:b@10.0.0.2;transport=udp"])
def test_what_nobody_speaks_has_no_way(uri: str) -> None:
    assert way(uri) is None


@pytest.mark.parametrize(
    "uri", ["sip:b@10.0.0.2;transport=tcp", "sips:b@10.0.0.2", "sips:b@example.com", "sip:b@example.com;transport=tls"]
)
def test_a_transport_without_a_listener_has_no_way(uri: str) -> None:
    assert way(uri, routing=PLAIN) is None


def test_an_address_family_without_a_listener_has_no_way() -> None:
    assert way("sip:b@[2001:db8::2];transport=tcp") is None
    assert way("sip:b@[2001:db8::2]", routing=PLAIN) is None


def test_the_preferred_listener_is_taken_if_it_speaks_transport_and_family() -> None:
    assert way("sip:b@10.0.0.2").listener == FIRST
    assert way("sip:b@10.0.0.2", preferred="second").listener == SECOND
    assert way("sip:b@10.0.0.2;transport=tcp", preferred="second").listener == STREAM
    assert way("sip:b@[2001:db8::2]", preferred="second").listener == SIX
    assert ROUTING.listener(Transport.UDP, "second") == SECOND
    assert ROUTING.listener(Transport.TCP, "second") == STREAM


def test_targets_that_no_listener_reaches_are_left_out() -> None:
    four, six = (Destination(Transport.TCP, host, 5060) for host in ("10.0.0.2", "2001:db8::2"))
    assert ROUTING.hops((six, four)) == [Hop(four, STREAM)]


def test_the_way_back() -> None:
    peer = Peer(Transport.TCP, "10.0.0.2", 4, "stream")
    assert ROUTING.back(peer) == Hop(peer, STREAM)
    assert PLAIN.back(peer) is None


def test_who_expects_nat() -> None:
    assert ROUTING.has_nat("second")
    assert not ROUTING.has_nat("first")
    assert not ROUTING.has_nat("nobody")


def test_the_way_for_large_requests() -> None:
    small = way("sip:b@10.0.0.2")
    assert ROUTING.larger(small) == Hop(Destination(Transport.TCP, "10.0.0.2", 5060), STREAM)
    assert ROUTING.larger(Hop(small.target, FIRST, settled=True)) is None
    assert ROUTING.larger(Hop(Peer(Transport.UDP, "10.0.0.2", 4, "first"), FIRST)) is None
    assert ROUTING.larger(Hop(Destination(Transport.TLS, "10.0.0.2", 5061), SECURE)) is None
    assert PLAIN.larger(small) is None


def test_a_route_comes_before_the_target() -> None:
    target = Uri.parse("sip:b@10.0.0.2")
    loose, strict = (NameAddr(None, Uri.parse(text)) for text in ("sip:p;lr", "sip:p"))
    assert next_uri(target, ()) == target
    assert next_uri(target, (loose, strict)) == loose.uri
    assert next_uri(target, (strict, loose)) == strict.uri


@pytest.mark.parametrize(
    ("host", "expected"), [("10.0.0.1", True), ("::1", True), ("srv1", False), ("a.b2", False), ("1.example", False)]
)
def test_addresses_and_names(host: str, expected: bool) -> None:
    assert is_literal(host) is expected
