"""The words shared with the wire."""

from sidestream.sip.transport import Transport


def test_only_udp_needs_retransmission() -> None:
    assert not Transport.UDP.reliable
    assert Transport.TCP.reliable


def test_transports_are_spelt_as_in_via() -> None:
    assert f"SIP/2.0/{Transport.TCP}" == "SIP/2.0/TCP"
