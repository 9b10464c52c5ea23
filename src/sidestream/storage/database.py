"""What the SQL stores share: reading connections, the writer, and the words in which dialects differ."""

from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, TypeVar

import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite
from sqlalchemy import Executable, Result, RowMapping, Select, Table, bindparam, delete, insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sidestream.storage import tables
from sidestream.storage.errors import StorageError
from sidestream.storage.writer import Row, Stream, Writer

TIMELINE_BACKLOG = 100_000  # rows; a timeline or an alert is worth less than the memory of the process
SETTLED_ID = "settled_id"
REMOVED_CALL = "removed_call"

T = TypeVar("T")


class Database:
    """An open database. Reads see every row queued before them, since they wait for it to be written."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        dialect = engine.dialect.name
        self.calls = Stream("calls", upsert(dialect, tables.calls, "sid"))
        self.images = Stream("call_images", upsert(dialect, tables.call_images, "call_sid"))
        self.removed_images = Stream(
            "removed_images", delete(tables.call_images).where(tables.call_images.c.call_sid == bindparam(REMOVED_CALL))
        )
        self.siprecs = Stream("siprecs", upsert(dialect, tables.siprecs, "sid"))
        self.callbacks = Stream("callbacks", insert_new(dialect, tables.callbacks, "id"))
        self.settlements = Stream(
            "settlements", update(tables.callbacks).where(tables.callbacks.c.id == bindparam(SETTLED_ID))
        )
        self.call_events = Stream("call_events", insert(tables.call_events), TIMELINE_BACKLOG)
        self.alerts = Stream("alerts", insert_new(dialect, tables.alerts, "sid"), TIMELINE_BACKLOG)
        self.bindings = Stream("bindings", upsert(dialect, tables.bindings, "aor"))
        # Settlements after callbacks, removals after images: one batch may hold both of one callback or call.
        self.writer = Writer(
            engine,
            (
                self.calls,
                self.images,
                self.removed_images,
                self.siprecs,
                self.callbacks,
                self.settlements,
                self.bindings,
                self.call_events,
                self.alerts,
            ),
        )
        self._keys = count()

    def put(self, stream: Stream, row: Row, key: Hashable = None) -> None:
        """Queue a row; rows without a key are all kept."""
        self.writer.put(stream, next(self._keys) if key is None else key, row)

    async def flush(self) -> None:
        await self.writer.flush()

    async def all(self, query: Select[Any]) -> list[RowMapping]:
        """Raises StorageError."""
        await self.writer.flush()
        try:
            async with self._engine.connect() as connection:
                return list((await connection.execute(query)).mappings())
        except SQLAlchemyError as error:
            raise StorageError(f"The database cannot be read: {error}") from error

    async def first(self, query: Select[Any]) -> RowMapping | None:
        """Raises StorageError."""
        rows = await self.all(query.limit(1))
        return rows[0] if rows else None

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """`work` in its turn among the writes, durable on return. Raises what it raises."""
        return await self.writer.run(work)

    async def change(self, statement: Executable) -> int:
        """Run one UPDATE or DELETE in its turn among the writes; the number of rows it met."""

        async def work(connection: AsyncConnection) -> int:
            result: Result[Any] = await connection.execute(statement)
            return int(getattr(result, "rowcount", 0))

        return await self.run(work)

    async def close(self) -> None:
        await self.writer.close()
        await self._engine.dispose()


def upsert(dialect: str, table: Table, key: str) -> Executable:
    """Insert a row, or replace all of the one with the same key."""
    statement = _insert(dialect)(table)
    replaced = {column.name: statement.excluded[column.name] for column in table.columns if column.name != key}
    result: Executable = statement.on_conflict_do_update(index_elements=[key], set_=replaced)
    return result


def insert_new(dialect: str, table: Table, key: str) -> Executable:
    """Insert a row unless one with the same key is there."""
    result: Executable = _insert(dialect)(table).on_conflict_do_nothing(index_elements=[key])
    return result


def _insert(dialect: str) -> Any:
    """Both dialects spell the clause alike, but SQLAlchemy has it in each dialect's own insert."""
    return {"sqlite": sqlalchemy.dialects.sqlite.insert, "postgresql": sqlalchemy.dialects.postgresql.insert}[dialect]
