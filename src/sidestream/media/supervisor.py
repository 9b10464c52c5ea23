"""Keeps an engine's process running beside the control process."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sidestream.base.logs import get_logger
from sidestream.media.connection import greet
from sidestream.media.engine import MediaEngineError
from sidestream.media.options import EngineOptions
from sidestream.media.protocol import Events, Hello

START_TIMEOUT = 15.0  # s; importing Python and the native module takes half a second, on a loaded machine a few
GREETING_INTERVAL = 0.02  # s; between two attempts to greet an engine that starts
STOP_TIMEOUT = 10.0  # s; after SIGTERM the engine completes its recordings; then SIGKILL
FIRST_DELAY = 0.1  # s before the first restart; doubles to the last
LAST_DELAY = 5.0  # s; an engine that cannot live must not cost a core
GOOD_LIFE = 30.0  # s; an engine that lived so long begins anew with the first delay
KEPT_LINES = 20  # of standard error, to say why a start failed
LINE_LIMIT = 256 * 1024  # octets of one line of standard error: a backtrace with every symbol

DEFAULT_COMMAND = (sys.executable, "-m", "sidestream", "media")

log = get_logger("media")


class EngineStartError(Exception):
    """The engine does not come up. `lines` are the last it wrote to standard error."""

    def __init__(self, reason: str, lines: Sequence[str]) -> None:
        super().__init__(reason, tuple(lines))
        self.reason = reason
        self.lines = tuple(lines)

    def __str__(self) -> str:
        return "\n".join((f"the media engine does not start: {self.reason}", *self.lines))


class EngineSupervisor:
    """One engine process at `socket`, restarted with back-off whenever it dies.

    The process has a session of its own, so neither a Ctrl-C at the terminal nor the end of the control process ends
    it; orphaned, it ends by itself after the grace time of its options. With a `directory` that outlives us, `start`
    takes over an engine that is still alive there.
    """

    def __init__(
        self,
        options: EngineOptions | None = None,
        *,
        directory: Path | None = None,
        command: Sequence[str] = DEFAULT_COMMAND,
    ) -> None:
        """`directory` holds the socket and is made 0700; None makes a temporary one that `stop` removes."""
        self._options = options or EngineOptions()
        self._given = directory
        self._directory: Path | None = None
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.pid: int | None = None  # of the living engine
        self.restarts = 0

    @property
    def socket(self) -> Path:
        """Where the engine listens; known once started."""
        if self._directory is None:
            raise RuntimeError("the supervisor is not started")
        return self._directory / "media.sock"

    async def start(self) -> Hello:
        """Start an engine, or take over the one in `directory`, and wait until it answers.

        Raises `EngineStartError`, `OptionError`, or `OSError` when the directory cannot be made private.
        """
        self._directory = _private(self._given)
        hello = await self._greet()
        if hello is not None:
            log.info("= took over a living media engine", pid=hello.pid, sessions=hello.sessions)
            self.pid = hello.pid
        else:
            try:
                hello = await self._spawn()
            except BaseException:
                self._remove_directory()
                raise
        self._keeper = asyncio.create_task(self._keep(), name="media-engine-keeper")
        return hello

    async def stop(self) -> None:
        """End the engine: SIGTERM, and SIGKILL when that is not enough. Idempotent."""
        await self._end_keeper()
        await self._end_process()
        self._remove_directory()

    async def leave(self) -> None:
        """Stop watching an engine that was taken over; it lives on for whoever comes next. One of ours is ended."""
        if self._process is not None:
            await self.stop()
            return
        await self._end_keeper()
        # A restart that was under way has ended its process.
        self.pid = self._directory = None

    async def _end_keeper(self) -> None:
        """No more restarts. However the keeper ended before, the process that it left has to be looked after."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.cancel()
        await asyncio.wait([keeper])
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            log.error("! the media engine was not watched any more", exc_info=error)

    async def _spawn(self) -> Hello:
        arguments = self._options.arguments(self.socket)
        self._lines.clear()
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,
        )
        self.pid = process.pid
        assert process.stderr is not None
        self._reader = asyncio.create_task(self._forward(process.stderr), name="media-engine-log")
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while process.returncode is None:
                    hello = await self._greet()
                    if hello is not None:
                        log.info("= media engine started", pid=process.pid, version=hello.engine)
                        return hello
                    await asyncio.sleep(GREETING_INTERVAL)
            await self._reader
            raise EngineStartError(f"exit status {process.returncode}", self._lines)
        except TimeoutError:
            await self._end_process()
            raise EngineStartError(f"no greeting within {START_TIMEOUT:g} s", self._lines) from None
        except BaseException:
            await self._end_process()
            raise

    async def _greet(self) -> Hello | None:
        """The engine's greeting, or None when none listens yet. One of another version raises `EngineStartError`."""
        try:
            connection, hello = await greet(self.socket, _ignore_events, _ignore_loss)
        except MediaEngineError as error:
            if error.code == "bad-version":
                raise EngineStartError(error.message, self._lines) from error
            return None
        connection.close()
        return hello

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY
        born = loop.time()
        while True:
            await self._died()
            log.error("! the media engine died", pid=self.pid, status=self._process and self._process.returncode)
            self.pid = self._process = None
            if loop.time() - born > GOOD_LIFE:
                delay = FIRST_DELAY
            while True:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_DELAY)
                born = loop.time()
                try:
                    await self._spawn()
                    self.restarts += 1
                    break
                except (EngineStartError, OSError) as error:
                    log.error("! the media engine does not come back", reason=str(error))

    async def _died(self) -> None:
        """Return when the engine's process is gone."""
        if self._process is not None:
            await self._process.wait()
        elif self.pid is not None:
            await _gone(self.pid)

    async def _end_process(self) -> None:
        """SIGTERM, wait, SIGKILL; whatever the process' state."""
        if self.pid is not None:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._died()
            except TimeoutError:
                log.error("! the media engine ignores SIGTERM", pid=self.pid)
                self._signal(signal.SIGKILL)
                await self._died()
        if self._reader is not None:
            await self._reader
        self.pid = self._process = self._reader = None

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)
            elif self.pid is not None:
                os.kill(self.pid, number)

    async def _forward(self, stream: asyncio.StreamReader) -> None:
        """Put what the engine says on standard error into our log."""
        while True:
            try:
                raw = await stream.readline()
            except ValueError:
                # Over the limit: asyncio has dropped what it held of the line.
                continue
            if not raw:
                return
            line = raw.decode("utf-8", "replace").rstrip()
            if line:
                self._lines.append(line)
                _repeat(line)

    def _remove_directory(self) -> None:
        if self._given is None and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory = None


def _private(directory: Path | None) -> Path:
    """A directory that only we may enter: whoever can open the socket commands the engine."""
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="sidestream-"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    return directory.absolute()


def _repeat(line: str) -> None:
    """Say in our log what the engine said in its own: JSON with `level` and `event`, or plain text (a panic)."""
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
        text = f"media engine: {fields.pop('event')}"
    except (msgspec.MsgspecError, KeyError):
        log.warning("! media engine says", line=line)
        return
    fields.pop("at_ns", None)
    if fields.pop("level", "info") == "info":
        log.info(f"= {text}", **fields)
    else:
        log.warning(f"! {text}", **fields)


async def _gone(pid: int) -> None:
    """Return when process `pid`, which need not be our child, has ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _ignore_events(_batch: Events) -> None:
    """A greeting's connection is closed before events matter."""


def _ignore_loss(_connection: object, _reason: str) -> None:
    """Nobody depends on a greeting's connection."""
