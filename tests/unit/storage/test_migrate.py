import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from sidestream.storage.errors import StorageError
from sidestream.storage.migrate import _SCRIPTS, migrate, newest
from sidestream.storage.tables import metadata


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path}/data.db")
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_the_migrations_lead_to_the_schema_of_the_code(connection: Connection) -> None:
    migrate(connection)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []
    assert set(inspect(connection).get_table_names()) == set(metadata.tables) | {"alembic_version"}


def test_a_second_run_changes_nothing(connection: Connection) -> None:
    migrate(connection)
    connection.execute(
        text("INSERT INTO accounts (sid, sealed_auth_token, friendly_name) VALUES ('AC1', 'sealed', 'name')")
    )
    migrate(connection)
    assert connection.execute(text("SELECT sid FROM accounts")).scalars().all() == ["AC1"]


def test_a_database_of_a_newer_version_is_refused(connection: Connection) -> None:
    migrate(connection)
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="another version"):
        migrate(connection)


def test_the_newest_migration_is_known_without_asking_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [newest()]


def test_a_database_that_is_up_to_date_costs_no_alembic(tmp_path: Path, connection: Connection) -> None:
    migrate(connection)
    connection.commit()
    lines = (
        "import sys",
        "from sqlalchemy import create_engine",
        "from sidestream.storage.migrate import migrate",
        f"with create_engine('sqlite:///{tmp_path}/data.db').begin() as connection: migrate(connection)",
        "raise SystemExit('alembic' in sys.modules)",
    )
    assert subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False).returncode == 0
