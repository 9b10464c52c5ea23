"""The media engine (crates/native). Only `sidestream media` runs it, in a process of its own."""

from collections.abc import Sequence

def run_engine(
    socket_path: str | None,
    *,
    interfaces: Sequence[tuple[str, str, str]],
    port_min: int,
    port_max: int,
    workers: int = 1,
    silence_ms: int = 30_000,
    orphan_grace_s: float = 30.0,
    port_cooldown_ms: int = 4_000,
    max_sessions: int = 10_000,
    pacing: bool = True,
    max_bits_per_s: int | None = None,
    dscp: int = 46,
    tls: tuple[str | None, str, str, str, Sequence[str]] | None = None,
    activated: bool = False,
    kernel_path: str = "off",
) -> None:
    """Run the engine on a control socket at `socket_path`; blocks, without the GIL, until SIGTERM or SIGINT.

    `interfaces`: (name, IP literal to bind, host to advertise). Ports are taken from `port_min` to `port_max`. The
    engine handles both signals itself while it runs and gives them back when it returns: the caller installs nothing.
    Call it from the main thread. Raises `ValueError` for options that make no sense, `OSError` if the socket cannot be
    opened, with `EADDRINUSE` if an engine already listens there. With `pacing` workers nap for up to half a millisecond
    between rounds while the load allows it. From `max_bits_per_s` of RTP on, received and sent, new sessions are
    refused. `dscp` marks what is sent. `tls`: (address:port to listen on, certificate chain, private key, authority of
    the clients' certificates, the clients' names), the files as PEM. `activated`: also listen on the sockets that the
    environment says are handed over. `kernel_path` is `off`, `auto` or `require`; required where it cannot be had,
    `OSError` is raised.
    """

def engine_version() -> str:
    """The engine's version, as its greeting tells it."""
