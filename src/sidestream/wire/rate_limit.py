"""How many requests one source may send: a token bucket an address."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

MAX_SOURCES = 16384  # remembered; the one heard longest ago is forgotten, with its debt
IPV6_SITE_BITS = 64  # RFC 4291 §2.5.4: whoever has one address has its whole /64

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class RateSettings:
    """`per_second` requests of one source in the long run (0: as many as come), `burst` at once.

    This machine itself and the networks in `exempt` may send as they like.
    """

    per_second: float = 0.0
    burst: int = 1
    exempt: tuple[Network, ...] = ()


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """The buckets of all sources."""

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._buckets: OrderedDict[str, _Bucket | None] = OrderedDict()  # None: may send as it likes

    def admit(self, host: str, now: float) -> bool:
        """Take a token of `host`; False if it has none, then the request is to be dropped."""
        bucket = self._bucket(host, now)
        if bucket is None:
            return True
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def charge(self, host: str, now: float) -> float:
        """Take a token of `host` even if it has none; returns the seconds until its debt is paid."""
        bucket = self._bucket(host, now)
        if bucket is None:
            return 0.0
        bucket.tokens -= 1
        return max(0.0, -bucket.tokens / self._settings.per_second)

    def _bucket(self, host: str, now: float) -> _Bucket | None:
        settings = self._settings
        if not settings.per_second:
            return None
        source = site_of(host)
        if source in self._buckets:
            self._buckets.move_to_end(source)
            bucket = self._buckets[source]
        else:
            if len(self._buckets) >= MAX_SOURCES:
                self._buckets.popitem(last=False)
            free = is_within(host, settings.exempt)
            bucket = self._buckets[source] = None if free else _Bucket(settings.burst, now)
        if bucket is not None:
            bucket.tokens = min(settings.burst, bucket.tokens + (now - bucket.filled_at) * settings.per_second)
            bucket.filled_at = now
        return bucket


def site_of(host: str) -> str:
    """What is counted as one source: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in host:
        return host
    return str(IPv6Network((int(IPv6Address(host.partition("%")[0])), IPV6_SITE_BITS), strict=False))


def is_within(host: str, networks: Iterable[Network]) -> bool:
    """Whether `host` is this machine or in one of `networks`."""
    address = ip_address(host.partition("%")[0])
    return address.is_loopback or any(address in network for network in networks)
