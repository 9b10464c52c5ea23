"""Peers behind a NAT that their own messages know nothing of."""

from ipaddress import IPv4Network, IPv6Network, ip_address

from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.agent.routing import is_literal
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.transport import Destination

# RFC 1918, RFC 6598, RFC 3927, RFC 4193 and RFC 4291 §2.5.6: addresses that mean nothing outside their own network.
_PRIVATE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")),
    *map(IPv6Network, ("fc00::/7", "fe80::/10")),
)


def observed_target(dialog: Dialog, source: Destination, *, nat: bool) -> Destination | None:
    """Where the peer of `dialog`, seen at `source`, has to be reached; None if its Contact is good or a proxy helps.

    A private address is good unless there may be a `nat` between; one of the peer's own machine or link never is,
    unless we are there as well.
    """
    contact = dialog.remote_target.address
    if dialog.route_set or contact == source.host:
        return None
    hidden = (nat and is_private(contact)) or (is_own_ground(contact) and not is_own_ground(source.host))
    return source if hidden else None


def is_private(host: str) -> bool:
    """Whether `host` is an address of a private network. A name is not."""
    if not is_literal(host):
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE)
