"""The composition root: builds every room from a Config, starts them in order and stops them in reverse."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook, make_account
from sidestream.accounts.domain import DomainBook
from sidestream.app.config import Config, ListenerConfig, bundled_connector
from sidestream.app.http import HttpServer, create_http_app
from sidestream.app.reload import TAKEN, left_for_restart
from sidestream.base.clock import Clock, SystemClock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics
from sidestream.calls.adoption import Adoption
from sidestream.calls.audio import AudioLibrary
from sidestream.calls.front import CallFront
from sidestream.calls.imaging import Imaging
from sidestream.calls.live import LiveCalls
from sidestream.calls.script import run_script
from sidestream.calls.services import CallSettings, Services
from sidestream.calls.speech import Speech
from sidestream.calls.users import SipUsers, make_gate
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.debugger.debugger import Debugger
from sidestream.media.address import EngineAddress
from sidestream.media.client import EngineClient
from sidestream.media.options import SOCKET_PATH_LIMIT, EngineOptions, MediaInterface
from sidestream.media.supervisor import EngineSupervisor
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.config import DEFAULT_ALLOW, AgentConfig
from sidestream.sip.agent.events import AgentEvent, RequestAnswered
from sidestream.sip.transport import Transport
from sidestream.siprec.body import ACCEPTED_TYPES
from sidestream.srs.config import SrsConfig, default_listeners
from sidestream.srs.server import SrsServer
from sidestream.storage.sqlite import open_database
from sidestream.storage.stores import Stores
from sidestream.trunks.registrations import Registrations
from sidestream.trunks.trunk_book import TrunkBook
from sidestream.webhooks.client import HttpClient
from sidestream.webhooks.fetch import DocumentFetcher
from sidestream.webhooks.outbox import Outbox
from sidestream.wire.driver import Listener, SipDriver
from sidestream.wire.rate_limit import RateSettings

log = get_logger("app")

RATE_BURST_S = 2  # seconds of a source's rate that may come at once
OUTBOX_DRAIN_S = 10.0  # how long a stop waits for callbacks; the rest is sent after the next start


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the platform can be reached. Hosts are bound ones; `api` has no slash at its end."""

    sip: tuple[tuple[str, str, int], ...]  # transport, host, port
    api: str
    console: str
    srs: tuple[str, int] | None


