"""`sidestream media`: the media engine, in the foreground."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sidestream.media.options import EngineOptions, KernelPath, MediaInterface, OptionError, TlsListener

_DEFAULTS = EngineOptions()


class Pacing(StrEnum):
    AUTO = "auto"
    OFF = "off"


def run_media(
    socket: Annotated[
        Path | None, typer.Option(help="Unix socket to listen on; `serve` speaks to the engine there.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(help="tls://ADDRESS:PORT, to be commanded from other machines; needs the --tls files.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="The engine's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The private key of the certificate, PEM.")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="Who signs the clients' certificates, PEM.")] = None,
    tls_peer: Annotated[
        list[str] | None, typer.Option(help="Name that a client's certificate must have; may be repeated.")
    ] = None,
    interface: Annotated[
        list[str] | None, typer.Option(help="NAME=BIND or NAME=BIND/ADVERTISED; may be repeated.")
    ] = None,
    port_min: Annotated[int, typer.Option(help="First UDP port for media.")] = _DEFAULTS.ports[0],
    port_max: Annotated[int, typer.Option(help="Last UDP port for media.")] = _DEFAULTS.ports[1],
    workers: Annotated[int, typer.Option(help="Threads that move packets; one a core.")] = _DEFAULTS.workers,
    silence_ms: Annotated[int, typer.Option(help="Report an endpoint that is silent so long.")] = _DEFAULTS.silence_ms,
    orphan_grace: Annotated[
        float, typer.Option(help="Seconds that calls live on while nobody is connected.")
    ] = _DEFAULTS.orphan_grace_s,
    port_cooldown_ms: Annotated[
        int, typer.Option(help="Rest of a port pair before it is used again.")
    ] = _DEFAULTS.port_cooldown_ms,
    max_sessions: Annotated[int, typer.Option(help="Calls at one time.")] = _DEFAULTS.max_sessions,
    max_mbit: Annotated[
        float, typer.Option(help="Refuse new calls from so many megabits of RTP a second on; 0: no limit.", min=0)
    ] = _DEFAULTS.max_mbit_s,
    dscp: Annotated[int, typer.Option(help="Mark of RTP and RTCP; 0: none.", min=0, max=63)] = _DEFAULTS.dscp,
    pacing: Annotated[
        Pacing, typer.Option(help="auto: handle packets of half a millisecond together while the load is low.")
    ] = Pacing.AUTO,
    kernel_path: Annotated[
        KernelPath, typer.Option(help="Let the kernel relay and fork steady calls: off, where it can, or always.")
    ] = _DEFAULTS.kernel_path,
    exit_when_orphaned: Annotated[
        bool,
        typer.Option("--exit-when-orphaned/--stay-when-orphaned", help="End some time after the last client has gone."),
    ] = False,
) -> None:
    """Move, fork, play and record the media of calls, as told over a local socket or by TLS."""
    # Only this process loads the native module.
    from sidestream.media.process import run_engine

    try:
        interfaces = tuple(MediaInterface.parse(text) for text in interface) if interface else _DEFAULTS.interfaces
        options = EngineOptions(
            interfaces=interfaces,
            ports=(port_min, port_max),
            workers=workers,
            silence_ms=silence_ms,
            orphan_grace_s=orphan_grace,
            port_cooldown_ms=port_cooldown_ms,
            max_sessions=max_sessions,
            exit_when_orphaned=exit_when_orphaned,
            pacing=pacing is Pacing.AUTO,
            max_mbit_s=max_mbit,
            dscp=dscp,
            kernel_path=kernel_path,
        )
        tls = _tls(listen, (tls_certificate, tls_key, tls_client_ca), tuple(tls_peer or ()))
        run_engine(None if socket is None else socket.absolute(), options, tls)
    except (OptionError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        typer.echo(f"The media engine cannot start: {error}", err=True)
        raise typer.Exit(1) from error


def _tls(
    listen: str | None, files: tuple[Path | None, Path | None, Path | None], peers: tuple[str, ...]
) -> TlsListener | None:
    """How other machines reach the engine. Raises `OptionError`."""
    scheme, separator, address = (listen or "").partition("://")
    if listen is not None and (scheme != "tls" or not separator or not address):
        raise OptionError("listen", f"{listen!r} is not tls://ADDRESS:PORT")
    certificate, private_key, client_ca = files
    if certificate is None or private_key is None or client_ca is None:
        if listen is None and files == (None, None, None):
            return None
        raise OptionError("listen", "needs --tls-certificate, --tls-key and --tls-client-ca")
    return TlsListener(None if listen is None else address, certificate, private_key, client_ca, peers)
