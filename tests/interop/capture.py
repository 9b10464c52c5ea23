"""What went over loopback, captured and judged by tshark (https://www.wireshark.org)."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

START_SECONDS = 15.0
END_SECONDS = 15.0
READ_SECONDS = 40.0


class Capture:
    """A context manager that captures what passes `filter` (pcap-filter(7)) on loopback into `path`.

    `decode` are rules by port for what tshark cannot know, such as `udp.port==5062,sip`.
    """

    def __init__(self, path: Path, filter: str, *, decode: Sequence[str] = ()) -> None:
        binary = shutil.which("tshark")
        if binary is None:
            pytest.skip("tshark is missing: Debian package tshark")
        if os.geteuid() != 0:
            pytest.skip("capturing needs root")
        self._binary = binary
        self._path = path
        self._filter = filter
        self._rules = [part for rule in decode for part in ("-d", rule)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        log = self._path.with_suffix(".log")
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                # -B: enough for a burst while this machine's cores are busy with the call itself.
                (self._binary, "-i", "lo", "-B", "16", "-f", self._filter, "-w", str(self._path), "-q"),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        # The file has a header as soon as packets are taken.
        while not (self._path.exists() and self._path.stat().st_size):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                pytest.skip(f"tshark cannot capture here: {log.read_text(errors='replace')[-300:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._process is not None
        time.sleep(0.5)  # what the kernel has handed over last is still on its way into the file
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def frames(self, filter: str, *fields: str) -> list[tuple[str, ...]]:
        """The fields of every frame that passes a display filter."""
        shown = [part for field in fields for part in ("-e", field)]
        text = self._read("-Y", filter, "-T", "fields", "-E", "separator=/t", *shown)
        return [tuple(line.split("\t")) for line in text.splitlines()]

    def statistics(self, name: str) -> str:
        """One of tshark's tables (`-z`)."""
        return self._read("-q", "-z", name)

    def _read(self, *options: str) -> str:
        done = subprocess.run(
            (self._binary, "-n", "-r", str(self._path), *self._rules, *options),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=READ_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()
