"""What a media engine's process is started with."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SOCKET_PATH_LIMIT = 107  # octets: sun_path of Linux's sockaddr_un less its final zero

EXPEDITED_FORWARDING = 46  # RFC 4594 §4.1: what telephony is marked with; routers that know no marks do not mind it


class OptionError(Exception):
    """An option that no engine can be started with; `option` is its name on the command line."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(option, reason)
        self.option = option
        self.reason = reason

    def __str__(self) -> str:
        return f"--{self.option}: {self.reason}"


class KernelPath(StrEnum):
    """Whether the kernel relays and forks steady calls by itself (docs/topics/kernel-path.md)."""

    OFF = "off"
    AUTO = "auto"  # where the machine and the process's rights allow it
    REQUIRE = "require"  # or the engine does not start


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
class TlsListener:
    """How control processes on other machines reach an engine: TLS with certificates on both sides, all as PEM files.

    `address` is where to listen, `192.0.2.1:7443`; None: only where a service manager listens for us. `peers`: the
    names, one of which a client's certificate has to have; without any, whoever `client_ca` signed may command.
    """

    address: str | None
    certificate: Path
    private_key: Path
    client_ca: Path
    peers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The settings of one engine process, apart from its socket.

    `ports` is the range, both ends included, that RTP/RTCP pairs are taken from. `orphan_grace_s`: how long sessions
    live on when nobody is connected; with `exit_when_orphaned` the process itself ends after that time, too.
    `max_mbit_s`: with so many megabits of RTP a second, received and sent, new sessions are refused; 0 is no limit.
    `dscp` (RFC 2474) marks RTP and RTCP; 0 does not.
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
    max_mbit_s: float = 0.0
    dscp: int = EXPEDITED_FORWARDING
    kernel_path: KernelPath = KernelPath.OFF

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
        arguments += ["--max-mbit", str(self.max_mbit_s), "--dscp", str(self.dscp)]
        arguments += ["--pacing", "auto" if self.pacing else "off"]
        arguments += ["--kernel-path", self.kernel_path]
        arguments.append("--exit-when-orphaned" if self.exit_when_orphaned else "--stay-when-orphaned")
        return arguments
