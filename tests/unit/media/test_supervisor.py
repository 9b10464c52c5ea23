import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from sidestream.media import supervisor as module
from sidestream.media.options import EngineOptions
from sidestream.media.supervisor import EngineStartError, EngineSupervisor

# Listens on --socket and greets each client; the way it behaves otherwise is its first argument.
CHILD = """
import json, os, signal, socket, sys
way, path = sys.argv[1], sys.argv[sys.argv.index("--socket") + 1]
if way == "fails":
    print("no such interface", file=sys.stderr)
    sys.exit(3)
if way == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if way == "silent":
    signal.pause()
listener = socket.socket(socket.AF_UNIX)
if os.path.exists(path):
    os.unlink(path)
listener.bind(path)
listener.listen()
print("x" * 300000, file=sys.stderr)
print("listening as", os.getpid(), file=sys.stderr)
print('{"level":"info","event":"started","at_ns":1,"workers":2}', file=sys.stderr)
print('{"level":"warning","event":"ports low","free":3}', file=sys.stderr)
print('{"level":"info"}', file=sys.stderr, flush=True)
version = 2 if way == "newer" else 1
while True:
    client, _ = listener.accept()
    for line in client.makefile("rb"):
        answer = {"id": json.loads(line)["id"]}
        if way == "newer":
            answer["error"] = {"code": "bad-version", "message": "this engine speaks 2"}
        else:
            answer["ok"] = {"protocol": 1, "engine": "0.0.1", "pid": os.getpid(), "sessions": 0, "interfaces": []}
        client.sendall(json.dumps(answer).encode() + b"\\n")
"""


@pytest.fixture
async def supervise(tmp_path: Path, monkeypatch):
    """Makes supervisors, which are stopped in the end: a test that fails must leave no process behind either."""
    monkeypatch.setattr(module, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(module, "GREETING_INTERVAL", 0.005)
    child = tmp_path / "child.py"
    child.write_text(CHILD)

    made = []

    def make(way: str = "well", **options) -> EngineSupervisor:
        made.append(EngineSupervisor(command=(sys.executable, "-S", str(child), way), **options))
        return made[-1]

    yield make
    for supervisor in made:
        await supervisor.stop()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _until(reached) -> None:
    # What is waited for is another process: no event of ours announces it.
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0)


async def test_it_starts_an_engine_in_a_private_directory_and_stops_it(supervise) -> None:
    supervisor = supervise()
    hello = await supervisor.start()
    directory = supervisor.socket.parent
    assert hello.pid == supervisor.pid
    assert directory.stat().st_mode & 0o777 == 0o700
    assert os.getsid(hello.pid) == hello.pid
    await supervisor.stop()
    await supervisor.stop()
    assert not _alive(hello.pid)
    assert not directory.exists()


async def test_it_restarts_an_engine_that_dies(supervise) -> None:
    supervisor = supervise()
    first = (await supervisor.start()).pid
    socket = supervisor.socket
    os.kill(first, signal.SIGKILL)
    await _until(lambda: supervisor.restarts)
    assert supervisor.pid not in (None, first)
    assert supervisor.socket == socket
    assert not _alive(first)
    await supervisor.stop()


async def test_it_goes_on_trying_when_a_restart_fails(supervise, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "LAST_DELAY", 0.0)
    supervisor = supervise()
    first = (await supervisor.start()).pid
    (tmp_path / "child.py").rename(tmp_path / "away.py")
    failures = []
    monkeypatch.setattr(module.log, "error", lambda text, **fields: failures.append(text))
    os.kill(first, signal.SIGKILL)
    await _until(lambda: len(failures) >= 3)
    (tmp_path / "away.py").rename(tmp_path / "child.py")
    await _until(lambda: supervisor.restarts)
    assert failures[:2] == ["! the media engine died", "! the media engine does not come back"]
    await supervisor.stop()


