"""The page on conformance: what it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "project" / "conformance.md"
BASES = ("src/sidestream", "tests", "crates")
_PATH = re.compile(r"`([\w./-]+(?:\.(?:py|rs|toml|xml)|/[\w-]*))`")


def _known() -> frozenset[str]:
    """Every file and folder of ours, with a slash before each part of its path."""
    found = {f"/{base}" for base in BASES}
    for base in BASES:
        for path in (ROOT / base).rglob("*"):
            if "__pycache__" not in path.parts and "target" not in path.parts:
                found.add(f"/{path.relative_to(ROOT).as_posix()}")
    return frozenset(found)


KNOWN = _known()
NAMED = sorted(set(_PATH.findall(PAGE.read_text(encoding="utf-8"))) - {"src/sidestream"})


def _rows() -> list[list[str]]:
    """The cells of each row of a table, without heads and rules."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "section" and not row[0].startswith("-")]


def test_the_page_names_files() -> None:
    assert len(NAMED) > 80
    assert any(name.startswith("unit/") for name in NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_is_there(name: str) -> None:
    assert any(path.endswith("/" + name.rstrip("/")) for path in KNOWN)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[1][:40] if isinstance(row, list) else None)
def test_every_row_says_where_and_by_what(row: list[str]) -> None:
    assert len(row) == 4
    _, what, _, proof = row
    assert what
    assert proof or "Not done" in what or "never offers" in what
