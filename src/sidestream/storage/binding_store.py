"""Bindings of registered users in SQL: a row for each address-of-record."""

import msgspec
from sqlalchemy import select

from sidestream.registrar.ports import StoredBinding
from sidestream.storage.database import Database
from sidestream.storage.tables import bindings as bindings_table

_NONE = "[]"


class SqlBindingStore:
    """Implements registrar.ports.BindingStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, aor: str, bindings: tuple[StoredBinding, ...]) -> None:
        # A row without bindings is kept: it would come again with the next REGISTER, and there is one for each user.
        row = {"aor": aor, "contacts": msgspec.json.encode(bindings).decode() if bindings else _NONE}
        self._database.put(self._database.bindings, row, aor)

    async def all(self) -> list[tuple[str, tuple[StoredBinding, ...]]]:
        rows = await self._database.all(select(bindings_table).where(bindings_table.c.contacts != _NONE))
        return [(row["aor"], msgspec.json.decode(row["contacts"], type=tuple[StoredBinding, ...])) for row in rows]

    async def flush(self) -> None:
        await self._database.flush()
