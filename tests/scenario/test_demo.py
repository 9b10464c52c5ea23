"""What a newcomer does first: `sidestream demo --once --json --out DIR`."""

import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

DEMO_SECONDS = 55.0  # about eighteen on an idle machine

LABELS = {"inbound", "outbound"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one run that ended well; standard output holds nothing else."""
    directory = tmp_path_factory.mktemp("demo")
    demo = subprocess.run(
        (sys.executable, "-m", "sidestream", "demo", "--once", "--json", "--out", str(directory)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    log = directory / "serve.log"
    story = demo.stderr.decode() + demo.stdout.decode() + (log.read_text(encoding="utf-8") if log.exists() else "")
    assert demo.returncode == 0, story
    found: dict[str, Any] = json.loads(demo.stdout)
    return found


def test_all_was_right(report: dict[str, Any]) -> None:
    assert report["problems"] == []
    assert report["ok"] is True
    assert report["call_sid"].startswith("CA")
    assert set(report["versions"]) >= {"sidestream", "python", "kernel"}


def test_both_siprecs_are_described(report: dict[str, Any]) -> None:
    told = [(siprec["name"], siprec["started_by"], siprec["stopped_by"]) for siprec in report["siprecs"]]
    assert told == [("first", "twiml", "rest"), ("second", "rest", "call-ended")]
    for siprec in report["siprecs"]:
        assert siprec["sid"].startswith("SR")
        assert set(siprec["packets_sent"]) == LABELS
        assert siprec["packets_sent"] == siprec["packets_recorded"]
        assert min(siprec["packets_sent"].values()) > 100  # three seconds are 150
        assert siprec["invite_ms"] > 0
        assert siprec["first_packet_ms"] <= 100


def test_files_of_both_recordings_exist(report: dict[str, Any]) -> None:
    for siprec in report["siprecs"]:
        with wave.open(siprec["wav"]) as audio:
            assert (audio.getnchannels(), audio.getframerate()) == (2, 8000)
            assert audio.getnframes() > 16000
        assert "urn:ietf:params:xml:ns:recording:1" in Path(siprec["metadata"]).read_text(encoding="utf-8")
        assert json.loads(Path(siprec["manifest"]).read_text(encoding="utf-8"))["state"] == "complete"


def test_callbacks_are_complete_and_signed(report: dict[str, Any]) -> None:
    sids = [siprec["sid"] for siprec in report["siprecs"]]
    got = {
        (one["parameters"]["SiprecSid"], one["event"], one["sequence"], one["signature_valid"])
        for one in report["callbacks"]
    }
    events = (("siprec-started", 0), ("siprec-stopped", 1))
    assert got == {(sid, event, sequence, True) for sid in sids for event, sequence in events}
    assert len(report["callbacks"]) == 4


def test_call_itself_is_unharmed(report: dict[str, Any]) -> None:
    relay = report["relay"]
    assert relay["packets"] > 500
    assert relay["loss"] == 0
    assert relay["added_latency_p50_ms"] <= relay["added_latency_p99_ms"]
