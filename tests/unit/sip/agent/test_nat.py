"""Whose Contact leads nowhere."""

import pytest

from sidestream.sip.agent.nat import is_private, observed_target
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.transport import Destination, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

SOURCE = Destination(Transport.UDP, "203.0.113.7", 40000)
ANYBODY = NameAddr(None, Uri.parse("sip:a@example.com"))


def dialog(contact: str, *routes: str) -> Dialog:
    route_set = tuple(NameAddr(None, Uri.parse(route)) for route in routes)
    return Dialog("c", ANYBODY, ANYBODY, 1, 1, Uri.parse(contact), route_set, True)


@pytest.mark.parametrize(
    ("contact", "routes", "with_nat", "without"),
    [
        ("sip:a@192.168.1.5", (), SOURCE, None),
        ("sip:a@[fd00::5]:5070", (), SOURCE, None),
        ("sip:a@198.51.100.4", (), None, None),
        ("sip:a@203.0.113.7", (), None, None),
        ("sip:a@phone.lan", (), None, None),
        ("sip:a@192.168.1.5", ("sip:203.0.113.7;lr",), None, None),
        ("sip:a@127.0.1.1", (), SOURCE, SOURCE),
        ("sip:a@127.0.1.1", ("sip:203.0.113.7;lr",), None, None),
    ],
)
def test_where_the_peer_is_to_be_reached(
    contact: str, routes: tuple[str, ...], with_nat: object, without: object
) -> None:
    assert observed_target(dialog(contact, *routes), SOURCE, nat=True) == with_nat
    assert observed_target(dialog(contact, *routes), SOURCE, nat=False) == without


def test_who_is_on_our_own_machine_may_name_it() -> None:
    here = Destination(Transport.UDP, "127.0.0.1", 5060)
    assert observed_target(dialog("sip:a@127.0.1.1"), here, nat=False) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("10.1.2.3", "172.31.0.1", "100.64.0.1", "169.254.1.1", "fe80::1", "fc00::1")],
        *[(host, False) for host in ("8.8.8.8", "172.32.0.1", "127.0.0.1", "2001:db8::1", "999.1.1.1", "ten")],
    ],
)
def test_private_addresses(host: str, expected: bool) -> None:
    assert is_private(host) is expected
