"""Running the platform in the foreground: start, wait for a signal, stop."""

import asyncio
import signal
from collections.abc import Callable

import uvloop

from sidestream.app.collector import settle_collector
from sidestream.app.config import Config
from sidestream.app.config_problem import ConfigError
from sidestream.app.platform import Platform
from sidestream.base.logs import get_logger
from sidestream.media.supervisor import EngineStartError
from sidestream.sip.uri import Uri
from sidestream.storage.errors import StorageError

log = get_logger("app")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StartFailed(Exception):
    """The platform could not be started. `cause` is what a port, the media engine or the database said."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause

    def __str__(self) -> str:
        return str(self.cause)


def run_platform(config: Config, *, announce: "Announce", reread: Callable[[], Config]) -> None:
    """Run until SIGINT or SIGTERM; a second one ends the process at once. `announce` is told when all is up.

    SIGHUP takes what can be taken of the configuration that `reread` gives; it may raise ConfigError, and then nothing
    changes. Raises StartFailed.
    """
    uvloop.run(_run(config, announce, reread))


class Announce:
    """Says on standard output where the platform is; the token of a new account is shown here and never again."""

    def __call__(self, platform: Platform) -> None:
        addresses = platform.addresses
        lines = ["Sidestream is running.", ""]
        sip = [Uri.sip(None, host, port, (("transport", name.lower()),)) for name, host, port in addresses.sip]
        lines += [f"  SIP            {uri}" for uri in sip]
        lines += [f"  API            {addresses.api}/2010-04-01", f"  Console        {addresses.console}"]
        if addresses.srs is not None:
            lines += [f"  Bundled SRS    sip:srs@{addresses.srs[0]}:{addresses.srs[1]} (connector Default)"]
        if platform.made_account is not None:
            account = platform.made_account
            lines += ["", "A new account was made. Its auth token is shown only now:"]
            lines += [f"  Account SID    {account.sid}", f"  Auth token     {account.auth_token}"]
        else:
            lines += [f"  Account SID    {account.sid}" for account in platform.accounts.accounts]
        print("\n".join([*lines, "", "Point a phone or trunk at the SIP address; Ctrl-C ends the server."]), flush=True)


async def _run(config: Config, announce: Announce, reread: Callable[[], Config]) -> None:
    platform = Platform(config)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _stop, stopping, number)
    try:
        await platform.start()
    except (OSError, EngineStartError, StorageError) as error:
        raise StartFailed(error) from error
    settle_collector()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = asyncio.create_task(_reload(platform, reread))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        announce(platform)
        await stopping.wait()
        log.info("= stopping")
    finally:
        await platform.stop()


async def _reload(platform: Platform, reread: Callable[[], Config]) -> None:
    try:
        await platform.reload(await asyncio.to_thread(reread))
    except ConfigError as error:
        log.error("! configuration not reloaded, the old one stays", problems=str(error))
    except StorageError as error:
        log.error("! configuration not reloaded, the store failed", problem=str(error))


def _stop(stopping: asyncio.Event, number: signal.Signals) -> None:
    if stopping.is_set():
        raise SystemExit(128 + number)
    stopping.set()
