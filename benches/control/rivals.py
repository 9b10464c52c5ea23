"""Other programs that take the same calls: sippy's B2BUA and Kamailio as a record-routing relay.

Both run as processes of their own, over UDP. sippy (PyPI, BSD licence) is installed into a virtual
environment that this module makes; Kamailio (Debian, GPL) is only there if its package is.
"""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path

from benches.control.answering import HOST
from benches.control.usage import Usage, spent_by

SIPPY = "sippy==2.5.0"
_ENVIRONMENT = Path(__file__).parents[2] / "target" / "bench-sippy"
_KAMAILIO_CONFIG = Path(__file__).parent / "kamailio.cfg"
_START_LIMIT_S = 15.0


class RivalProcess:
    """One of them at work; end it with `stop`."""

    def __init__(self, process: Process, port: int, directory: "tempfile.TemporaryDirectory[str]") -> None:
        self.port = port
        self._process = process
        self._directory = directory

    async def usage(self) -> Usage:
        return spent_by(self._process.pid)

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_START_LIMIT_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._directory.cleanup()


async def sippy(port: int, callee: str, core: int | None) -> RivalProcess:
    """The smallest of sippy's B2BUAs: two legs, no accounting, no media, no log.

    Raises RuntimeError if it cannot be had.
    """
    program = _ENVIRONMENT / "bin" / "b2bua_simple"
    if not program.exists():
        await _install_sippy()
    command = [str(program), "-f", "-l", HOST, "-p", str(port), "-n", callee.rpartition("@")[2]]
    return await _start(command, port, core, {"SIPLOG_BEND": "none"})


async def kamailio(port: int, callee: str, core: int | None) -> RivalProcess:
    """Raises RuntimeError if it is not installed."""
    program = shutil.which("kamailio")
    if program is None:
        raise RuntimeError("Kamailio is not installed: Debian package kamailio")
    command = [program, "-f", str(_KAMAILIO_CONFIG), "-DD", "-E", "-m", "128", "-Y", "."]
    definitions = [f"LISTEN=udp:{HOST}:{port}", f'CALLEE="{callee}"']
    return await _start(command + [part for one in definitions for part in ("-A", one)], port, core, {})


async def _install_sippy() -> None:
    for command in (
        (sys.executable, "-m", "venv", str(_ENVIRONMENT)),
        (str(_ENVIRONMENT / "bin" / "pip"), "install", "-q", SIPPY),
    ):
        process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL)
        if await process.wait() != 0:
            raise RuntimeError(f"sippy cannot be installed: {' '.join(command)}")


async def _start(command: Sequence[str], port: int, core: int | None, environment: dict[str, str]) -> RivalProcess:
    directory = tempfile.TemporaryDirectory(prefix="bench-rival-")
    cores = os.sched_getaffinity(0) if core is None else {core}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory.name,
        env=os.environ | environment,
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    rival = RivalProcess(process, port, directory)
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while not is_bound(port):
                if process.returncode is not None:
                    raise RuntimeError(f"it ended with {process.returncode}")
                await asyncio.sleep(0.05)
    except (RuntimeError, TimeoutError):
        await rival.stop()
        raise
    return rival


def free_port() -> int:
    """A UDP port that nobody has at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_bound(port: int) -> bool:
    """Whether somebody listens on that UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False