class Platform:
    """Everything that `sidestream serve` runs. Start it once; `stop` ends calls first, then what they stand on.

    `made_account` is the account that this start made because there was none; its token is shown once.
    """

    def __init__(self, config: Config, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.ids = ids or Ids()
        self.metrics = Metrics()
        self.made_account: Account | None = None
        self._is_up = False
        self._stack = AsyncExitStack()
        self.services: Services
        self.front: CallFront
        self.stores: Stores
        self.accounts: AccountBook
        self.engine: EngineClient
        self.addresses: Addresses

    async def start(self) -> None:
        """Bind, connect and recover. Raises OSError, EngineStartError, StorageError; then nothing is left running."""
        try:
            await self._start()
            self._is_up = True
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """End live calls, send what can be sent, close everything. Idempotent."""
        await self._stack.aclose()

    async def reload(self, config: Config) -> tuple[str, ...]:
        """Take accounts, numbers, domains, trunks and connectors from `config`, for calls from now on.

        Returns the other sections that have changed: they wait for a restart.
        """
        config = await self._with_account(config)
        left = left_for_restart(self.config, config)
        services = self.services
        services.accounts.become(AccountBook(config.accounts, config.numbers))
        services.trunks.become(TrunkBook(config.trunks))
        services.connectors.become(ConnectorBook(config.connectors))
        services.users.domains.become(DomainBook(config.domains))
        services.driver.limit_rate(_rate(config))
        taken = {name: getattr(config, name) for name in TAKEN}
        self.config = replace(self.config, **taken)
        log.info("= configuration reloaded", left_for_restart=", ".join(left) or None)
        return left

    async def _start(self) -> None:
        config = self.config
        data_dir = config.data_dir.absolute()
        data_dir.mkdir(parents=True, exist_ok=True)
        self.stores = await open_database(config.storage_url)
        self._stack.push_async_callback(self.stores.close)
        config = self.config = await self._with_account(config)
        self.accounts = AccountBook(config.accounts, config.numbers)
        self.engine = await self._start_engine(config, data_dir)
        debugger = Debugger(self.stores.alerts, self.ids, self.clock)
        http_client = HttpClient(clock=self.clock, metrics=self.metrics)
        self._stack.push_async_callback(http_client.close)
        outbox = Outbox(self.stores.outbox, http_client, self.accounts, self.clock, debugger)
        driver = SipDriver(
            listeners=[_listener(listener) for listener in config.listeners],
            # What recording servers send inside their sessions: Require: siprec and snapshot requests (RFC 7866 §9.2).
            config=AgentConfig(
                name="Sidestream",
                allow=(*DEFAULT_ALLOW, "REFER", *(("REGISTER",) if config.domains else ())),
                supported=("siprec", "replaces"),
                accept=(*ACCEPTED_TYPES, "multipart/mixed"),
                session_timer=config.session_timer,
                session_limit=config.limits.sip_sessions,
            ),
            ids=self.ids,
            clock=self.clock,
            tls=config.tls,
            dns=config.dns,
            rate=_rate(config),
            metrics=self.metrics,
        )
        library = AudioLibrary(data_dir / "audio")
        self.services = Services(
            driver=driver,
            engine=self.engine,
            clock=self.clock,
            ids=self.ids,
            metrics=self.metrics,
            accounts=self.accounts,
            trunks=TrunkBook(config.trunks),
            connectors=ConnectorBook(config.connectors),
            debugger=debugger,
            fetcher=DocumentFetcher(http_client, self.ids, debugger),
            outbox=outbox,
            live=LiveCalls(self.metrics),
            calls=self.stores.calls,
            imaging=Imaging(self.stores.images),
            siprecs=self.stores.siprecs,
            audio=library,
            speech=Speech(library, data_dir / "speech"),
            script=run_script,
            settings=CallSettings(
                sip_host=_sip_host(config),
                calls=config.limits.calls,
                forks_per_call=config.limits.siprec_forks_per_call,
            ),
            users=await self._users(config),
        )
        registrations = Registrations(
            config.trunks,
            driver,
            ids=self.ids,
            clock=self.clock,
            metrics=self.metrics,
            debugger=debugger,
            account_sids=tuple(account.sid for account in config.accounts),
        )
        self.front = CallFront(self.services)
        outbox.start()
        self._stack.push_async_callback(outbox.close)
        driver.default_sink = _Switch(registrations, self.front)
        adoption = Adoption(
            self.services,
            self.stores.images,
            adopts=config.restart.adopts,
            owns_engine=not config.media.external,
            dead_servers=[target.text for target in bundled_connector(config.srs.host, config.srs.port).targets],
        )
        await adoption.prepare()
        # After `prepare`, which closes the sessions that a bundled server of before has left in the engine.
        srs_server = await self._start_srs(config, data_dir)
        await driver.start()
        self._stack.push_async_callback(driver.close)
        adoption.carry_out()
        await adoption.clear()
        routes = create_http_app(
            self.services,
            self.front,
            self.stores,
            srs_server,
            registrations,
            media_ready=lambda: self.engine.connected,
        )
        http = HttpServer(routes, config.http.host, config.http.port)
        await http.start()
        self._stack.push_async_callback(http.stop)
        self._stack.push_async_callback(self._drain, outbox)
        registrations.start()
        self._stack.push_async_callback(registrations.stop)
        self.addresses = self._addresses(driver, http, srs_server)

    async def _drain(self, outbox: Outbox) -> None:
        await self.front.drain()
        if not await outbox.drain(OUTBOX_DRAIN_S):
            log.warning("! callbacks are left for the next start")

    async def _with_account(self, config: Config) -> Config:
        """Accounts of the store join those of the file; if there are none at all, one is made and kept."""
        stored = await self.stores.accounts.all()
        if not stored and not config.accounts:
            self.made_account = make_account(self.ids)
            await self.stores.accounts.add(self.made_account)
            stored = [self.made_account]
        for account in stored:
            config = config.with_account(account)
        return config

    async def _users(self, config: Config) -> SipUsers:
        """The users of the domains, registered as they were before the restart."""
        domains, registrar = DomainBook(config.domains), Registrar(self.stores.bindings, config.registrar)
        reachable = await registrar.recover(domains.owns, self.clock.monotonic(), self.clock.wall())
        if reachable:
            log.info("= users are registered from before", users=reachable)
        self.metrics.users_registered.set_function(lambda: registrar.count(self.clock.monotonic()))
        return SipUsers(domains, registrar, make_gate(self.ids, config.digest))

    async def _start_engine(self, config: Config, data_dir: Path) -> EngineClient:
        media = config.media
        address: EngineAddress | None = (media.address or media.socket) if media.external else None
        if address is None:
            directory = media.socket.parent if media.socket is not None else data_dir / "media"
            fits = len(str(directory.absolute() / "media.sock").encode()) <= SOCKET_PATH_LIMIT
            supervisor = EngineSupervisor(
                EngineOptions(
                    interfaces=tuple(
                        MediaInterface(i.name, i.address, i.advertised or i.address) for i in media.interfaces
                    ),
                    ports=(media.port_low, media.port_high),
                    workers=media.workers,
                    max_sessions=media.max_sessions,
                    max_mbit_s=media.max_mbit,
                    dscp=media.dscp,
                    kernel_path=media.kernel_path,
                    orphan_grace_s=config.restart.grace_s,
                    pacing=media.pacing,
                    exit_when_orphaned=True,
                ),
                directory=directory if fits else None,
            )
            await supervisor.start()
            self._stack.push_async_callback(self._end_engine, supervisor)
            address = supervisor.socket
        engine = EngineClient(address)
        await engine.connect()
        self._stack.push_async_callback(engine.close)
        return engine

    async def _end_engine(self, supervisor: EngineSupervisor) -> None:
        """A start that fails must not take the calls of the process before with it: the next one may succeed."""
        await (supervisor.stop() if self._is_up else supervisor.leave())

    async def _start_srs(self, config: Config, data_dir: Path) -> SrsServer | None:
        if not config.srs.enabled:
            return None
        host, port = config.srs.host, config.srs.port
        listeners = default_listeners(host, port, config.srs.tls_port)
        directory = config.srs.directory or data_dir / "recordings"
        tls = config.srs.tls if config.srs.tls_port is not None else None
        server = SrsServer(SrsConfig(directory, listeners, tls=tls), self.engine, self.clock, self.ids)
        await server.start()
        self._stack.push_async_callback(server.close)
        return server

    def _addresses(self, driver: SipDriver, http: HttpServer, srs: SrsServer | None) -> Addresses:
        base = self.config.http.public_url or f"http://{self.config.http.host}:{http.port}"
        sip = tuple((listener.transport, *driver.addresses[listener.name]) for listener in self.config.listeners)
        bundled = srs.driver.addresses["srs-udp"] if srs is not None else None
        return Addresses(sip=sip, api=base, console=f"{base}/console", srs=bundled)


class _Switch:
    """Events of no session: answers to our own REGISTERs, and what strangers send."""

    def __init__(self, registrations: Registrations, front: CallFront) -> None:
        self._registrations = registrations
        self._front = front

    def __call__(self, event: AgentEvent) -> None:
        if not (isinstance(event, RequestAnswered) and self._registrations.take(event)):
            self._front.take_sip_event(event)


def _listener(config: ListenerConfig) -> Listener:
    transport = Transport(config.transport.upper())
    return Listener(config.name, transport, config.host, config.port, config.advertised, config.nat, config.origins)


def _rate(config: Config) -> RateSettings:
    """Whoever is configured may send what it likes: a carrier's calls all come from one address."""
    per_second = config.limits.requests_per_second
    known = tuple(network for trunk in config.trunks for network in trunk.sources)
    return RateSettings(per_second, per_second * RATE_BURST_S, known)


def _sip_host(config: Config) -> str:
    first = config.listeners[0]
    return first.advertised or first.host
