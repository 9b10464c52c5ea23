"""What the registrar asks of a store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredBinding:
    """A binding as it outlives the process: everything is text or number. `way_*` are None where there is no way."""

    contact: str
    call_id: str
    seq: int
    q: float
    expires_at: datetime
    way_transport: str | None = None
    way_host: str | None = None
    way_port: int | None = None
    way_listener: str | None = None


class BindingStore(Protocol):
    """Bindings by address-of-record."""

    def save(self, aor: str, bindings: tuple[StoredBinding, ...]) -> None:
        """Replace all bindings of `aor`; none forgets it. Queues and returns."""
        ...

    async def all(self) -> list[tuple[str, tuple[StoredBinding, ...]]]:
        """Every address-of-record that has bindings, expired ones included, each in the order it was saved in."""
        ...

    async def flush(self) -> None: ...
