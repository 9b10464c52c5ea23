"""Finding the servers of a host name: questions out, targets in (RFC 3263)."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidestream.sip.agent.blocklist import Blocklist
from sidestream.sip.agent.routing import Hop, Routing, Search
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination

NO_SERVER = "the name leads to no server that we can speak to"


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question to the wire, which answers by `Agent.located(id, …)`."""

    id: str
    question: Question


Found = Callable[[list[Hop], str, float], None]  # hops, or none and the reason; then the time


class Searches:
    """The searches under way, and the targets that are better tried last."""

    def __init__(self, routing: Routing) -> None:
        self.blocklist = Blocklist()
        self._routing = routing
        self._asked: deque[Lookup] = deque()
        self._waiting: dict[str, tuple[Search, Found]] = {}
        self._count = 0

    def start(self, search: Search, found: Found) -> None:
        """Ask the wire; `found` is called once, with what it says."""
        self._count += 1
        lookup = Lookup(str(self._count), search.question)
        self._waiting[lookup.id] = (search, found)
        self._asked.append(lookup)

    def poll(self) -> Lookup | None:
        return self._asked.popleft() if self._asked else None

    def answer(self, lookup_id: str, targets: Sequence[Destination], now: float, reason: str = "") -> None:
        """The wire's answer; a second one to the same question is dropped."""
        waiting = self._waiting.pop(lookup_id, None)
        if waiting is not None:
            search, found = waiting
            hops = self.blocklist.order(self._routing.hops(targets, search.preferred), now)
            found(hops, reason or NO_SERVER, now)
