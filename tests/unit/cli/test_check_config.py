"""What check-config prints."""

from pathlib import Path

import pytest

from sidestream.cli.check_config import run_check_config

EXAMPLE = Path(__file__).parents[3] / "sidestream.example.toml"


def test_the_example_has_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check_config(EXAMPLE) == 0
    assert "no problems (1 accounts, 2 numbers, 3 trunks, 2 connectors, 3 listeners)" in capsys.readouterr().out


def test_problems_are_printed_with_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[http]\nprot = 1\nport = "a"\n[[numbers]]\nnumber = "1"\n')
    assert run_check_config(path) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:2: http.prot: unknown key; did you mean port?",
        f"{path}:3: http.port: must be a whole number",
        f"{path}:4: numbers[0]: needs voice_url or twiml",
    ]


def test_the_environment_is_checked_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[http]\nport = 8080\n")
    monkeypatch.setenv("SIDESTREAM_HTTP_PORT", "70000")
    assert run_check_config(path) == 1
    assert capsys.readouterr().err == f"{path}: SIDESTREAM_HTTP_PORT: must be from 0 to 65535\n"


def test_a_missing_file_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check_config(tmp_path / "none.toml") == 1
    assert "none.toml: Cannot be read: No such file or directory" in capsys.readouterr().err
