"""baresip (https://github.com/baresip/baresip): a softphone without a screen, driven over its control connection."""

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from sidestream.testing.g711 import Samples
from sidestream.testing.speech import read_channels

from .server_process import HOST, free_port

MODULES = [Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules")]
START_SECONDS = 15.0
EVENT_SECONDS = 15.0
STOP_SECONDS = 5.0
# Beside those of the platform's media.
RTP_PORTS = "33000-34999"

_REGISTERED = re.compile(r"200 OK .*\[\d+ bindings?\]")
_CONFIG = """\
poll_method epoll
sip_listen {host}:{port}
sip_cafile {authority}
call_max_calls 4
audio_player aubridge,nobody
audio_source aufile,{speech}
audio_alert aubridge,nobody
rtp_ports {rtp_ports}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {heard}
"""


class Baresip:
    """A context manager: the phone of `user` at `domain`, which answers every call and speaks `speech`, an 8 kHz WAV.

    With a `password` it registers by the server at `proxy`, a host and port, over `transport`; without one it waits for
    calls on `port`. `options` are parameters of its account, such as `mediaenc=srtp-mand`.
    """

    def __init__(
        self,
        directory: Path,
        user: str,
        domain: str,
        *,
        speech: Path,
        transport: str = "udp",
        proxy: str | None = None,
        password: str | None = None,
        port: int | None = None,
        authority: Path | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        binary = shutil.which("baresip")
        modules = next((path for path in MODULES if path.is_dir()), None)
        if binary is None or modules is None:
            pytest.skip("baresip is missing: Debian package baresip-core")
        self._directory = directory / f"baresip-{user}-{time.monotonic_ns()}"
        self._directory.mkdir()
        self.heard = self._directory / "heard"
        self.heard.mkdir()
        self._control = free_port()
        self._buffer = b""
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.events: list[dict[str, Any]] = []
        (self._directory / "config").write_text(
            _CONFIG.format(
                host=HOST,
                port=port or free_port(),
                authority=authority or "",
                speech=speech,
                rtp_ports=RTP_PORTS,
                modules=modules,
                control=self._control,
                heard=self.heard,
            ),
            encoding="utf-8",
        )
        parameters = [f"regint={60 if password else 0}", "answermode=auto", "audio_codecs=pcmu", *options]
        if password:
            parameters.append(f"auth_pass={password}")
        if proxy:
            parameters.append(f'outbound="sip:{proxy};transport={transport}"')
        account = f"<sip:{user}@{domain};transport={transport}>;{';'.join(parameters)}\n"
        (self._directory / "accounts").write_text(account, encoding="utf-8")
        self._command = [binary, "-f", str(self._directory), "-4", "-s", "-v"]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while self._socket is None:
            try:
                self._socket = socket.create_connection((HOST, self._control), 1.0)
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(f"baresip did not start:\n{self.log[-3000:]}") from None
                time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"baresip's log:\n{self.log[-6000:]}\nits events: {self.events}")

    @property
    def _log(self) -> Path:
        return self._directory / "baresip.log"

    @property
    def log(self) -> str:
        """Its messages on the terminal, with all of SIP."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until_registered(self) -> None:
        """It may be so before anybody can listen to its events, so what it prints counts."""
        deadline = time.monotonic() + EVENT_SECONDS
        while not _REGISTERED.search(self.log):
            if time.monotonic() > deadline:
                raise AssertionError("baresip is not registered")
            time.sleep(0.05)

    def heard_samples(self) -> Samples:
        """What it heard in its one call, once it has stopped."""
        (path,) = self.heard.glob("*-dec.wav")
        return read_channels(path)[0]

    def dial(self, uri: str) -> None:
        self._tell("dial", uri)

    def hang_up(self) -> None:
        self._tell("hangup")

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The next event of this type, such as CALL_ESTABLISHED; earlier ones of others are passed over."""
        deadline = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < deadline:
            message = self._read(deadline)
            if message.get("event"):
                self.events.append(message)
                if message["type"] == kind:
                    return message
        raise AssertionError(f"no {kind} from baresip")

    def stop(self) -> None:
        """Let it unregister and end. Idempotent."""
        process, self._process = self._process, None
        if self._socket is not None:
            self._socket.close()
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, command: str, parameters: str = "") -> None:
        assert self._socket is not None
        text = json.dumps({"command": command, "params": parameters}).encode()
        self._socket.sendall(b"%d:%s," % (len(text), text))  # a netstring

    def _read(self, deadline: float) -> dict[str, Any]:
        assert self._socket is not None
        while True:
            length, colon, rest = self._buffer.partition(b":")
            if colon and len(rest) > int(length):
                self._buffer = rest[int(length) + 1 :]
                message: dict[str, Any] = json.loads(rest[: int(length)])
                return message
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return {}
            if not data:
                raise AssertionError(f"baresip has ended:\n{self.log[-3000:]}")
            self._buffer += data
