"""What a media engine's process is started with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_LIMIT = 107  # octets: sun_path of Linux's sockaddr_un less its final zero


class OptionError(Exception):
    """An option that no engine can be started with; `option` is its name on the command line."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(option, reason)
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        return f"--{self.option}: {self.reason}"


@dataclass(frozen=True, slots=True)
class MediaInterface:
    """Where media sockets are bound (an IP literal) and what peers are told to send to."""

    name: str
    bind_host: str
    advertised_host: str

    @classmethod
    def parse(cls, text: str) -> "MediaInterface":
        """Read `NAME=BIND` or `NAME=BIND/ADVERTISED`, such as `default=10.0.0.5/203.0.113.7`. Raises `OptionError`."""
        name, equals, hosts = text.partition("=")
        bind_host, slash, advertised_host = hosts.partition("/")
        if not (name and equals and bind_host) or (slash and not advertised_host):
            raise OptionError("interface", f"{text!r} is not NAME=BIND or NAME=BIND/ADVERTISED")
        return cls(name, bind_host, advertised_host or bind_host)

    def __str__(self) -> str:
        suffix = "" if self.advertised_host == self.bind_host else f"/{self.advertised_host}"
        return f"{self.name}={self.bind_host}{suffix}"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The settings of one engine process, apart from its socket.

    `ports` is the range, both ends included, that RTP/RTCP pairs are taken from. `orphan_grace_s`: how long sessions
    live on when nobody is connected; with `exit_when_orphaned` the process itself ends after that time, too.
    With `pacing` packets of up to half a millisecond are handled together while the load is low: less work for the
    processor, and as much time at most for a packet on its way.
    """

    interfaces: tuple[MediaInterface, ...] = (MediaInterface("default", "127.0.0.1", "127.0.0.1"),)
    ports: tuple[int, int] = (40000, 49999)
    workers: int = 1
    silence_ms: int = 30_000
    orphan_grace_s: float = 30.0
    port_cooldown_ms: int = 4_000
    max_sessions: int = 10_000
    exit_when_orphaned: bool = True
    pacing: bool = True

    def arguments(self, socket: Path) -> Sequence[str]:
        """The command line of `sidestream media` that gives these options. Raises `OptionError`."""
        if len(str(socket).encode()) > SOCKET_PATH_LIMIT:
            raise OptionError("socket", f"{socket} is longer than {SOCKET_PATH_LIMIT} octets")
        arguments = ["--socket", str(socket)]
        for interface in self.interfaces:
            arguments += ["--interface", str(interface)]
        arguments += ["--port-min", str(self.ports[0]), "--port-max", str(self.ports[1])]
        arguments += ["--workers", str(self.workers), "--silence-ms", str(self.silence_ms)]
        arguments += ["--orphan-grace", str(self.orphan_grace_s), "--port-cooldown-ms", str(self.port_cooldown_ms)]
        arguments += ["--max-sessions", str(self.max_sessions)]
        arguments += ["--pacing", "auto" if self.pacing else "off"]
        arguments.append("--exit-when-orphaned" if self.exit_when_orphaned else "--stay-when-orphaned")
        return arguments
