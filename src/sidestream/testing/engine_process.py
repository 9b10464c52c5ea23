"""The real media engine as a process beside a test or a bench, without a supervisor."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sidestream.media.options import EngineOptions
from sidestream.testing.port_block import port_block

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class EngineProcess:
    socket: Path
    process: subprocess.Popen[bytes]


@contextmanager
def engine_process(
    directory: Path, options: EngineOptions, *, blocks: int = 1, descriptors: int | None = None
) -> Iterator[EngineProcess]:
    """Run an engine on `directory`/media.sock; `EngineClient.connect` waits until it listens. Ends it at the exit.

    `descriptors`: how many the process may have open; None: as many as this one. Its media ports are
    `blocks` of a hundred that no other test has, whatever the options say. Raises RuntimeError when it did not end in
    order by SIGTERM, unless the test ended it itself.
    """
    socket = directory / "media.sock"
    limit = resource.getrlimit(resource.RLIMIT_NOFILE) if descriptors is None else (descriptors, descriptors)
    with port_block(blocks) as ports:
        options = replace(options, ports=ports)
        process = subprocess.Popen(
            (sys.executable, "-m", "sidestream", "media", *options.arguments(socket)),
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, limit),
        )
        try:
            yield EngineProcess(socket, process)
        finally:
            ended_before = process.poll() is not None
            process.terminate()
            try:
                status = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
    if status != 0 and not ended_before:
        raise RuntimeError(f"the media engine ended with status {status}")
