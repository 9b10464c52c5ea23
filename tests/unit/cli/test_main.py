import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sidestream import __version__
from sidestream.cli.main import COMMANDS, app


@pytest.fixture
def cli():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(arguments))


def test_the_version_is_the_packages(cli):
    assert cli("version").output == f"sidestream {__version__}\n"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself(cli, command):
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert result.output.strip()


def test_a_faulty_configuration_stops_serve_before_it_starts(cli, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[http]\nport = 99999\n")
    result = cli("serve", "--config", str(path))
    assert result.exit_code == 2
    assert f"{path}:2: http.port:" in result.output


def test_check_config_says_what_is_wrong(cli, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[htp]\n")
    result = cli("check-config", str(path))
    assert result.exit_code == 1
    assert "htp" in result.output


def test_a_command_that_does_not_exist_is_refused(cli):
    result = cli("serv")
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_commands_load_nothing_of_each_other():
    """What `serve` imports is time in which calls wait for it after a crash."""
    lines = (
        "import sys",
        "from sidestream.cli.main import COMMANDS, main",
        "early = {name for name in sys.modules if name.startswith('sidestream.')}",
        "assert early == {'sidestream.cli', 'sidestream.cli.main'}, early",
        "COMMANDS['serve']()",
        "late = {'sidestream.demo', 'sidestream.testing', 'alembic', 'pygments'} & set(sys.modules)",
        "assert not late, late",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
