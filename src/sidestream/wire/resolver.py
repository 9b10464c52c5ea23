"""From a host name to an address, by the system's resolver. SRV and NAPTR (RFC 3263) have their place here."""

import asyncio
import functools
import socket

from sidestream.base.clock import Clock

CACHE_S = 30.0  # getaddrinfo tells no TTL; short enough to follow a fail-over, long enough for a request's copies
MAX_CACHED = 1024


class Resolver:
    """Resolves names once per `CACHE_S`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cache: dict[tuple[str, int], tuple[float, str]] = {}

    def known(self, host: str, family: socket.AddressFamily) -> str | None:
        """The address of `host` if no question is needed: a literal, or a name asked for lately."""
        if is_literal(host):
            return host
        cached = self._cache.get((host.lower(), family))
        if cached is None or cached[0] <= self._clock.monotonic():
            return None
        return cached[1]

    async def resolve(self, host: str, family: socket.AddressFamily) -> str:
        """The first address of `host` in `family`. Raises OSError when there is none."""
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
        address = str(found[0][4][0])
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[(host.lower(), family)] = (self._clock.monotonic() + CACHE_S, address)
        return address


@functools.lru_cache(maxsize=4096)
def is_literal(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
