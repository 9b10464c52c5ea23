import pytest
from typer.testing import CliRunner

from sidestream import __version__
from sidestream.cli.main import app


@pytest.fixture
def cli():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, list(arguments))


def test_the_version_is_the_packages(cli):
    assert cli("version").output == f"sidestream {__version__}\n"


@pytest.mark.parametrize("command", ["serve", "media", "srs", "demo", "check-config"])
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
