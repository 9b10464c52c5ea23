"""The words shared with the wire."""

from sidestream.sip.transport import Destination, ListenerAddress, Transport


def test_only_udp_needs_retransmission() -> None:
    assert not Transport.UDP.reliable
    assert Transport.TCP.reliable


def test_transports_are_spelt_as_in_via() -> None:
    assert f"SIP/2.0/{Transport.TCP}" == "SIP/2.0/TCP"


def test_each_transport_has_its_port() -> None:
    assert [transport.default_port for transport in Transport] == [5060, 5060, 5061, 80, 443]


def test_websocket_is_opened_by_the_peer_and_has_one_name_in_uris() -> None:
    assert [t for t in Transport if not t.can_be_opened] == [Transport.WS, Transport.WSS]
    assert [t for t in Transport if t.secure] == [Transport.TLS, Transport.WSS]
    assert [t.param for t in Transport] == ["udp", "tcp", "tls", "ws", "ws"]


def test_the_family_is_that_of_the_socket() -> None:
    assert Destination(Transport.UDP, "::1", 5060).is_ipv6
    assert not Destination(Transport.UDP, "127.0.0.1", 5060).is_ipv6
    assert ListenerAddress("l", Transport.UDP, "sip.example.com", 5060, "::").is_ipv6
    assert not ListenerAddress("l", Transport.UDP, "sip.example.com", 5060, "0.0.0.0").is_ipv6
    assert ListenerAddress("l", Transport.UDP, "::1", 5060).is_ipv6
