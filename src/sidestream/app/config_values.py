"""The configuration as values: what `sidestream serve` runs with."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from sidestream.accounts.account import Account, Number
from sidestream.accounts.domain import Domain
from sidestream.connectors.connector import Connector
from sidestream.media.address import TlsAddress
from sidestream.media.options import KernelPath
from sidestream.registrar.gate import ALGORITHMS
from sidestream.registrar.limits import Limits as RegistrarLimits
from sidestream.sip.session_timer import SessionTimerPolicy
from sidestream.trunks.trunk_book import Trunk
from sidestream.wire.resolver import DnsSettings
from sidestream.wire.tls import TlsSettings


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """A SIP socket. `advertised` is the host that peers are told (Via, Contact); None: the bound one."""

    name: str
    transport: str  # "udp", "tcp", "tls", "ws" or "wss"
    host: str
    port: int  # 0: any free one
    advertised: str | None = None
    nat: bool = False  # peers may stand behind a NAT that their Contact and Via know nothing of
    origins: tuple[str, ...] = ()  # web sites whose pages may connect by WebSocket


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """A local address for RTP, and the address that SDP names instead of it, behind NAT."""

    name: str
    address: str
    advertised: str | None = None


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """The media engine. Ports are UDP, both bounds included.

    `socket` None: a path that the composition root chooses. `external`: somebody else runs the engine, there or at
    `address`, and what follows `external` is that engine's own matter.
    """

    port_low: int = 20000
    port_high: int = 29999
    interfaces: tuple[InterfaceConfig, ...] = (InterfaceConfig("default", "127.0.0.1"),)
    workers: int = 1
    kernel_path: KernelPath = KernelPath.OFF
    socket: Path | None = None
    address: TlsAddress | None = None
    external: bool = False
    pacing: bool = True
    max_sessions: int = 10_000
    max_mbit: float = 0.0
    dscp: int = 46


@dataclass(frozen=True, slots=True)
class RestartConfig:
    """After an end without warning. `grace`: seconds for which the engine waits for the next control process."""

    adopts: bool = True
    grace_s: float = 60.0  # a start takes seconds, and many on a machine that is busy with why the last one ended


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """REST API and console. `public_url` is what absolute URLs in answers begin with, without a slash at the end."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class SrsConfig:
    """The bundled recording server, UDP and TCP; `directory` None: `recordings` under the data directory.

    `tls_port` None: no TLS.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 5070
    directory: Path | None = None
    tls_port: int | None = None
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, slots=True)
class LogConfig:
    level: str = "info"
    json: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    calls: int = 1000  # at once
    siprec_forks_per_call: int = 4
    sip_sessions: int = 5000  # at once: legs and recording sessions
    requests_per_second: int = 200  # of one source; 0: any number


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `serve` needs to know.

    A number or domain without an account has the empty account SID: `with_account` gives it the account that the
    server made.
    """

    accounts: tuple[Account, ...] = ()
    numbers: tuple[Number, ...] = ()
    domains: tuple[Domain, ...] = ()
    registrar: RegistrarLimits = field(default_factory=RegistrarLimits)
    digest: tuple[str, ...] = ALGORITHMS  # asked for in challenges, the preferred one first
    trunks: tuple[Trunk, ...] = ()
    connectors: tuple[Connector, ...] = ()
    listeners: tuple[ListenerConfig, ...] = ()
    tls: TlsSettings = field(default_factory=TlsSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    session_timer: SessionTimerPolicy | None = field(default_factory=SessionTimerPolicy)
    media: MediaConfig = field(default_factory=MediaConfig)
    restart: RestartConfig = field(default_factory=RestartConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    srs: SrsConfig = field(default_factory=SrsConfig)
    storage_url: str = "sqlite:///sidestream-data/sidestream.db"
    data_dir: Path = Path("sidestream-data")
    log: LogConfig = field(default_factory=LogConfig)
    limits: Limits = field(default_factory=Limits)

    def with_account(self, account: Account) -> "Config":
        """This configuration with an account that the server made or stored; it gets the numbers and
        domains that have none.

        An account that the file has, too, stays as the file has it.
        """
        if any(known.sid == account.sid for known in self.accounts):
            return self
        numbers = tuple(n if n.account_sid else replace(n, account_sid=account.sid) for n in self.numbers)
        domains = tuple(d if d.account_sid else replace(d, account_sid=account.sid) for d in self.domains)
        return replace(self, accounts=(*self.accounts, account), numbers=numbers, domains=domains)