async def test_it_stops_in_order_after_a_defect_of_its_own(supervise, monkeypatch) -> None:
    supervisor = supervise()
    first = (await supervisor.start()).pid
    said = []

    async def fail() -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(supervisor, "_greet", fail)
    monkeypatch.setattr(module.log, "error", lambda text, **fields: said.append(text))
    os.kill(first, signal.SIGKILL)
    await _until(lambda: said)
    await _until(lambda: any(task.get_name() == "media-engine-keeper" for task in asyncio.all_tasks()) is False)
    await supervisor.stop()
    assert supervisor.pid is None
    assert said == ["! the media engine died", "! the media engine was not watched any more"]


async def test_a_failed_start_tells_what_the_engine_said(supervise) -> None:
    supervisor = supervise("fails")
    with pytest.raises(EngineStartError) as failed:
        await supervisor.start()
    assert failed.value.reason == "exit status 3"
    assert failed.value.lines == ("no such interface",)
    assert "no such interface" in str(failed.value)


async def test_an_engine_of_another_version_is_not_kept(supervise) -> None:
    supervisor = supervise("newer")
    with pytest.raises(EngineStartError, match="this engine speaks 2"):
        await supervisor.start()
    assert supervisor.pid is None


async def test_an_engine_that_never_greets_is_given_up(supervise, monkeypatch) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT", 0.05)
    supervisor = supervise("silent")
    with pytest.raises(EngineStartError, match="no greeting"):
        await supervisor.start()
    assert supervisor.pid is None


async def test_sigterm_ignored_is_followed_by_sigkill(supervise, monkeypatch) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT", 0.05)
    supervisor = supervise("stubborn")
    pid = (await supervisor.start()).pid
    await supervisor.stop()
    assert not _alive(pid)


async def test_a_living_engine_is_taken_over_and_watched(supervise, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    first = supervise(directory=directory)
    pid = (await first.start()).pid
    # A control process that is killed leaves its engine behind; here its keeper is dropped instead.
    first._keeper.cancel()
    second = supervise(directory=directory)
    assert (await second.start()).pid == pid
    assert second.restarts == 0
    os.kill(pid, signal.SIGKILL)
    await _until(lambda: second.restarts)
    assert second.pid != pid
    await second.stop()
    assert directory.exists()
    await first._reader


async def test_an_engine_that_was_taken_over_is_stopped(supervise, tmp_path: Path) -> None:
    first = supervise(directory=tmp_path / "run")
    pid = (await first.start()).pid
    first._keeper.cancel()
    second = supervise(directory=tmp_path / "run")
    await second.start()
    await second.stop()
    await first._process.wait()
    await first._reader
    assert not _alive(pid)


async def test_one_that_was_taken_over_may_be_left_alone(supervise, tmp_path: Path) -> None:
    """By a start that fails, so that the next one finds the calls."""
    first = supervise(directory=tmp_path / "run")
    pid = (await first.start()).pid
    first._keeper.cancel()
    second = supervise(directory=tmp_path / "run")
    await second.start()
    await second.leave()
    assert _alive(pid)
    third = supervise(directory=tmp_path / "run")
    assert (await third.start()).pid == pid
    await third.stop()
    await first._process.wait()
    await first._reader


async def test_one_of_ones_own_is_not_left_behind(supervise) -> None:
    supervisor = supervise()
    pid = (await supervisor.start()).pid
    await supervisor.leave()
    assert not _alive(pid)


async def test_what_the_engine_says_is_repeated_in_our_log(supervise, monkeypatch) -> None:
    said = []
    monkeypatch.setattr(module.log, "info", lambda text, **fields: said.append((text, fields)))
    monkeypatch.setattr(module.log, "warning", lambda text, **fields: said.append((text, fields)))
    supervisor = supervise()
    pid = (await supervisor.start()).pid
    await supervisor.stop()
    assert ("! media engine says", {"line": f"listening as {pid}"}) in said
    assert ("= media engine: started", {"workers": 2}) in said
    assert ("! media engine: ports low", {"free": 3}) in said
    assert ("! media engine says", {"line": '{"level":"info"}'}) in said


def test_the_socket_is_known_once_started() -> None:
    with pytest.raises(RuntimeError):
        _ = EngineSupervisor(EngineOptions()).socket
