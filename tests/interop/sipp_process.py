"""SIPp (https://sipp.readthedocs.io): one process that plays one scenario of `sipp/`."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from .server_process import HOST, is_free

SPEECH = "speech.ulaw"  # in the directory of the test: what scenarios play, one octet a sample
SCENARIOS = Path(__file__).parent / "sipp"
START_SECONDS = 10.0
END_SECONDS = 20.0  # of a scenario; SIPp itself gives up shortly before
_SHOWN = 6000  # characters of SIPp's message trace in a failure


class Sipp:
    """A context manager: starts at entry, at exit waits until every call of the scenario has ended as it expects.

    `scenario` is a file of `sipp/` without its ending. With `remote` it calls that address, from `port` if it is given,
    else it waits for calls on `port`. `user` is who is called; `values` are keywords of the scenario. The speech that a
    scenario plays is `SPEECH` in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        scenario: str,
        *,
        remote: str | None = None,
        port: int | None = None,
        user: str = "1000",
        transport: str = "udp",
        calls: int = 1,
        rate: int | None = None,
        media_port: int | None = None,
        values: Sequence[tuple[str, str]] = (),
        options: Sequence[str] = (),
        seconds: float = END_SECONDS,
    ) -> None:
        binary = shutil.which("sipp")
        if binary is None:
            pytest.skip("SIPp is missing: Debian package sip-tester")
        self.scenario = scenario
        self._directory = directory / f"{scenario}-{time.monotonic_ns()}"
        self._directory.mkdir()
        speech = directory / SPEECH
        if speech.exists():
            (self._directory / speech.name).symlink_to(speech)
        self._port = port or 0
        self._is_called = port is not None and remote is None
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = [
            *(binary, *([remote] if remote else []), "-sf", str(SCENARIOS / f"{scenario}.xml")),
            *("-i", HOST, "-mi", HOST, "-nostdin", "-m", str(calls), "-s", user),
            *("-t", {"udp": "u1", "tcp": "t1"}[transport]),
            # Nothing that a scenario does not expect may pass, and nothing is sent in place of what it says.
            *("-default_behaviors", "abortunexp", "-recv_timeout", str(int(600 * seconds))),
            *("-timeout", str(max(1, int(seconds - 2))), "-timeout_error"),
            *("-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", "messages.log"),
        ]
        if port is not None:
            self._command += ["-p", str(port)]
        if media_port is not None:
            self._command += ["-mp", str(media_port)]
        if rate is not None:
            self._command += ["-r", str(rate)]
        for name, value in values:
            self._command += ["-key", name, value]
        self._command += options

    @property
    def messages(self) -> str:
        """SIPp's trace of what it sent and received."""
        return self._read("messages.log")

    def received(self, start: str) -> int:
        """How many messages it received whose first line begins with `start`."""
        return sum(part.partition("\n\n")[2].startswith(start) for part in self.messages.split("message received")[1:])

    def run(self) -> Self:
        """Play it to the end."""
        with self:
            return self

    def __enter__(self) -> Self:
        with (self._directory / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while self._is_called and is_free(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._fail("did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.wait()
            return
        # Something else failed; what this peer saw is part of the story.
        self.kill()
        error.add_note(self._story("was ended"))

    def kill(self) -> None:
        """End it, whatever it is doing. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def wait(self) -> None:
        """Wait until every call of the scenario has ended as it expects. Raises AssertionError."""
        process, self._process = self._process, None
        assert process is not None
        try:
            status = process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self._fail("did not end")
        if status != 0:
            self._fail(f"ended with status {status}")

    def _fail(self, how: str) -> None:
        raise AssertionError(self._story(how))

    def _story(self, how: str) -> str:
        shown = self._read("errors.log")[-_SHOWN:] or self._read("output.txt")[-_SHOWN:]
        return f"SIPp's {self.scenario} {how}:\n{shown}\n{self.messages[-_SHOWN:]}"

    def _read(self, name: str) -> str:
        path = self._directory / name
        return path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n") if path.exists() else ""
