"""The table of bindings: which contacts an address-of-record has now."""

from collections.abc import Iterable

from sidestream.registrar.binding import Binding


class Bindings:
    """Bindings by address-of-record. What has expired is as good as absent, and is forgotten on the way."""

    def __init__(self, limit: int) -> None:
        """`limit`: how many addresses-of-record may have bindings at once."""
        self._limit = limit
        self._by_aor: dict[str, tuple[Binding, ...]] = {}

    def of(self, aor: str, now: float) -> tuple[Binding, ...]:
        """The live bindings, the one registered last first."""
        return tuple(binding for binding in self._by_aor.get(aor, ()) if binding.expires_at > now)

    def put(self, aor: str, bindings: Iterable[Binding], now: float) -> bool:
        """Replace all bindings of `aor`, the newest first. False if there is no room for another address."""
        kept = tuple(bindings)
        if not kept:
            self._by_aor.pop(aor, None)
            return True
        if aor not in self._by_aor and len(self._by_aor) >= self._limit:
            self.forget_expired(now)
            if len(self._by_aor) >= self._limit:
                return False
        self._by_aor[aor] = kept
        return True

    def forget_expired(self, now: float) -> None:
        """Give back the room of addresses that have no live binding."""
        for aor in [aor for aor in self._by_aor if not self.of(aor, now)]:
            del self._by_aor[aor]

    def count(self, now: float) -> int:
        """How many addresses-of-record can be reached."""
        return sum(any(binding.expires_at > now for binding in bindings) for bindings in self._by_aor.values())
