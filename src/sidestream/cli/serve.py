"""`sidestream serve` and `sidestream check-config`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sidestream.app.config import Config, load
from sidestream.app.config_problem import ConfigError
from sidestream.app.run import Announce, StartFailed, run_platform
from sidestream.base.logs import configure_logs
from sidestream.cli.check_config import run_check_config


def run_serve(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="A TOML file; none: embedded defaults.")] = None,
) -> None:
    """Run the platform: SIP, API, console, media engine and, unless switched off, the bundled SRS."""
    settings = load_or_exit(config)
    configure_logs(settings.log.level, json=settings.log.json)
    try:
        run_platform(settings, announce=Announce(), reread=lambda: load(config, os.environ))
    except StartFailed as error:
        typer.echo(f"sidestream: cannot start: {error}", err=True)
        raise typer.Exit(1) from error


def run_check_config_command(path: Annotated[Path, typer.Argument(help="The TOML file to check.")]) -> None:
    """Say what is wrong with a configuration file, with line and key."""
    raise typer.Exit(run_check_config(path))


def load_or_exit(path: Path | None) -> Config:
    """The configuration, or every problem on standard error and exit status 2."""
    try:
        return load(path, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
