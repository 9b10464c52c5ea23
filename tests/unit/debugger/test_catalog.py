"""The table of codes is complete and sound."""

import pytest

from sidestream.debugger.alert import Level
from sidestream.debugger.catalog import CATALOG, FAMILIES, UnknownCode, entry

# Every code that the contract with applications names for a case of its own.
CONTRACT = (31940, 31941, 31942, 20001, 31960, 21205, 21209, 21220, 20404, 20003, 20004, 20429)
WARNINGS = (12200, 13223, 13243, 13252, 13253, 13254, 13910, 15003, 20001, 31931, 31953, 32011, 32019, 32110, 32111)


@pytest.mark.parametrize("code", CONTRACT)
def test_every_code_of_the_contract_is_in_the_catalogue(code: int) -> None:
    assert entry(code).code == code


@pytest.mark.parametrize("code", WARNINGS)
def test_what_does_not_stop_anything_is_a_warning(code: int) -> None:
    assert entry(code).level is Level.WARNING


def test_every_entry_is_filled_in_and_stands_once() -> None:
    entries = [e for _, family in FAMILIES for e in family]
    assert len(entries) == len(CATALOG)
    for e in entries:
        assert e.title
        assert not e.title.endswith(".")
        assert e.meaning.endswith("."), e.code
        assert e.action.endswith("."), e.code
        assert 10000 <= e.code <= 99999


def test_the_catalogue_is_in_order() -> None:
    assert list(CATALOG) == sorted(CATALOG)


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(UnknownCode, match="the catalogue has no code 99999"):
        entry(99999)
