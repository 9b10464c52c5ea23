"""The one writer of a database: rows are queued by anyone, and written in batches, one transaction each."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Executable
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sidestream.base.logs import get_logger
from sidestream.storage.errors import StorageError

# From one batch to the next, so that rows find company; neither somebody who waits for one nor the first row after a
# rest is kept waiting. A transaction costs as much as the rows of several calls, so at tens of calls a second this is
# most of what storage costs; a kill loses as much.
BATCH_DELAY_S = 0.1
RETRY_DELAY_S = 1.0  # between attempts while the database refuses, such as on a full disk

Row = dict[str, Any]
T = TypeVar("T")

log = get_logger("storage")


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """Rows of one kind. `statement` takes each row as its parameters.

    At most `backlog` rows wait; what comes above that is dropped and counted. None is for what must never be lost.
    """

    name: str
    statement: Executable
    backlog: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    work: Callable[[AsyncConnection], Awaitable[Any]]
    done: asyncio.Future[Any]


Batch = dict[Stream, dict[Hashable, Row]]


class Writer:
    """Queues rows and writes them in the order of `streams`, within a stream in the order of their first `put`.

    A row put again under the same key before it was written replaces the earlier one, so a record that changes often
    costs one row a batch. While the database refuses, rows are kept and tried again; a row that is refused by itself
    is logged and given up, so that it cannot hold back the others.
    """

    def __init__(self, engine: AsyncEngine, streams: Sequence[Stream]) -> None:
        self._engine = engine
        self._streams = tuple(streams)
        self._queued = self._empty()
        self._jobs: list[_Job] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._is_writing = False
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._dropped = 0
        self._rests_until = 0.0  # on the loop's clock
        self._task: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> int:
        """Rows given up since the start: above a backlog, or refused by the database."""
        return self._dropped

    def start(self) -> None:
        """Begin to write; needs a running loop."""
        self._task = asyncio.create_task(self._write_forever(), name="storage-writer")

    def put(self, stream: Stream, key: Hashable, row: Row) -> None:
        """Queue a row. Returns at once."""
        rows = self._queued[stream]
        if stream.backlog is not None and len(rows) >= stream.backlog and key not in rows:
            self._drop(stream, "too many wait")
            return
        rows[key] = row
        self._wake.set()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own after all that was queued before.

        Gives its result or its exception; raises StorageError, without running it, if that could not be written.
        """
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._hasten()
        result: T = await job.done
        return result

    async def flush(self) -> None:
        """Wait until all that was queued is durable. Raises StorageError if writing it failed; it stays queued."""
        if not self._is_writing and not any(self._queued.values()):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._hasten()
        await waiter

    async def close(self) -> None:
        """Write what is queued, then stop. What cannot be written now is lost, and the log says so."""
        if self._task is None:
            return
        try:
            await self.flush()
        except StorageError as error:
            log.error("! rows are lost at the end", rows=sum(map(len, self._queued.values())), error=str(error))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def _hasten(self) -> None:
        self._wake.set()
        self._hurry.set()

    def _empty(self) -> Batch:
        return {stream: {} for stream in self._streams}

    async def _write_forever(self) -> None:
        while True:
            await self._wake.wait()
            await self._gather_company()
            self._wake.clear()
            self._hurry.clear()
            batch, self._queued = self._queued, self._empty()
            jobs, self._jobs = self._jobs, []
            waiters, self._waiters = self._waiters, []
            self._is_writing = True
            failure = await self._write(batch)
            self._is_writing = False
            if failure is not None:
                self._requeue(batch)
            for waiter in waiters:
                _settle(waiter, failure)
            for job in jobs:
                if failure is None:
                    await self._run_job(job)
                else:
                    _settle(job.done, failure)
            if failure is not None:
                await asyncio.sleep(RETRY_DELAY_S)

    async def _gather_company(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._rests_until):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._rests_until = loop.time() + BATCH_DELAY_S

    async def _write(self, batch: Batch) -> StorageError | None:
        """None when all is written or given up; else the rows left in `batch` are to be tried again."""
        if not any(batch.values()):
            return None
        try:
            async with self._engine.begin() as connection:
                for stream, rows in batch.items():
                    if rows:
                        await connection.execute(stream.statement, list(rows.values()))
        except (OperationalError, InterfaceError) as error:
            return _refused(error)
        except Exception as error:  # one row is at fault, whatever its fault is: find it, and save the others
            log.error("! a batch was refused", error=_brief(error))
            return await self._write_singly(batch)
        return None

    async def _write_singly(self, batch: Batch) -> StorageError | None:
        for stream, rows in batch.items():
            for key in list(rows):
                try:
                    async with self._engine.begin() as connection:
                        await connection.execute(stream.statement, [rows[key]])
                except (OperationalError, InterfaceError) as error:
                    return _refused(error)
                except Exception as error:  # as in _write: this is the row at fault
                    self._drop(stream, _brief(error))
                del rows[key]
        return None

    async def _run_job(self, job: _Job) -> None:
        try:
            async with self._engine.begin() as connection:
                result = await job.work(connection)
        except Exception as error:  # handed to whoever asked for the job
            _settle(job.done, error)
        else:
            if not job.done.done():
                job.done.set_result(result)

    def _requeue(self, batch: Batch) -> None:
        """Put unwritten rows before those that came since; a newer row of the same key wins."""
        for stream, rows in batch.items():
            self._queued[stream] = rows | self._queued[stream]
        self._wake.set()

    def _drop(self, stream: Stream, reason: str) -> None:
        self._dropped += 1
        if self._dropped.bit_count() == 1:  # at 1, 2, 4, 8 … a flood must not flood the log too
            log.error("! rows dropped", stream=stream.name, dropped=self._dropped, reason=reason)


def _settle(waiter: asyncio.Future[None], failure: Exception | None) -> None:
    if waiter.done():  # whoever waited was cancelled
        return
    if failure is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(failure)


def _refused(error: SQLAlchemyError) -> StorageError:
    log.error("! the database refuses to be written", error=_brief(error))
    return StorageError(f"The database refuses to be written: {_brief(error)}")


def _brief(error: BaseException) -> str:
    """The driver's own words, without the statement and its values."""
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__}: {original}"
