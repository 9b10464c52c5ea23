"""Addresses that mean something only where they are used: on one machine, or on one link.

Somebody outside who names one, in a Contact, a redirection or a Refer-To, is wrong about itself, or wants us to speak
to what nobody outside can reach: a service of this machine, or of the cloud that it runs in.
"""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

REMEMBERED_HOSTS = 1024  # read once each
# RFC 1122 §3.2.1.3, RFC 3927, RFC 5771, RFC 1112 §4 and RFC 4291 §2.5, §2.7: this host, loopback, link-local,
# multicast, and what is no address of anybody.
_OWN: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")),
    *map(IPv6Network, ("::/127", "fe80::/10", "ff00::/8")),
)


@lru_cache(REMEMBERED_HOSTS)
def is_own_ground(host: str) -> bool:
    """Whether `host` is such an address. A name is not; what it leads to may be."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in _OWN)
