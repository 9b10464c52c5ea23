"""How often one source may guess wrong."""

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network

GUESSES = (
    20  # wrong answers that a source may give in a window: an office of phones behind one NAT may be misconfigured
)
WINDOW = 60.0  # seconds
MAX_SOURCES = 10_000  # remembered at once; the one that was quiet longest is forgotten first

_V6_SITE = 64  # bits; one machine has that many addresses to itself (RFC 4291 §2.5.4)


class Lockout:
    """Wrong answers by source address, within a sliding window."""

    def __init__(self, guesses: int = GUESSES, window: float = WINDOW, sources: int = MAX_SOURCES) -> None:
        self._guesses = guesses
        self._window = window
        self._limit = sources
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def is_out(self, source: str, now: float) -> bool:
        """Whether the source has used up its guesses for now."""
        failures = self._failures.get(_site(source))
        return failures is not None and len(failures) == self._guesses and now - failures[0] < self._window

    def fail(self, source: str, now: float) -> bool:
        """Count a wrong answer; True if it was the one that locks the source out."""
        site = _site(source)
        failures = self._failures.setdefault(site, deque(maxlen=self._guesses))
        self._failures.move_to_end(site)
        failures.append(now)
        if len(self._failures) > self._limit:
            self._failures.popitem(last=False)
        return self.is_out(source, now)


def _site(source: str) -> str:
    address = ip_address(source)
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _V6_SITE), strict=False))
