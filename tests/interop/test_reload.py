"""SIGHUP to the real process: what is new serves the next call, and a file with a mistake changes nothing."""

import shutil
from pathlib import Path

import pytest

from .server_process import HOST, Number, ServerProcess, free_port
from .sipp_process import Sipp

pytestmark = [
    pytest.mark.interop,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed"),
]

BUSY = '<Reject reason="busy"/>'


def test_numbers_come_while_the_server_runs(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", [Number("first", BUSY)], trunk=f"sip:{HOST}:{free_port()}")

    def call(scenario: str, user: str) -> None:
        options = {"remote": server.sip_address, "user": user, "media_port": free_port(4)}
        Sipp(tmp_path, scenario, **options).run()

    server.start()
    try:
        call("caller_hears_no_such_number", "second")
        server.reload(Number("second", BUSY).to_toml(), "= configuration reloaded")
        call("caller_hears_busy", "second")
        call("caller_hears_busy", "first")
        server.reload("[[numbers]]\nnumber = 3\n", "! configuration not reloaded")
        assert "numbers[2]" in server.log
        call("caller_hears_busy", "second")
    finally:
        server.stop()
    # What the mistake made it say is an error, and the only one.
    (said,) = server.faults()
    assert "not reloaded" in said
