"""What a listener tells the world."""

import socket

import pytest

from sidestream.sip.transport import ListenerAddress, Transport
from sidestream.wire import listener as listeners
from sidestream.wire.listener import Listener, default_source
from sidestream.wire.resolver import is_literal


@pytest.mark.parametrize(
    ("host", "advertised", "shown"),
    [("127.0.0.1", None, "127.0.0.1"), ("0.0.0.0", "203.0.113.5", "203.0.113.5"), ("::1", None, "::1")],
)
def test_the_address_in_via_and_contact(host: str, advertised: str | None, shown: str) -> None:
    listener = Listener("l", Transport.UDP, host, 0, advertised, nat=True)
    assert listener.advertised(5060) == ListenerAddress("l", Transport.UDP, shown, 5060, host, True)


def test_a_wildcard_is_shown_as_a_real_address() -> None:
    shown = Listener("l", Transport.UDP, "0.0.0.0", 0).advertised(5060).host
    assert is_literal(shown)
    assert shown != "0.0.0.0"


def test_without_a_route_that_is_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(listeners._FAR_AWAY, socket.AF_INET, ("255.255.255.255", 9))  # refused without a permission
    assert default_source(socket.AF_INET) == "127.0.0.1"


@pytest.mark.parametrize(("host", "family"), [("10.0.0.1", socket.AF_INET), ("::", socket.AF_INET6)])
def test_the_family(host: str, family: socket.AddressFamily) -> None:
    assert Listener("l", Transport.UDP, host, 0).family is family
