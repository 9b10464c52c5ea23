"""`sidestream media`: the media engine, in the foreground."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sidestream.media.options import EngineOptions, MediaInterface, OptionError

_DEFAULTS = EngineOptions()


class Pacing(StrEnum):
    AUTO = "auto"
    OFF = "off"


def run_media(
    socket: Annotated[Path, typer.Option(help="Unix socket to listen on; `serve` speaks to the engine there.")],
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
    pacing: Annotated[
        Pacing, typer.Option(help="auto: handle packets of half a millisecond together while the load is low.")
    ] = Pacing.AUTO,
    exit_when_orphaned: Annotated[
        bool,
        typer.Option("--exit-when-orphaned/--stay-when-orphaned", help="End some time after the last client has gone."),
    ] = False,
) -> None:
    """Move, fork, play and record the media of calls, as told over a local socket."""
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
        )
        run_engine(socket.absolute(), options)
    except (OptionError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        typer.echo(f"The media engine cannot start: {error}", err=True)
        raise typer.Exit(1) from error
