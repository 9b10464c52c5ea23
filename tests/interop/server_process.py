"""The platform as people run it: `sidestream serve --config FILE`, in a process of its own, on free loopback ports."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from sidestream.testing.port_block import port_block

HOST = "127.0.0.1"
# Below those that Linux gives to clients: who asks one of these whether anybody listens may be answered by itself.
PORTS = (10000, 19990)
_GIVEN: set[int] = set()  # who asked for a port may not have bound it yet, or may be about to bind it again
# Of this run alone, so that other platforms on this machine do not come into a capture; given up when it ends.
_HELD = ExitStack()
MEDIA_PORTS = _HELD.enter_context(port_block(8))
OWN_ENGINE = f"port_low = {MEDIA_PORTS[0]}\nport_high = {MEDIA_PORTS[1]}"
START_SECONDS = 30.0  # a loaded machine imports and migrates in a few
STOP_SECONDS = 20.0
RECORDING_SECONDS = 15.0  # from the end of a call until its recording is complete

# Who is called and who the peers of `sipp/` say they are: what a log may never show.
PHONE_NUMBER = "+15550123456"
CALLER_USER = "alice.liddell"
CALLEE_USER = "bob.dodgson"
PERSONAL = (PHONE_NUMBER, PHONE_NUMBER[1:], CALLER_USER, CALLEE_USER)

_READABLE_USER = re.compile(r"\b(?:sips?|tel):[^\s@;>…]+@")
# An alert of the debugger may be an error: it says what is wrong with a peer or an application.
_DEFECT = re.compile(
    r"Traceback \(most recent call last\)|never retrieved|never awaited|\[(?:error|critical) *\](?!.*room=debugger)"
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the platform and the TwiML that answers it."""

    user: str
    twiml: str

    def to_toml(self) -> str:
        """Its table of the configuration. JSON strings are basic strings of TOML."""
        return f'[[numbers]]\nnumber = "{self.user}"\ntwiml = {json.dumps(f"<Response>{self.twiml}</Response>")}\n'


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector by name and the addresses of its recording servers."""

    name: str
    srs: tuple[str, ...]

    def to_toml(self) -> str:
        return f'[[connectors]]\nname = "{self.name}"\nsrs = {json.dumps(self.srs)}\nanswer_timeout = 2\n'


class ServerProcess:
    """One `serve` in `directory`. `stop` ends it by SIGTERM and then `faults` says what it did wrong, if anything."""

    def __init__(
        self,
        directory: Path,
        numbers: Sequence[Number],
        *,
        connectors: Sequence[Connector] = (),
        trunk: str,
        extra: str = "",
        media: str = OWN_ENGINE,
    ) -> None:
        """`media`: the TOML of that table; `extra`: more of any, at the end of the configuration."""
        self.sip_port, self.http_port, self.srs_port = free_port(), free_port(), free_port()
        self.account_sid = "AC" + os.urandom(16).hex()
        self.auth_token = os.urandom(16).hex()
        self.recordings = directory / "recordings"
        directory.mkdir()
        self._config = directory / "sidestream.toml"
        self._log = directory / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._status: int | None = None
        self._config.write_text(self._toml(directory, numbers, connectors, trunk, media) + extra, encoding="utf-8")

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.http_port}"

    @property
    def signed_in_url(self) -> str:
        """The base URL with the account's credentials in it, as a person may type it."""
        return f"http://{self.account_sid}:{self.auth_token}@{HOST}:{self.http_port}"

    @property
    def sip_address(self) -> str:
        return f"{HOST}:{self.sip_port}"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Start and wait until it is ready for calls. Raises AssertionError with its log."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SIDESTREAM_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "sidestream", "serve", "--config", str(self._config)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Wait until it is ready for calls. Raises AssertionError with its log."""
        assert self._process is not None  # it was started
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"serve is not ready:\n{self.log}")
            time.sleep(0.05)

    def reload(self, more: str, outcome: str) -> None:
        """Add TOML to the configuration, send SIGHUP, and wait until the log says `outcome`."""
        assert self._process is not None  # it runs
        with self._config.open("a", encoding="utf-8") as config:
            config.write(more)
        before = self.log.count(outcome)
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while self.log.count(outcome) == before:
            assert time.monotonic() < deadline, self.log[-6000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: it ends in the midst of whatever it does, and its media engine lives on. Start it again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            self._status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            self._status = process.wait()

    def faults(self) -> list[str]:
        """What a process that served well would not show: an error, personal data or a secret in its log, a bad end."""
        lines = self.log.splitlines()
        found = [line for line in lines if _DEFECT.search(line) or _READABLE_USER.search(line)]
        found += [line for line in lines for text in (*PERSONAL, self.auth_token) if text in line]
        if self._status != 0:
            found.append(f"exit status {self._status}")
        return found

    def finished_recording(self, before: Set[Path] = frozenset()) -> Path:
        """The folder of the one recording that the bundled server completed, besides those with manifests `before`."""
        deadline = time.monotonic() + RECORDING_SECONDS
        while time.monotonic() < deadline:
            new = set(self.recordings.glob("*/manifest.json")) - before
            done = [path for path in new if json.loads(path.read_text(encoding="utf-8"))["state"] == "complete"]
            if done:
                (manifest,) = done
                return manifest.parent
            time.sleep(0.05)
        raise AssertionError(f"no recording was completed:\n{self.log[-6000:]}")

    def get(self, path: str) -> Any:
        """The JSON at a path of the API, signed in."""
        token = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        request = Request(f"{self.base_url}{path}", headers={"Authorization": f"Basic {token}"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def calls(self, *, to: str) -> list[dict[str, Any]]:
        """The calls that came in for a number, newest first."""
        found = self.get(f"/2010-04-01/Accounts/{self.account_sid}/Calls.json?PageSize=1000")["calls"]
        return [call for call in found if call["to"].startswith(f"sip:{to}@") and call["direction"] == "inbound"]

    def _is_healthy(self) -> bool:
        try:
            with urlopen(f"{self.base_url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _toml(
        self, directory: Path, numbers: Sequence[Number], connectors: Sequence[Connector], trunk: str, media: str
    ) -> str:
        text = f"""\
data_dir = {json.dumps(str(directory))}
[http]
port = {self.http_port}
[srs]
port = {self.srs_port}
[media]
{media}
[log]
level = "debug"
[[accounts]]
sid = "{self.account_sid}"
auth_token = "{self.auth_token}"
[[trunks]]
name = "carrier"
outbound = "{trunk}"
username = "platform"
password = "between-us"
follow_redirects = 2
"""
        for transport in ("udp", "tcp"):
            text += f'[[listeners]]\ntransport = "{transport}"\nport = {self.sip_port}\n'
        return text + "".join(table.to_toml() for table in (*connectors, *numbers))


def free_port(count: int = 1) -> int:
    """The first, an even one, of `count` adjacent ports that are free on loopback for both TCP and UDP."""
    while True:
        first = random.randrange(*PORTS, 2)
        wanted = range(first, first + count)
        if _GIVEN.isdisjoint(wanted) and all(is_free(port) for port in wanted):
            _GIVEN.update(wanted)
            return first


def is_free(port: int) -> bool:
    """Whether nobody is bound to the port, on loopback or everywhere."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
