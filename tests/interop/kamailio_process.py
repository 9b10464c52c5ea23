"""Kamailio (https://www.kamailio.org): a proxy that stays in the path of every call it passes on."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from .server_process import CALLEE_USER, HOST, is_free

CONFIG = Path(__file__).parent / "kamailio" / "kamailio.cfg"
START_SECONDS = 15.0
STOP_SECONDS = 10.0
MEGABYTES = "64"


class Kamailio:
    """A context manager: a proxy on loopback, on `port` by UDP and TCP and on `tls_port` by TLS.

    Calls go to `platform`, a host and port with URI parameters; those to the user of the peers go to `callee`, a whole
    URI, and those to the user `srs` to `srs`. `tls` are its certificate, its key and the authority it trusts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        tls_port: int,
        platform: str,
        callee: str,
        srs: str,
        tls: tuple[Path, Path, Path],
    ) -> None:
        binary = shutil.which("kamailio")
        if binary is None or not any(Path("/usr").glob("lib*/**/kamailio/modules/tls.so")):
            pytest.skip("Kamailio is missing: Debian packages kamailio and kamailio-tls-modules")
        self.port = port
        self._log = directory / "kamailio.log"
        self._process: subprocess.Popen[bytes] | None = None
        # Its sockets: the path of a Unix socket may be 107 octets long, and those of tests are longer.
        self._run = tempfile.TemporaryDirectory(prefix="kamailio-")
        definitions = {
            "LISTEN_UDP": f"udp:{HOST}:{self.port}",
            "LISTEN_TCP": f"tcp:{HOST}:{self.port}",
            "CALLEE_USER": f'"{CALLEE_USER}"',
            "CALLEE_URI": f'"{callee}"',
            "SRS_URI": f'"{srs}"',
            "PLATFORM": f'"{platform}"',
            "LISTEN_TLS": f"tls:{HOST}:{tls_port}",
            "CERTIFICATE": f'"{tls[0]}"',
            "PRIVATE_KEY": f'"{tls[1]}"',
            "AUTHORITY": f'"{tls[2]}"',
        }
        self._command = [binary, "-f", str(CONFIG), "-DD", "-E", "-m", MEGABYTES, "-Y", self._run.name]
        self._command += [part for name, value in definitions.items() for part in ("-A", f"{name}={value}")]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while is_free(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"Kamailio did not start:\n{self.log[-3000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"Kamailio's log:\n{self.log[-3000:]}")

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._run.cleanup()
