"""The machine's own host table, /etc/hosts, which goes before DNS."""

import os
from ipaddress import ip_address
from pathlib import Path

from sidestream.base.clock import Clock

HOSTS = Path("/etc/hosts")
CHECK_S = 5.0  # how long an edit of the file may go unnoticed
MAX_SIZE = 1 << 20  # octets; a larger one is a block list, not a host table

# RFC 6761 §6.3, §6.4: names that DNS is never asked for.
_LOCALHOST = ("127.0.0.1", "::1")


class HostTable:
    """Addresses by lower-case name, read again when the file has changed."""

    def __init__(self, clock: Clock, path: Path = HOSTS) -> None:
        self._clock = clock
        self._path = path
        self._checked_at: float | None = None
        self._stamp: tuple[int, int] | None = None
        self._names: dict[str, list[str]] = {}

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """The addresses of `name`, IPv4 and IPv6 alike; None if the table does not know it. Empty: there are none."""
        name = name.lower().rstrip(".")
        self._refresh()
        found = self._names.get(name)
        if found is not None:
            return tuple(found)
        if name == "localhost" or name.endswith(".localhost"):
            return _LOCALHOST
        return () if name == "invalid" or name.endswith(".invalid") else None

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._checked_at is not None and now < self._checked_at + CHECK_S:
            return
        self._checked_at = now
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._stamp = stamp
                text = self._path.read_text("utf-8", "replace") if status.st_size <= MAX_SIZE else ""
                self._names = parse_hosts(text)
        except OSError:
            self._names = {}


def parse_hosts(text: str) -> dict[str, list[str]]:
    """Addresses by name, in the order of the lines; what is not `address name…` is skipped."""
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) < 2:
            continue
        try:
            address = str(ip_address(fields[0]))
        except ValueError:
            continue
        for name in fields[1:]:
            names.setdefault(name.lower().rstrip("."), []).append(address)
    return names
