import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidestream.cli import srs
from sidestream.cli.main import app
from sidestream.testing.certificates import Authority
from sidestream.wire.tls import ClientAuth, TlsSettings


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_without_a_password_everybody_may_look() -> None:
    assert srs._admission(None) is None


@pytest.mark.parametrize(
    ("given", "admitted"),
    [
        (header("srs", "geheim"), True),
        (header("srs", "Geheim"), False),
        (header("admin", "geheim"), False),
        (header("srs", ""), False),
        ("", False),
        ("Bearer geheim", False),
    ],
)
def test_with_a_password_only_its_user(given: str, admitted: bool) -> None:
    admits = srs._admission("geheim")
    assert admits is not None
    assert admits(given) is admitted


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("srs.example", False),
    ],
)
def test_which_hosts_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert srs._is_loopback(host) is loopback


def test_pages_for_others_need_a_password() -> None:
    result = CliRunner().invoke(app, ["srs", "--http-host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "--password" in result.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--tls-port", "0"), "--certificate"),
        (("--certificate", "x"), "--tls-port"),
        (("--key", "x"), "--certificate"),
        (("--ca", "x"), "--certificate"),
        (("--tls-port", "0", "--certificate", "nowhere.pem"), "--certificate"),
    ],
)
def test_tls_needs_its_files(options: tuple[str, ...], problem: str) -> None:
    result = CliRunner().invoke(app, ["srs", *options])
    assert result.exit_code == 2
    assert problem in result.output


def test_an_authority_means_that_clients_have_to_show_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("srs")
    assert srs._tls(None, None, None, None) is None
    assert srs._tls(0, certificate, key, None) == TlsSettings(certificate, key)
    assert srs._tls(0, certificate, key, authority.path) == TlsSettings(
        certificate, key, authority.path, ClientAuth.REQUIRED
    )
