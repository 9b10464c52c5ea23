import ast
import socket
import threading
from pathlib import Path

import pytest

import sidestream
from sidestream.media.options import EngineOptions, OptionError, TlsListener

SOURCE = Path(sidestream.__file__).parent


def _imports_native(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        if any(name.rpartition(".")[2] == "_native" for name in names):
            return True
    return False


def test_two_modules_are_the_doors_to_the_native_one() -> None:
    assert sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if _imports_native(path)) == [
        Path("media/process.py"),
        Path("sip/codec.py"),
    ]


@pytest.fixture
def process():
    return pytest.importorskip("sidestream.media.process", reason="the native module is not built (make build)")


class Ending:
    def __init__(self) -> None:
        self.connected = False
        self.times = 0

    def end(self) -> None:
        self.times += 1


def test_the_watch_ends_an_engine_that_nobody_greets(process) -> None:
    ending = Ending()
    watch = process.OrphanWatch(3.0, lambda: ending.connected, ending.end)
    assert [watch.check(1.0) for _ in range(5)] == [False, False, False, False, True]
    assert ending.times == 1


def test_a_client_starts_the_grace_time_anew(process) -> None:
    ending = Ending()
    watch = process.OrphanWatch(3.0, lambda: ending.connected, ending.end)
    assert not watch.check(4.0)
    ending.connected = True
    assert not watch.check(1000.0)
    ending.connected = False
    assert not watch.check(4.0)
    assert watch.check(1.0)


def test_the_watch_runs_until_it_ended_the_engine_or_the_engine_stopped(process, monkeypatch) -> None:
    monkeypatch.setattr(process, "ORPHAN_CHECK_SECONDS", 0.0)
    ending = Ending()
    process.OrphanWatch(-1.0, lambda: True, ending.end).run(_set_event())
    assert ending.times == 0
    monkeypatch.setattr(process, "ORPHAN_CHECK_SECONDS", 1e-9)
    process.OrphanWatch(0.0, lambda: False, ending.end).run(threading.Event())
    assert ending.times == 1


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_clients_are_seen_in_the_kernels_table(process, tmp_path: Path) -> None:
    path = tmp_path / "with blank.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert not process.has_client(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            accepted, _ = listener.accept()
            assert process.has_client(path)
            assert not process.has_client(tmp_path / "another.sock")
            accepted.close()
        assert not process.has_client(path)


def test_the_engine_tells_its_version(process) -> None:
    assert process.engine_version().count(".") == 2


def test_an_engine_listens_somewhere(process) -> None:
    with pytest.raises(OptionError, match="nowhere to listen"):
        process.run_engine(None, EngineOptions())


def test_only_an_engine_with_a_socket_of_its_own_can_tell_that_it_is_orphaned(process, tmp_path: Path) -> None:
    tls = TlsListener("127.0.0.1:1", tmp_path, tmp_path, tmp_path)
    with pytest.raises(OptionError, match="exit-when-orphaned"):
        process.run_engine(tmp_path / "m.sock", EngineOptions(), tls)


@pytest.mark.parametrize(
    ("environment", "activated"),
    [
        ({}, False),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, True),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, False),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, False),
        ({"LISTEN_PID": "7"}, False),
    ],
)
def test_sockets_are_taken_from_a_service_manager_that_means_this_process(process, environment, activated) -> None:
    assert process.is_activated(environment, 7) is activated
