"""Where else to call after a 3xx (RFC 3261 §8.1.3.4): each place once, in the order that the answers wish."""

from collections.abc import Iterable

from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

DEFAULT_Q = 1.0  # RFC 3261 §20.10 leaves a Contact without q open; one that nobody ranked is as good as the best


class Redirects:
    """At most `limit` further places to call besides `first`; 0 follows none."""

    def __init__(self, limit: int, first: Uri) -> None:
        self._left = limit
        self._known = {str(first)}
        self._waiting: list[Uri] = []

    def take(self, contacts: Iterable[NameAddr]) -> None:
        """The contacts of a 3xx; they come before those of the one before, for they are closer to the callee."""
        fresh = []
        for contact in sorted(contacts, key=_q, reverse=True):
            # Only sip: a tel URI would need a trunk, and sips would promise what we cannot keep.
            if contact.uri.scheme == "sip" and str(contact.uri) not in self._known:
                self._known.add(str(contact.uri))
                fresh.append(contact.uri)
        self._waiting[:0] = fresh

    def next(self) -> Uri | None:
        """The next place to call, or None."""
        if not self._left or not self._waiting:
            return None
        self._left -= 1
        return self._waiting.pop(0)


def _q(contact: NameAddr) -> float:
    try:
        return float(contact.param("q") or DEFAULT_Q)
    except ValueError:
        return 0.0
