import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sidestream.storage import writer as writer_module
from sidestream.storage.database import upsert
from sidestream.storage.errors import StorageError
from sidestream.storage.writer import Stream, Writer

metadata = MetaData()
notes = Table("notes", metadata, Column("key", String, primary_key=True), Column("value", Integer, nullable=False))
lines = Table("lines", metadata, Column("position", Integer, primary_key=True), Column("text", String, nullable=False))

NOTES = Stream("notes", upsert("sqlite", notes, "key"))
LINES = Stream("lines", insert(lines), backlog=3)


class Bench:
    """A writer over a real database, and a count of its transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.writer = Writer(engine, (NOTES, LINES))
        self.commits = 0
        event.listen(engine.sync_engine, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    async def notes(self) -> dict[str, int]:
        async with self.engine.connect() as connection:
            return {row.key: row.value for row in await connection.execute(select(notes))}

    async def lines(self) -> list[str]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(select(lines.c.text).order_by(lines.c.position))).scalars())

    async def execute(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))

    def note(self, key: str, value: object) -> None:
        self.writer.put(NOTES, key, {"key": key, "value": value})

    def line(self, number: int) -> None:
        self.writer.put(LINES, number, {"text": str(number)})


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(writer_module, "RETRY_DELAY_S", 0)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/data.db")
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    bench = Bench(engine)
    bench.writer.start()
    yield bench
    await bench.writer.close()
    await engine.dispose()


async def flush_at_last(bench: Bench) -> None:
    """Flush; the first may still meet an attempt that was under way before the database was put right."""
    try:
        await bench.writer.flush()
    except StorageError:
        await bench.writer.flush()


async def test_flush_returns_when_all_is_written(bench: Bench) -> None:
    bench.note("a", 1)
    bench.line(1)
    await bench.writer.flush()
    assert await bench.notes() == {"a": 1}
    assert await bench.lines() == ["1"]


async def test_what_comes_together_is_one_transaction(bench: Bench) -> None:
    for number in range(500):
        bench.note(str(number), number)
    await asyncio.gather(*(bench.writer.flush() for _ in range(20)))
    assert len(await bench.notes()) == 500
    assert bench.commits == 1


async def test_a_row_put_again_replaces_the_one_that_waits(bench: Bench) -> None:
    for number in range(10):
        bench.note("a", number)
    await bench.writer.flush()
    bench.note("a", 10)
    await bench.writer.flush()
    assert await bench.notes() == {"a": 10}


async def test_rows_are_written_without_anybody_waiting(bench: Bench) -> None:
    written = asyncio.Event()
    event.listen(bench.engine.sync_engine, "commit", lambda _connection: written.set())
    bench.note("a", 1)
    await written.wait()
    await bench.writer.flush()
    assert await bench.notes() == {"a": 1}
    assert bench.commits == 1


async def test_flush_of_nothing_is_at_once(bench: Bench) -> None:
    await bench.writer.flush()
    assert bench.commits == 0


async def test_a_job_sees_what_was_queued_before_it(bench: Bench) -> None:
    async def count(connection: AsyncConnection) -> int:
        return len((await connection.execute(select(notes))).all())

    bench.note("a", 1)
    assert await bench.writer.run(count) == 1


async def test_a_job_that_fails_hands_its_exception_over_and_changes_nothing(bench: Bench) -> None:
    async def fail(connection: AsyncConnection) -> None:
        await connection.execute(insert(notes), {"key": "b", "value": 2})
        raise LookupError("mine")

    bench.note("a", 1)
    with pytest.raises(LookupError, match="mine"):
        await bench.writer.run(fail)
    assert await bench.notes() == {"a": 1}


async def test_a_waiter_that_gave_up_disturbs_nobody(bench: Bench) -> None:
    async def nothing(_connection: AsyncConnection) -> None:
        """A job without work."""

    bench.note("a", 1)
    waiting = [asyncio.create_task(bench.writer.flush()), asyncio.create_task(bench.writer.run(nothing))]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await bench.writer.flush()
    bench.note("b", 2)
    await bench.writer.flush()
    assert await bench.notes() == {"a": 1, "b": 2}


async def test_above_its_backlog_a_stream_drops_the_newest_and_counts_them(bench: Bench) -> None:
    for number in range(5):
        bench.line(number)
    bench.note("kept", 1)
    await bench.writer.flush()
    assert await bench.lines() == ["0", "1", "2"]
    assert bench.writer.dropped == 2
    bench.line(5)
    await bench.writer.flush()
    assert await bench.lines() == ["0", "1", "2", "5"]


async def test_while_the_database_refuses_rows_are_kept_and_tried_again(bench: Bench) -> None:
    await bench.execute("ALTER TABLE notes RENAME TO hidden")
    bench.note("a", 1)
    bench.note("b", 1)
    with pytest.raises(StorageError, match="no such table"):
        await bench.writer.flush()
    bench.note("b", 2)
    await bench.execute("ALTER TABLE hidden RENAME TO notes")
    await flush_at_last(bench)
    assert await bench.notes() == {"a": 1, "b": 2}


async def test_while_the_database_refuses_jobs_are_not_run(bench: Bench) -> None:
    async def never(_connection: AsyncConnection) -> None:
        raise AssertionError("run out of turn")

    await bench.execute("ALTER TABLE notes RENAME TO hidden")
    bench.note("a", 1)
    with pytest.raises(StorageError):
        await bench.writer.run(never)


async def test_a_row_at_fault_does_not_take_the_others_along(bench: Bench) -> None:
    bench.note("a", 1)
    bench.note("bad", None)
    bench.note("worse", "\ud800")
    bench.line(1)
    bench.note("z", 2)
    await bench.writer.flush()
    assert await bench.notes() == {"a": 1, "z": 2}
    assert await bench.lines() == ["1"]
    assert bench.writer.dropped == 2


async def test_what_is_left_when_single_rows_are_refused_is_tried_again(bench: Bench) -> None:
    await bench.execute("CREATE TRIGGER refuse AFTER INSERT ON lines BEGIN INSERT INTO absent VALUES (1); END")
    bench.note("bad", None)
    bench.note("a", 1)
    bench.line(1)
    with pytest.raises(StorageError, match="absent"):
        await bench.writer.flush()
    assert await bench.notes() == {"a": 1}
    await bench.execute("DROP TRIGGER refuse")
    await flush_at_last(bench)
    assert await bench.lines() == ["1"]
    assert bench.writer.dropped == 1


async def test_close_writes_what_is_queued(bench: Bench) -> None:
    bench.note("a", 1)
    await bench.writer.close()
    assert await bench.notes() == {"a": 1}
    await bench.writer.close()


async def test_close_says_what_it_could_not_write(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await bench.execute("DROP TABLE notes")
    bench.note("a", 1)
    await bench.writer.close()
    printed = capsys.readouterr()
    assert "rows are lost" in printed.out + printed.err


async def test_the_first_row_after_a_rest_is_written_at_once_and_the_next_ones_together(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "BATCH_DELAY_S", 3600.0)
    bench.note("first", 1)
    for _ in range(1000):
        if bench.commits:
            break
        await asyncio.sleep(0.001)
    assert await bench.notes() == {"first": 1}
    bench.note("second", 2)
    bench.note("third", 3)
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert await bench.notes() == {"first": 1}
    await bench.writer.flush()
    assert await bench.notes() == {"first": 1, "second": 2, "third": 3}
    assert bench.commits == 2
