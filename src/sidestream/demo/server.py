"""The platform under demonstration: `sidestream serve` as a process of its own, with a configuration made for it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sidestream.base.ids import Ids

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0  # a loaded machine imports and migrates in a few seconds
STOP_TIMEOUT_S = 20.0  # calls end, callbacks drain, the media engine completes its files

_FIRST_CLIENT_PORT = 32768  # ip_local_port_range of a Linux that nobody has tuned
_USUAL_PORTS = {"sip": 5060, "http": 8080, "srs": 5070}


class ServerFailed(Exception):
    """`serve` did not come up. `log` is its log file."""

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(reason, log)
        self.reason = reason
        self.log = log

    def __str__(self) -> str:
        return f"the server did not start: {self.reason}; its log is {self.log}"


@dataclass(frozen=True, slots=True)
class ServerPorts:
    sip: int
    http: int
    srs: int


class DemoServer:
    """Runs in `directory`, which afterwards holds the configuration, the log, the database and the recordings."""

    def __init__(self, directory: Path, ids: Ids, *, voice_url: str, auth_token: str) -> None:
        self._directory = directory
        self._ports = free_ports()
        self.account_sid = ids.sid("AC")
        self.auth_token = auth_token
        self._config = directory / "sidestream.toml"
        self._log = directory / "serve.log"
        self._process: asyncio.subprocess.Process | None = None
        text = _configuration(self._ports, self.account_sid, auth_token, voice_url, directory)
        self._config.write_text(text, encoding="utf-8")
        self._config.chmod(0o600)

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self._ports.http}"

    @property
    def console_url(self) -> str:
        return f"{self.api_url}/console"

    @property
    def recordings(self) -> Path:
        """The directory in which the bundled SRS keeps what it recorded."""
        return self._directory / "recordings"

    def sip_uri(self, user: str) -> str:
        return f"sip:{user}@{HOST}:{self._ports.sip}"

    async def start(self) -> None:
        """Start `serve` and wait until its HTTP port answers. Raises ServerFailed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SIDESTREAM_")}
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_command("serve", "--config", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # a Ctrl-C is the demo's; it ends the server in order
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while not await _answers(self._ports.http):
                    if self._process.returncode is not None:
                        raise ServerFailed(f"exit status {self._process.returncode}", self._log)
                    await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise ServerFailed(f"no answer within {START_TIMEOUT_S:.0f} s", self._log) from None

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL if that is not enough."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def free_ports() -> ServerPorts:
    """The usual ports where they are free on loopback, else the next that are."""
    taken: set[int] = set()
    chosen = {}
    for name, usual in _USUAL_PORTS.items():
        # Not from those that Linux gives to clients: a probe of whether anybody listens there may connect to itself.
        port = next(port for port in range(usual, _FIRST_CLIENT_PORT) if port not in taken and _is_free(port))
        taken.add(port)
        chosen[name] = port
    return ServerPorts(**chosen)


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def _command(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "sidestream", *arguments)


def _configuration(ports: ServerPorts, account_sid: str, auth_token: str, voice_url: str, directory: Path) -> str:
    """The server's TOML file. JSON strings are TOML basic strings."""
    return f"""\
# Written by `sidestream demo`. The same server again: sidestream serve --config {directory.name}/sidestream.toml
data_dir = {json.dumps(str(directory))}

[storage]
url = {json.dumps(f"sqlite:///{directory / 'sidestream.db'}")}

[http]
host = "{HOST}"
port = {ports.http}

[srs]
enabled = true
host = "{HOST}"
port = {ports.srs}

[[listeners]]
name = "udp"
transport = "udp"
host = "{HOST}"
port = {ports.sip}

[[listeners]]
name = "tcp"
transport = "tcp"
host = "{HOST}"
port = {ports.sip}

[[accounts]]
sid = "{account_sid}"
auth_token = "{auth_token}"
name = "Demo"

[[numbers]]
account = "{account_sid}"
number = "*"
voice_url = {json.dumps(voice_url)}
"""
