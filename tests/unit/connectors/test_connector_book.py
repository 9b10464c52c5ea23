"""Which connector a name means."""

import pytest

from sidestream.connectors.connector import Connector, make_connector
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.connectors.srs_uri import ConnectorError


def connector(name: str, account_sid: str | None = None, user: str = "srs") -> Connector:
    return make_connector(name, account_sid, (f"sip:{user}@127.0.0.1",))


SHARED = connector("Default")
OWN = connector("Default", "AC1", "own")
LOWER = connector("default", "AC1")
OTHER = connector("Other", "AC2")
BOOK = ConnectorBook((SHARED, OWN, LOWER, OTHER))


@pytest.mark.parametrize("name", [None, "", "Default"])
def test_no_name_means_default_and_the_accounts_own_comes_first(name: str | None) -> None:
    assert BOOK.find("AC1", name) is OWN
    assert BOOK.find("AC2", name) is SHARED


def test_names_are_case_sensitive_and_belong_to_their_account() -> None:
    assert BOOK.find("AC1", "default") is LOWER
    assert BOOK.find("AC2", "default") is None
    assert BOOK.find("AC1", "Other") is None
    assert BOOK.find("AC2", "Other") is OTHER


def test_an_account_sees_what_it_can_use() -> None:
    assert BOOK.usable("AC1") == [OWN, LOWER]
    assert BOOK.usable("AC2") == [SHARED, OTHER]
    assert ConnectorBook().usable("AC1") == []


def test_a_name_is_given_once() -> None:
    with pytest.raises(ConnectorError) as caught:
        ConnectorBook((SHARED, connector("Default", user="x")))
    assert (caught.value.code, caught.value.part) == (31942, "name")


def test_a_book_can_become_another_one() -> None:
    book = ConnectorBook()
    book.become(ConnectorBook([make_connector("a", None, ("sip:a",))]))
    assert book.find("AC1", "a") is not None
