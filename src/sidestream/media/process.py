"""The engine inside its own process: the one door to the native module."""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sidestream import _native
from sidestream.media.options import EngineOptions, OptionError, TlsListener

ORPHAN_CHECK_SECONDS = 1.0  # well below any useful grace time, and reading /proc once a second costs nothing
_CONNECTED = "03"  # SS_CONNECTED in /proc/net/unix (proc_net_unix(5))


def engine_version() -> str:
    """The version of the native engine, as its greeting tells it."""
    return _native.engine_version()


def run_engine(socket: Path | None, options: EngineOptions, tls: TlsListener | None = None) -> None:
    """Be the media engine until SIGTERM or SIGINT, or until orphaned. Blocks; call it from the main thread.

    It listens on `socket`, by `tls`, and on what a service manager hands over. Raises `OptionError` or `ValueError` for
    options that make no sense and `OSError` when a socket cannot be opened.
    """
    activated = is_activated(os.environ, os.getpid())
    if socket is None and (tls is None or tls.address is None) and not activated:
        raise OptionError("socket", "nowhere to listen: say --socket or --listen")
    stopping = threading.Event()
    if options.exit_when_orphaned:
        if socket is None or tls is not None or activated:
            raise OptionError("exit-when-orphaned", "is for an engine with nothing but a Unix socket of its own")
        watch = OrphanWatch(options.orphan_grace_s, lambda: has_client(socket), _stop_this_process)
        threading.Thread(target=watch.run, args=(stopping,), name="orphan-watch", daemon=True).start()
    try:
        _native.run_engine(
            None if socket is None else str(socket),
            interfaces=[(one.name, one.bind_host, one.advertised_host) for one in options.interfaces],
            port_min=options.ports[0],
            port_max=options.ports[1],
            workers=options.workers,
            silence_ms=options.silence_ms,
            orphan_grace_s=options.orphan_grace_s,
            port_cooldown_ms=options.port_cooldown_ms,
            max_sessions=options.max_sessions,
            pacing=options.pacing,
            max_bits_per_s=round(options.max_mbit_s * 1e6) or None,
            dscp=options.dscp,
            tls=None if tls is None else _native_tls(tls),
            activated=activated,
            kernel_path=options.kernel_path,
        )
    finally:
        stopping.set()


def _native_tls(tls: TlsListener) -> tuple[str | None, str, str, str, Sequence[str]]:
    return tls.address, str(tls.certificate), str(tls.private_key), str(tls.client_ca), tls.peers


def is_activated(environment: Mapping[str, str], pid: int) -> bool:
    """Whether a service manager listens for process `pid` and hands it its sockets (sd_listen_fds(3))."""
    return environment.get("LISTEN_PID") == str(pid) and environment.get("LISTEN_FDS", "0") != "0"


class OrphanWatch:
    """Ends the engine once nobody has been connected for the grace time.

    An engine outlives its control process so that a restarted one finds its calls; without this it would outlive them
    all. It starts counting at once, so that an engine which nobody ever greets ends as well.
    """

    def __init__(self, grace_s: float, connected: Callable[[], bool], end: Callable[[], None]) -> None:
        self._grace_s = grace_s
        self._connected = connected
        self._end = end
        self._alone_s = 0.0

    def run(self, stopping: threading.Event) -> None:
        while not stopping.wait(ORPHAN_CHECK_SECONDS):
            if self.check(ORPHAN_CHECK_SECONDS):
                return

    def check(self, elapsed_s: float) -> bool:
        """`elapsed_s` have passed since the last check; True when the engine was told to end."""
        if self._connected():
            self._alone_s = 0.0
            return False
        self._alone_s += elapsed_s
        # One check more than the grace time, so that the engine has closed its sessions in order before.
        if self._alone_s <= self._grace_s + ORPHAN_CHECK_SECONDS:
            return False
        self._end()
        return True


def has_client(socket: Path, table: Path = Path("/proc/net/unix")) -> bool:
    """Whether anybody is connected to the listening `socket`: accepted connections carry its path and are connected."""
    for line in table.read_text().splitlines()[1:]:
        # Num RefCount Protocol Flags Type St Inode Path, and the path may hold blanks
        columns = line.split(maxsplit=7)
        if len(columns) == 8 and columns[5] == _CONNECTED and columns[7] == str(socket):
            return True
    return False


def _stop_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
