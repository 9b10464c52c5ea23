"""The table of codes is complete and sound."""

import ast
from pathlib import Path

import pytest

import sidestream
from sidestream.debugger.alert import Level
from sidestream.debugger.catalog import CATALOG, FAMILIES, UnknownCode, entry

# Every code that the contract with applications names for a case of its own.
CONTRACT = (31940, 31941, 31942, 20001, 31960, 21205, 21209, 21220, 20404, 20003, 20004, 20429)
WARNINGS = (
    12200,
    13223,
    13243,
    13252,
    13253,
    13254,
    13910,
    15003,
    20001,
    31931,
    31953,
    32011,
    32019,
    32110,
    32111,
    32212,
)


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


RAISERS = ("report", "Refusal", "FetchError", "ConnectorError", "_Unusable")


def _codes_raised(source: str) -> set[int]:
    """Codes handed to one of RAISERS, as a number or by the name of a constant of the module."""
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    codes: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in RAISERS:
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                name = argument.id if isinstance(argument, ast.Name) else ""
                value = argument.value if isinstance(argument, ast.Constant) else constants.get(name)
                if isinstance(value, int) and value >= 10000:
                    codes.add(value)
    return codes


def test_every_code_that_the_program_raises_is_in_the_catalogue() -> None:
    root = Path(sidestream.__file__).parent
    raised = {
        code: path.relative_to(root)
        for path in root.rglob("*.py")
        for code in _codes_raised(path.read_text(encoding="utf-8"))
    }
    assert len(raised) > 10
    assert {code: path for code, path in raised.items() if code not in CATALOG} == {}
