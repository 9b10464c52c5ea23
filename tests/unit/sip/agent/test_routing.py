"""Hops: RFC 3261 §8.1.2, §18.1.1."""

from typing import Any

import pytest

from sidestream.sip.agent.routing import Hop, Routing, next_uri
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

FIRST = ListenerAddress("first", Transport.UDP, "10.0.0.1", 5060)
SECOND = ListenerAddress("second", Transport.UDP, "10.1.0.1", 5060)
STREAM = ListenerAddress("stream", Transport.TCP, "10.0.0.1", 5060)
ROUTING = Routing((FIRST, SECOND, STREAM))


def hop(uri: str, usual: Transport = Transport.UDP, preferred: str = "") -> Any:
    return ROUTING.hop(Uri.parse(uri), usual=usual, preferred=preferred)


@pytest.mark.parametrize(
    ("uri", "usual", "expected"),
    [
        ("sip:b@10.0.0.2", Transport.UDP, (Transport.UDP, "10.0.0.2", 5060)),
        ("sip:b@10.0.0.2:5070", Transport.TCP, (Transport.TCP, "10.0.0.2", 5070)),
        ("sip:b@10.0.0.2;transport=tcp", Transport.UDP, (Transport.TCP, "10.0.0.2", 5060)),
        ("sip:b@10.0.0.2;transport=UDP", Transport.TCP, (Transport.UDP, "10.0.0.2", 5060)),
        ("sip:b@example.com;maddr=10.0.0.9", Transport.UDP, (Transport.UDP, "10.0.0.9", 5060)),
        ("sip:b@[2001:db8::2]:5061", Transport.UDP, (Transport.UDP, "2001:db8::2", 5061)),
    ],
)
def test_the_hop_to_a_uri(uri: str, usual: Transport, expected: tuple[Transport, str, int]) -> None:
    assert hop(uri, usual).target == Destination(*expected)


@pytest.mark.parametrize("uri", ["sips:b@10.0.0.2", "tel:+15551234567", "sip:b@10.0.0.2;transport=tls"])
def test_what_we_do_not_speak_has_no_hop(uri: str) -> None:
    assert hop(uri) is None


def test_a_transport_without_a_listener_has_no_hop() -> None:
    routing = Routing((FIRST,))
    assert routing.hop(Uri.parse("sip:b@10.0.0.2;transport=tcp"), usual=Transport.UDP) is None


def test_the_preferred_listener_is_taken_if_it_speaks_the_transport() -> None:
    assert hop("sip:b@10.0.0.2").listener == FIRST
    assert hop("sip:b@10.0.0.2", preferred="second").listener == SECOND
    assert hop("sip:b@10.0.0.2;transport=tcp", preferred="second").listener == STREAM


def test_the_way_for_large_requests() -> None:
    small = hop("sip:b@10.0.0.2")
    assert ROUTING.larger(small) == Hop(Destination(Transport.TCP, "10.0.0.2", 5060), STREAM)
    assert ROUTING.larger(Hop(small.target, FIRST, settled=True)) is None
    assert ROUTING.larger(Hop(Peer(Transport.TCP, "10.0.0.2", 4, "stream"), STREAM)) is None
    assert Routing((FIRST,)).larger(small) is None


def test_a_route_comes_before_the_target() -> None:
    target = Uri.parse("sip:b@10.0.0.2")
    loose, strict = (NameAddr(None, Uri.parse(text)) for text in ("sip:p;lr", "sip:p"))
    assert next_uri(target, ()) == target
    assert next_uri(target, (loose, strict)) == loose.uri
    assert next_uri(target, (strict, loose)) == strict.uri
