"""Leads a database to the schema of this version."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from sidestream.storage.errors import StorageError

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> None:
    """Run the migrations that `connection`'s database lacks, in its open transaction.

    Raises StorageError for a database of a newer version, which this one cannot read.
    """
    if _revision(connection) == newest():
        return
    # Loading Alembic takes longer than all that it would find out here, and calls wait for a start after a crash.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"The database is of another version of Sidestream: {error}") from error


def newest() -> str:
    """The revision of this version's schema, as the files of the migrations are named: r0001_what_it_does.py."""
    return max(path.name for path in (_SCRIPTS / "versions").glob("r*.py"))[1:5]


def _revision(connection: Connection) -> str | None:
    """Where the database is, as Alembic has written it down; None for one that it has never seen."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revisions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return revisions[0] if len(revisions) == 1 else None
