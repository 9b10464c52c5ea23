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
from sidestream.wire.tls import ClientAuth, TlsError, TlsSettings, make_contexts

DEFAULT_HTTP_PORT = 8081
USER = "srs"


def run_srs(
    directory: Annotated[Path, typer.Option(help="Where recordings are kept.")] = Path("sidestream-data/recordings"),
    host: Annotated[str, typer.Option(help="Address for SIP (UDP and TCP) and media.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="SIP port.")] = DEFAULT_PORT,
    tls_port: Annotated[int | None, typer.Option(help="SIP port for TLS; needs --certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of the certificate and its chain.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key, if that is not in --certificate.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of authorities: clients have to show a certificate of theirs.")
    ] = None,
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
    tls = _tls(tls_port, certificate, key, ca)
    configure_logs(log_level)
    config = SrsConfig(directory, default_listeners(host, port, tls_port), strict=strict, tls=tls)
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
            if "srs-tls" in server.driver.addresses:
                secure_host, secure_port = server.driver.addresses["srs-tls"]
                typer.echo(f"SIPREC by TLS at sip:srs@{secure_host}:{secure_port};transport=tls, SRTP with secure=true")
            typer.echo(f"Recordings at http://{http[0]}:{pages.port}/recordings")
            await _interrupted()
            await pages.stop()
        finally:
            await server.close()
    finally:
        await engine.close()
        await supervisor.stop()


def _tls(port: int | None, certificate: Path | None, key: Path | None, ca: Path | None) -> TlsSettings | None:
    """The files of TLS, which have been tried. Raises BadParameter."""
    if (port is None) != (certificate is None):
        raise typer.BadParameter("belong together", param_hint="--tls-port and --certificate")
    if certificate is None:
        if key is not None or ca is not None:
            raise typer.BadParameter("is needed for --key and --ca", param_hint="--certificate")
        return None
    settings = TlsSettings(certificate, key, ca, ClientAuth.NONE if ca is None else ClientAuth.REQUIRED)
    try:
        make_contexts(settings)
    except TlsError as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.part}") from error
    return settings


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
