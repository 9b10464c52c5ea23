from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sidestream.cli.media import run_media
from sidestream.media.options import EngineOptions, KernelPath, MediaInterface, TlsListener

process = pytest.importorskip("sidestream.media.process", reason="the native module is not built (make build)")


@pytest.fixture
def run(monkeypatch):
    started = []

    def engine(socket: Path | None, options: EngineOptions, tls: TlsListener | None) -> None:
        if options.ports[0] > options.ports[1]:
            raise ValueError("no ports")
        if socket is not None and socket.name == "taken.sock":
            raise OSError(98, "Address already in use")
        started.append((socket, options) if tls is None else (socket, options, tls))

    monkeypatch.setattr(process, "run_engine", engine)
    app = typer.Typer()
    app.command()(run_media)

    def invoke(*arguments: str):
        return CliRunner().invoke(app, arguments), started

    return invoke


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions(),
        EngineOptions(
            interfaces=(MediaInterface("default", "127.0.0.1", "192.0.2.1"), MediaInterface("srs", "::1", "::1")),
            ports=(30000, 30099),
            workers=3,
            silence_ms=1000,
            orphan_grace_s=2.5,
            port_cooldown_ms=10,
            max_sessions=5,
            max_mbit_s=2.5,
            dscp=0,
            pacing=False,
            kernel_path=KernelPath.REQUIRE,
            exit_when_orphaned=False,
        ),
    ],
)
def test_it_understands_what_the_supervisor_says(run, options: EngineOptions) -> None:
    result, started = run(*options.arguments(Path("/run/media.sock")))
    assert result.exit_code == 0, result.output
    assert started == [(Path("/run/media.sock"), options)]


def test_alone_it_stays_when_nobody_is_connected(run) -> None:
    _, [(socket, options)] = run("--socket", "m.sock")
    assert socket.is_absolute()
    assert not options.exit_when_orphaned


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--listen", "tcp://127.0.0.1:1"), 2, "tls://ADDRESS:PORT"),
        (("--listen", "tls://127.0.0.1:1"), 2, "--tls-certificate"),
        (("--socket", "m", "--tls-key", "k"), 2, "--tls-client-ca"),
        (("--socket", "m", "--interface", "nonsense"), 2, "NAME=BIND"),
        (("--socket", "m", "--port-min", "9", "--port-max", "7"), 2, "no ports"),
        (("--socket", "taken.sock"), 1, "Address already in use"),
    ],
)
def test_what_cannot_be_is_said_without_a_traceback(run, arguments, status: int, words: str) -> None:
    result, _ = run(*arguments)
    assert result.exit_code == status
    assert words in result.output
    assert "Traceback" not in result.output


def test_other_machines_may_be_served(run) -> None:
    files = (
        "--tls-certificate",
        "c",
        "--tls-key",
        "k",
        "--tls-client-ca",
        "a",
        "--tls-peer",
        "one",
        "--tls-peer",
        "two",
    )
    result, [(socket, _, tls)] = run("--listen", "tls://[::1]:7443", *files)
    assert result.exit_code == 0, result.output
    assert socket is None
    assert tls == TlsListener("[::1]:7443", Path("c"), Path("k"), Path("a"), ("one", "two"))
    # the service manager listens
    _, [_, (_, _, tls)] = run(*files)
    assert tls.address is None
