"""SQLite as the platform's database: one file, WAL mode, one writer."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sidestream.base.logs import get_logger
from sidestream.storage.account_store import SqlAccountStore
from sidestream.storage.alert_store import SqlAlertStore
from sidestream.storage.binding_store import SqlBindingStore
from sidestream.storage.call_store import SqlCallStore
from sidestream.storage.database import Database
from sidestream.storage.errors import StorageError
from sidestream.storage.image_store import SqlImageStore
from sidestream.storage.migrate import migrate
from sidestream.storage.outbox_store import SqlOutboxStore
from sidestream.storage.sealing import open_sealer
from sidestream.storage.siprec_store import SqlSiprecStore
from sidestream.storage.stores import Stores

KEY_FILE_SUFFIX = ".key"
_FILE_MODE = 0o600  # phone numbers are inside
_BUSY_MS = 5_000  # how long to wait for another process, such as a backup, that holds the file
_READERS = 4  # connections kept for reading, a thread each

log = get_logger("storage")


async def open_database(url: str) -> Stores:
    """Open the database at `url`, such as `sqlite:////var/lib/sidestream/sidestream.db`, and lead it to this schema.

    A missing file is made, and so is the key file beside it that seals secrets (`sidestream.key`). Raises StorageError.
    """
    path = database_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE))
    except OSError as error:
        raise StorageError(f"The database file {path} cannot be used: {error}") from error
    sealer = open_sealer(path.with_suffix(KEY_FILE_SUFFIX))
    engine = _engine(path)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    except (SQLAlchemyError, StorageError) as error:
        await engine.dispose()
        raise StorageError(f"The database file {path} cannot be used: {error}") from error
    database = Database(engine)
    database.writer.start()
    return Stores(
        calls=SqlCallStore(database),
        images=SqlImageStore(database, sealer),
        siprecs=SqlSiprecStore(database),
        outbox=SqlOutboxStore(database),
        accounts=SqlAccountStore(database, sealer),
        alerts=SqlAlertStore(database),
        bindings=SqlBindingStore(database),
        close=database.close,
    )


def database_path(url: str) -> Path:
    """The file that a database URL names. Raises StorageError for any other kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(f"{url!r} is not a database URL") from error
    if parsed.get_backend_name() != "sqlite":
        raise StorageError("Only sqlite:///… database URLs are supported")
    if not parsed.database or parsed.database == ":memory:":
        raise StorageError("The database URL names no file")
    return Path(parsed.database)


def _engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=_READERS + 1, max_overflow=_READERS)

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver would begin transactions by its own rules and leave schema changes out of them; see _begin.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL makes a commit survive a power cut; the writer's batches share its cost.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
