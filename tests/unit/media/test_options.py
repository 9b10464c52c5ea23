from pathlib import Path

import pytest

from sidestream.media.options import EngineOptions, KernelPath, MediaInterface, OptionError


@pytest.mark.parametrize(
    ("text", "interface"),
    [
        ("default=127.0.0.1", MediaInterface("default", "127.0.0.1", "127.0.0.1")),
        ("srs=10.0.0.5/203.0.113.7", MediaInterface("srs", "10.0.0.5", "203.0.113.7")),
        ("six=::1/media.example.com", MediaInterface("six", "::1", "media.example.com")),
    ],
)
def test_interfaces_are_read_and_written(text: str, interface: MediaInterface) -> None:
    assert MediaInterface.parse(text) == interface
    assert str(interface) == text


@pytest.mark.parametrize("text", ["", "default", "=127.0.0.1", "default=", "default=127.0.0.1/"])
def test_malformed_interfaces_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--interface"):
        MediaInterface.parse(text)


def test_options_become_the_command_line() -> None:
    options = EngineOptions(
        interfaces=(MediaInterface("default", "::1", "::1"), MediaInterface("b", "127.0.0.1", "192.0.2.1")),
        ports=(30000, 30999),
        workers=2,
        silence_ms=5000,
        orphan_grace_s=1.5,
        port_cooldown_ms=100,
        max_sessions=7,
        max_mbit_s=0.5,
        dscp=0,
        pacing=False,
        kernel_path=KernelPath.AUTO,
        exit_when_orphaned=False,
    )
    assert " ".join(options.arguments(Path("/run/m.sock"))) == (
        "--socket /run/m.sock --interface default=::1 --interface b=127.0.0.1/192.0.2.1 --port-min 30000"
        " --port-max 30999 --workers 2 --silence-ms 5000 --orphan-grace 1.5 --port-cooldown-ms 100"
        " --max-sessions 7 --max-mbit 0.5 --dscp 0 --pacing off --kernel-path auto --stay-when-orphaned"
    )
    assert EngineOptions().arguments(Path("/m"))[-1] == "--exit-when-orphaned"


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    assert EngineOptions().arguments(Path("/" + 106 * "x"))
    with pytest.raises(OptionError, match="--socket"):
        EngineOptions().arguments(Path("/" + 107 * "x"))
