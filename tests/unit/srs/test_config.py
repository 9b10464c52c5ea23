from sidestream.sip.transport import Transport
from sidestream.srs.config import default_listeners


def test_udp_and_tcp_share_a_port() -> None:
    udp, tcp = default_listeners("192.0.2.1", 5999)
    assert (udp.transport, tcp.transport) == (Transport.UDP, Transport.TCP)
    assert (udp.host, udp.port) == (tcp.host, tcp.port) == ("192.0.2.1", 5999)
    assert udp.name != tcp.name
