"""The `sidestream` command."""

import typer

from sidestream.cli.demo import run_demo
from sidestream.cli.media import run_media
from sidestream.cli.serve import run_check_config_command, run_serve
from sidestream.cli.srs import run_srs

app = typer.Typer(
    name="sidestream",
    help="Live phone calls in over SIP, their audio out to a Session Recording Server by SIPREC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(run_serve)
app.command("media")(run_media)
app.command("srs")(run_srs)
app.command("demo")(run_demo)
app.command("check-config")(run_check_config_command)


@app.command("version")
def version() -> None:
    """Print the version."""
    from sidestream import __version__

    typer.echo(f"sidestream {__version__}")


def main() -> None:
    """Entry point of the command."""
    app()
