"""Every harness starts, takes its seeds and finds nothing among the first inputs; `make fuzz` goes on from there."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this platform")

HERE = Path(__file__).parent
HARNESSES = sorted(path.stem for path in HERE.glob("*.py") if "\n    fuzz(take" in path.read_text(encoding="utf-8"))
RUNS = 3000  # with a fixed seed: a test that fails once fails always


@pytest.mark.parametrize("harness", HARNESSES)
def test_harness(harness: str, tmp_path: Path) -> None:
    options = [f"-runs={RUNS}", "-seed=1", f"-artifact_prefix={tmp_path}/", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, HERE / f"{harness}.py", *options], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert f"Done {RUNS} runs" in done.stderr
    assert "A corpus is not provided" not in done.stderr, "no seeds"


def test_all_harnesses_are_known() -> None:
    assert HARNESSES == ["digest", "metadata", "multipart", "sdp", "sip_message", "twiml"]
