"""Leads a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from sidestream.storage.errors import StorageError

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(connection: Connection) -> None:
    """Run the migrations that `connection`'s database lacks, in its open transaction.

    Raises StorageError for a database of a newer version, which this one cannot read.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"The database is of another version of Sidestream: {error}") from error
