"""Which ICMP errors are failures: RFC 3261 §18.4."""

import errno
import socket

import pytest

from sidestream.wire import icmp

ICMP, ICMP6, LOCAL = 2, 3, 1


@pytest.mark.parametrize(
    ("origin", "icmp_type", "code", "expected"),
    [
        (ICMP, 3, 3, True),  # port unreachable
        (ICMP, 3, 1, True),  # host unreachable
        (ICMP, 3, 4, False),  # fragmentation needed
        (ICMP, 12, 0, True),  # parameter problem
        (ICMP, 11, 0, False),  # time exceeded
        (ICMP, 4, 0, False),  # source quench
        (ICMP6, 1, 4, True),  # port unreachable
        (ICMP6, 4, 0, True),  # parameter problem
        (ICMP6, 2, 0, False),  # too big
        (ICMP6, 3, 0, False),  # time exceeded
        (LOCAL, 3, 3, False),
    ],
)
def test_what_is_a_failure(origin: int, icmp_type: int, code: int, expected: bool) -> None:
    assert icmp.is_failure(origin, icmp_type, code) is expected


def test_errors_of_older_datagrams() -> None:
    assert icmp.is_pending(OSError(errno.ECONNREFUSED, ""))
    assert not icmp.is_pending(OSError(errno.EBADF, ""))


def test_elsewhere_than_on_linux_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "plan9")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        icmp.enable(sock)
        assert icmp.watchable(sock) is sock
        assert icmp.read_errors(sock) == []
