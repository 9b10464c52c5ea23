"""Targets that failed a moment ago: tried last while there is another one (RFC 3263 §4.3)."""

from collections.abc import Sequence

from sidestream.sip.agent.routing import Hop
from sidestream.sip.transport import Destination

BLOCK_S = 30.0  # long enough to spare the next calls the wait, short enough to notice a restart
LONGEST_BLOCK_S = 300.0  # of what a Retry-After may ask for (RFC 3261 §21.5.4)
MAX_BLOCKED = 1024  # the oldest is forgotten


class Blocklist:
    """Remembers failures. It never forbids a target: with nothing better left, a failed one is tried again."""

    def __init__(self) -> None:
        self._until: dict[Destination, float] = {}

    def block(self, target: Destination, now: float, seconds: float = BLOCK_S) -> None:
        """Note that `target` failed."""
        self._until.pop(target, None)
        if len(self._until) >= MAX_BLOCKED:
            del self._until[next(iter(self._until))]
        self._until[target] = now + min(seconds, LONGEST_BLOCK_S)

    def order(self, hops: Sequence[Hop], now: float) -> list[Hop]:
        """`hops` as they are, but those to blocked targets last."""
        for target in [target for target, until in self._until.items() if until <= now]:
            del self._until[target]
        return sorted(hops, key=lambda hop: hop.target in self._until)
