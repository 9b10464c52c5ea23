import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from sidestream.storage import tables
from sidestream.storage.database import insert_new, upsert

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statements_are_spelt_alike_in_every_dialect(dialect: str) -> None:
    replacing = str(upsert(dialect, tables.calls, "sid").compile(dialect=DIALECTS[dialect]))  # type: ignore[attr-defined]
    assert "ON CONFLICT (sid) DO UPDATE SET account_sid = excluded.account_sid" in replacing
    assert " sid = excluded.sid" not in replacing
    keeping = str(insert_new(dialect, tables.alerts, "sid").compile(dialect=DIALECTS[dialect]))  # type: ignore[attr-defined]
    assert "ON CONFLICT (sid) DO NOTHING" in keeping


def test_positions_count_up_by_themselves_in_every_dialect() -> None:
    for table in (tables.call_events, tables.callbacks, tables.alerts, tables.accounts):
        assert "position INTEGER NOT NULL" in str(CreateTable(table).compile(dialect=DIALECTS["sqlite"]))
        assert "position BIGSERIAL NOT NULL" in str(CreateTable(table).compile(dialect=DIALECTS["postgresql"]))
