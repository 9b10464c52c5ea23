"""Blocks of ports that are one test's alone."""

import os
import subprocess
import sys

import pytest

from sidestream.testing import port_block as module
from sidestream.testing.port_block import UNIT, port_block


def test_blocks_do_not_meet() -> None:
    with port_block() as one, port_block(3) as two, port_block() as three:
        taken = [port for low, high in (one, two, three) for port in range(low, high + 1)]
        assert len(set(taken)) == len(taken) == 5 * UNIT


def test_a_block_is_taken_for_other_processes_too_and_free_when_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAME", f"sidestream-test-{os.getpid()}")  # nobody else's
    claim = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind('\\0%s-%d')"
    with port_block() as (low, _):
        other = subprocess.run(
            (sys.executable, "-c", claim % (module.NAME, low // UNIT)), capture_output=True, check=False
        )
        assert b"Address already in use" in other.stderr
        monkeypatch.setattr(module, "RANGES", (range(low // UNIT, low // UNIT + 1),))
        with pytest.raises(RuntimeError), port_block():
            pass
    with port_block() as again:
        assert again == (low, low + UNIT - 1)
