"""Whether a contact's own address will do."""

import pytest

from sidestream.registrar.binding import way_to
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import Via

SOURCE = Peer(Transport.UDP, "198.51.100.9", 40123, "udp")


@pytest.mark.parametrize(
    ("contact", "via", "is_direct"),
    [
        ("sip:bob@192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4;rport", False),
        ("sip:bob@192.0.2.4:5060", "SIP/2.0/UDP 192.0.2.4", False),
        ("sip:bob@phone.example", "SIP/2.0/UDP phone.example", False),
        ("sip:bob@198.51.100.9:5060", "SIP/2.0/UDP 198.51.100.9;rport", False),
        # It sends from one port and listens at another, and does not say otherwise.
        ("sip:bob@198.51.100.9:5060", "SIP/2.0/UDP 198.51.100.9", True),
    ],
)
def test_a_phone_is_called_where_its_register_came_from_unless_it_says_that_this_will_not_do(contact, via, is_direct):
    assert way_to(Uri.parse(contact), Via.parse(via), SOURCE) == (None if is_direct else SOURCE)


def test_a_phone_at_the_end_of_a_connection_is_called_by_that_connection():
    connection = Peer(Transport.TCP, "192.0.2.4", 50001, "tcp")
    via = Via.parse("SIP/2.0/TCP 192.0.2.4")
    assert way_to(Uri.parse("sip:bob@192.0.2.4;transport=tcp"), via, connection) == connection
