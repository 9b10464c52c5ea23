"""The machine's own host table."""

import os
from pathlib import Path

import pytest

from sidestream.testing.virtual_clock import VirtualClock
from sidestream.wire import hosts
from sidestream.wire.hosts import CHECK_S, HostTable, parse_hosts


def test_lines_of_a_host_table() -> None:
    text = "127.0.0.1 localhost\n# 10.0.0.1 no\n10.0.0.2\tA.example a. # both\nbroken b\n10.0.0.3\n::1 a\n"
    assert parse_hosts(text) == {
        "localhost": ["127.0.0.1"],
        "a.example": ["10.0.0.2"],
        "a": ["10.0.0.2", "::1"],
    }


def test_an_edit_is_noticed_after_a_while(tmp_path: Path) -> None:
    path, clock = tmp_path / "hosts", VirtualClock()
    path.write_text("10.0.0.1 pbx\n")
    table = HostTable(clock, path)
    assert table.addresses("PBX.") == ("10.0.0.1",)
    path.write_text("10.0.0.2 pbx\n")
    os.utime(path, (1, 1))
    assert table.addresses("pbx") == ("10.0.0.1",)
    clock.advance(CHECK_S)
    assert table.addresses("pbx") == ("10.0.0.2",)
    clock.advance(CHECK_S)
    assert table.addresses("pbx") == ("10.0.0.2",)
    path.unlink()
    clock.advance(CHECK_S)
    assert table.addresses("pbx") is None


def test_a_table_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MAX_SIZE", 4)
    path = tmp_path / "hosts"
    path.write_text("10.0.0.1 pbx\n")
    assert HostTable(VirtualClock(), path).addresses("pbx") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("localhost", ("127.0.0.1", "::1")),
        ("a.localhost", ("127.0.0.1", "::1")),
        ("a.invalid", ()),
        ("invalid", ()),
        ("a.example", None),
    ],
)
def test_names_that_dns_is_never_asked_for(name: str, expected: object) -> None:
    assert HostTable(VirtualClock(), Path("/nowhere")).addresses(name) == expected
