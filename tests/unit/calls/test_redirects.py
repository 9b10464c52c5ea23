"""The places that 3xx answers name."""

import pytest

from sidestream.calls.redirects import Redirects
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

FIRST = Uri.parse("sip:b@192.0.2.1")


def contacts(*texts):
    return [NameAddr.parse(text) for text in texts]


def all_of(redirects):
    found = []
    while (uri := redirects.next()) is not None:
        found.append(str(uri))
    return found


def test_best_first_and_equal_ones_in_order():
    redirects = Redirects(5, FIRST)
    redirects.take(contacts("<sip:c@x>;q=0.2", "<sip:d@x>", "<sip:e@x>;q=1.0", "<sip:f@x>;q=high"))
    assert all_of(redirects) == ["sip:d@x", "sip:e@x", "sip:c@x", "sip:f@x"]


def test_each_place_once():
    redirects = Redirects(5, FIRST)
    redirects.take(contacts("<sip:b@192.0.2.1>", "<sip:c@x>", "<sip:c@x>"))
    redirects.take(contacts("<sip:c@x>"))
    assert all_of(redirects) == ["sip:c@x"]


def test_places_of_a_later_answer_come_first():
    redirects = Redirects(5, FIRST)
    redirects.take(contacts("<sip:c@x>", "<sip:d@x>"))
    assert str(redirects.next()) == "sip:c@x"
    redirects.take(contacts("<sip:e@x>"))
    assert all_of(redirects) == ["sip:e@x", "sip:d@x"]


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (3, 3), (9, 4)])
def test_no_more_than_the_limit(limit, count):
    redirects = Redirects(limit, FIRST)
    redirects.take(contacts("<sip:c@x>", "<sip:d@x>", "<sip:e@x>", "<sip:f@x>"))
    assert len(all_of(redirects)) == count


@pytest.mark.parametrize("uri", ["tel:+15550100", "sips:c@x", "mailto:a@b"])
def test_only_sip(uri):
    redirects = Redirects(5, FIRST)
    redirects.take(contacts(f"<{uri}>"))
    assert all_of(redirects) == []
