"""The `sidestream` command."""

from collections.abc import Callable, Mapping
from typing import Any

import typer
from typer.core import TyperGroup


def _serve() -> Callable[..., None]:
    from sidestream.cli.serve import run_serve

    return run_serve


def _media() -> Callable[..., None]:
    from sidestream.cli.media import run_media

    return run_media


def _srs() -> Callable[..., None]:
    from sidestream.cli.srs import run_srs

    return run_srs


def _demo() -> Callable[..., None]:
    from sidestream.cli.demo import run_demo

    return run_demo


def _check_config() -> Callable[..., None]:
    from sidestream.cli.serve import run_check_config_command

    return run_check_config_command


def _version() -> Callable[..., None]:
    return version


COMMANDS: Mapping[str, Callable[[], Callable[..., None]]] = {
    "serve": _serve,
    "media": _media,
    "srs": _srs,
    "demo": _demo,
    "check-config": _check_config,
    "version": _version,
}


class Commands(TyperGroup):
    """Loads a command when it is asked for.

    What `serve` takes to import is time in which calls wait for it after a crash, so it has to load nothing of the
    others.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        load = COMMANDS.get(cmd_name)
        if load is None:
            return None
        single = typer.Typer(**_SETTINGS)
        single.command(cmd_name)(load())
        return typer.main.get_command(single)


_SETTINGS: Mapping[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}

app = typer.Typer(name="sidestream", cls=Commands, no_args_is_help=True, **_SETTINGS)


@app.callback(help="Live phone calls in over SIP, their audio out to a Session Recording Server by SIPREC.")
def _nothing_of_its_own() -> None:
    pass


def version() -> None:
    """Print the version."""
    from sidestream import __version__

    typer.echo(f"sidestream {__version__}")


def main() -> None:
    """Entry point of the command."""
    app()
