"""Questions out, hops in."""

from sidestream.sip.agent.routing import Hop, Routing, Search
from sidestream.sip.agent.searching import NO_SERVER, Lookup, Searches
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, ListenerAddress, Transport

LISTENER = ListenerAddress("l", Transport.UDP, "10.0.0.1", 5060)
ONE, TWO = (Destination(Transport.UDP, f"10.0.0.{n}", 5060) for n in (2, 3))
QUESTION = Question("example.com")


def test_the_answer_reaches_who_asked_once_and_in_order() -> None:
    searches = Searches(Routing((LISTENER,)))
    found: list[object] = []
    searches.start(Search(QUESTION, ""), lambda *answer: found.append(answer))
    lookup = searches.poll()
    assert isinstance(lookup, Lookup)
    assert lookup.question == QUESTION
    assert searches.poll() is None
    searches.blocklist.block(ONE, 0.0)
    searches.answer(lookup.id, (ONE, TWO), 1.0)
    searches.answer(lookup.id, (ONE,), 2.0)
    assert found == [([Hop(TWO, LISTENER), Hop(ONE, LISTENER)], NO_SERVER, 1.0)]


def test_no_answer_has_a_reason() -> None:
    searches = Searches(Routing((LISTENER,)))
    found: list[object] = []
    for reason in ("", "no DNS server answers"):
        searches.start(Search(QUESTION, ""), lambda *answer: found.append(answer))
        lookup = searches.poll()
        assert lookup is not None
        searches.answer(lookup.id, (), 1.0, reason)
    assert found == [([], NO_SERVER, 1.0), ([], "no DNS server answers", 1.0)]
