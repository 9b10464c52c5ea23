"""Pages made from tables are as the tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


@pytest.mark.parametrize("name", sorted(SCRIPT.PAGES))
def test_the_page_is_not_stale(name: str) -> None:
    on_disk = (ROOT / "docs" / "topics" / name).read_text(encoding="utf-8")
    assert on_disk == SCRIPT.PAGES[name](), f"docs/topics/{name} is stale: run `make docs`"


def test_stale_pages_are_told_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SCRIPT, "TOPICS", tmp_path)
    assert SCRIPT.main(["--check"]) == 1
    assert "docs/topics/errors.md is stale" in capsys.readouterr().err
    assert SCRIPT.main([]) == 0
    assert SCRIPT.main(["--check"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(SCRIPT.PAGES)
