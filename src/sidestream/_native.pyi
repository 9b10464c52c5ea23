"""The media engine, which only `sidestream media` runs in a process of its own, and the SIP codec (crates/native)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, final

from sidestream.sip.message import Request, Response

__all__ = ["Field", "Headers", "engine_version", "parse_message", "run_engine"]

_T = TypeVar("_T")

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

def parse_message(data: bytes) -> Request | Response | None:
    """`sidestream.sip.message.parse_message` for messages of the usual shapes; None for all others."""

@final
class Headers:
    """`sidestream.sip.headers.PythonHeaders`, with the same results."""

    def __new__(cls, items: Iterable[tuple[str, str]] | None = None) -> Headers: ...
    @classmethod
    def from_wire(cls, items: list[tuple[str, str]]) -> Headers: ...
    def get(self, name: str) -> str | None: ...
    def get_all(self, name: str) -> list[str]: ...
    def values(self, name: str) -> list[str]: ...
    def parsed(self, name: str, parse: Callable[[Sequence[str]], _T]) -> _T: ...
    def parse_all(self, parsers: Mapping[str, Callable[[Sequence[str]], object]]) -> None: ...
    def add(self, name: str, value: str) -> None: ...
    def insert_first(self, name: str, value: str) -> None: ...
    def replace(self, name: str, *values: str) -> None: ...
    def remove(self, name: str) -> None: ...
    def items(self) -> list[tuple[str, str]]: ...
    def copy(self) -> Headers: ...
    def repeated(self) -> Headers: ...
    def to_bytes(self, start_line: str, body: bytes) -> bytes | None: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __iter__(self) -> Iterator[tuple[str, str]]: ...
    def __len__(self) -> int: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Field:
    """A descriptor: what `parse` makes of the fields called `name` of a message's `headers`, kept by these."""

    def __new__(cls, name: str, parse: Callable[[Sequence[str]], object]) -> Field: ...
    def __get__(self, message: Any, owner: type | None = None, /) -> Any: ...
