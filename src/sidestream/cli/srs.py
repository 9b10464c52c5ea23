"""`sidestream srs`: the reference recording server by itself."""

import asyncio
import hmac
import ipaddress
import signal
from pathlib import Path
from typing import Annotated

import typer
from starlette.applications import Starlette

from sidestream.accounts.credentials import basic_credentials
from sidestream.app.http import HttpServer
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.base.logs import configure_logs
from sidestream.media.client import EngineClient
from sidestream.media.options import EngineOptions, MediaInterface
from sidestream.media.supervisor import EngineStartError, EngineSupervisor
from sidestream.srs.config import DEFAULT_PORT, SrsConfig, default_listeners
from sidestream.srs.server import SrsServer
from sidestream.srs.web import Admission, create_srs_web, recordings_home

DEFAULT_HTTP_PORT = 8081
USER = "srs"


def run_srs(
    directory: Annotated[Path, typer.Option(help="Where recordings are kept.")] = Path("sidestream-data/recordings"),
    host: Annotated[str, typer.Option(help="Address for SIP (UDP and TCP) and media.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="SIP port.")] = DEFAULT_PORT,
    http_host: Annotated[str, typer.Option(help="Address of the pages.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="Port of the pages.")] = DEFAULT_HTTP_PORT,
    password: Annotated[
        str | None,
        typer.Option(envvar="SIDESTREAM_SRS_PASSWORD", help=f"Of the user {USER}, who may see the recordings."),
    ] = None,
    strict: Annotated[bool, typer.Option(help="Refuse INVITEs without +sip.src or siprec.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Take SIPREC INVITEs, record their streams and show the recordings over HTTP, until it is interrupted."""
    if password is None and not _is_loopback(http_host):
        raise typer.BadParameter("pages that others can reach need --password", param_hint="--http-host")
    configure_logs(log_level)
    config = SrsConfig(directory, default_listeners(host, port), strict=strict)
    try:
        asyncio.run(_serve(config, MediaInterface("default", host, host), (http_host, http_port), password))
    except (OSError, EngineStartError) as error:
        typer.echo(f"sidestream srs: cannot start: {error}", err=True)
        raise typer.Exit(1) from error


async def _serve(config: SrsConfig, interface: MediaInterface, http: tuple[str, int], password: str | None) -> None:
    supervisor = EngineSupervisor(EngineOptions(interfaces=(interface,)))
    await supervisor.start()
    engine = EngineClient(supervisor.socket)
    try:
        await engine.connect()
        server = SrsServer(config, engine, SystemClock(), Ids())
        await server.start()
        try:
            routes = [recordings_home(), *create_srs_web(server.archive, admits=_admission(password))]
            pages = HttpServer(Starlette(routes=routes), *http)
            await pages.start()
            typer.echo(f"SIPREC at sip:srs@{server.address[0]}:{server.address[1]}, udp and tcp")
            typer.echo(f"Recordings at http://{http[0]}:{pages.port}/recordings")
            await _interrupted()
            await pages.stop()
        finally:
            await server.close()
    finally:
        await engine.close()
        await supervisor.stop()


async def _interrupted() -> None:
    done = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    await done.wait()


def _admission(password: str | None) -> Admission | None:
    if password is None:
        return None
    expected = (USER, password)

    def admits(header: str) -> bool:
        given = basic_credentials(header)
        return given is not None and all(
            hmac.compare_digest(mine.encode(), theirs.encode("utf-8", "surrogateescape"))
            for mine, theirs in zip(expected, given, strict=True)
        )

    return admits


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
