"""Who may command an engine, from where, and how many at one time."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from sidestream.media.address import EngineAddress, TlsAddress
from sidestream.media.client import EngineClient
from sidestream.media.connection import greet
from sidestream.media.engine import Address, FirstPacket, Format, MediaEngineError, MediaEvent
from sidestream.media.options import EngineOptions
from sidestream.testing.certificates import Authority
from sidestream.testing.engine_process import engine_process

from .in_namespaces import Engine
from .network import Network, inside

STOP_SECONDS = 10.0
PCMU = Format(0, "PCMU", 8000)
ENDS = ("10.91.1.1", "10.91.2.2")  # of the way through the router
NOTICED_S = 12.0  # and a little, for a loaded machine


class Places:
    """An authority that both sides trust, the engine's certificate, and a port for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory)
        self.stranger = Authority(directory, "Another Authority")
        self.certificate, self.key = self.authority.issue("engine", names=("localhost",), addresses=("127.0.0.1",))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def arguments(self, *peers: str) -> list[str]:
        """Of an engine's command line."""
        files = {"certificate": self.certificate, "key": self.key, "client-ca": self.authority.path}
        named = [part for name, path in files.items() for part in (f"--tls-{name}", str(path))]
        return [*named, *(part for peer in peers for part in ("--tls-peer", peer))]

    def client(self, name: str, *, signed_by: Authority | None = None, host: str = "localhost") -> TlsAddress:
        """Where a client whose certificate has this name finds the engine."""
        own = (signed_by or self.authority).issue(f"client-{name}", names=(name,))
        return TlsAddress(host, self.port, self.authority.path, *own)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


@contextmanager
def engine(arguments: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-m", "sidestream", "media", "--port-min", "44000", "--port-max", "44199", *arguments)
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        status = process.wait(STOP_SECONDS)
    assert status == 0


@asynccontextmanager
async def client(address: EngineAddress) -> AsyncIterator[EngineClient]:
    made = EngineClient(address)
    await made.connect()
    try:
        yield made
    finally:
        await made.close()


async def refused(address: TlsAddress) -> str:
    """Why a greeting from there fails."""
    with pytest.raises(MediaEngineError) as caught:
        await greet(address, lambda _: None, lambda *_: None)
    return caught.value.code


async def test_an_engine_is_commanded_over_tls_by_peers_that_prove_their_name(places: Places) -> None:
    listen = ["--listen", f"tls://127.0.0.1:{places.port}", "--stay-when-orphaned"]
    with engine([*listen, *places.arguments("serve.example")]):
        async with client(places.client("serve.example")) as serve:
            await serve.open_session("CA1")
            ports = await serve.open_endpoint("CA1", "a")
            assert ports.rtp % 2 == 0
            # more than one record of TLS, in both directions
            names = [f"{n:0100}" for n in range(400)]
            await asyncio.gather(*(serve.open_session(name) for name in names))
            assert len(await serve.list_sessions()) == 401
            # whoever has no certificate of the authority, or another name, is nobody; so is an engine of another name
            assert await refused(places.client("other.example")) == "engine-lost"
            assert await refused(places.client("serve.example", signed_by=places.stranger)) == "engine-lost"
            assert await refused(places.client("serve.example", host="127.0.0.2")) == "engine-lost"
            with socket.create_connection(("127.0.0.1", places.port)) as plain:
                plain.sendall(b'{"id": 1, "op": "hello", "protocol": 1}\n')
                assert plain.recv(4096)[:1] != b"{"
            assert len(await serve.list_sessions()) == 401


async def test_strangers_do_not_hold_connections(places: Places) -> None:
    """Sixteen connections is all there are: a stranger's ends when it does not prove itself in time."""
    with engine(["--listen", f"tls://127.0.0.1:{places.port}", *places.arguments()]):
        async with client(places.client("any.example")):
            pass
        strangers = [socket.create_connection(("127.0.0.1", places.port)) for _ in range(16)]
        try:
            async with client(places.client("any.example")) as late:
                assert await late.list_sessions() == []
        finally:
            for stranger in strangers:
                stranger.close()


async def test_strangers_make_way_for_who_comes_next(places: Places) -> None:
    """However many there are: a control process that comes back must not wait until the grace time is over."""
    path = places.directory / "media.sock"
    with engine(["--listen", f"tls://127.0.0.1:{places.port}", "--socket", str(path), *places.arguments()]):
        async with client(path):
            pass
        strangers = [socket.create_connection(("127.0.0.1", places.port)) for _ in range(60)]
        try:
            for address in (path, places.client("any.example"), path):
                # one attempt, and less than the 5 s that strangers have
                async with asyncio.timeout(4.0):
                    connection, _ = await greet(address, lambda _: None, lambda *_: None)
                connection.close()
        finally:
            for stranger in strangers:
                stranger.close()


async def test_an_engine_listens_on_what_systemd_hands_over(places: Places) -> None:
    path = places.directory / "handed.sock"
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", places.port)) as tcp:
        unix.bind(str(path))
        unix.listen()

        def hand_over() -> None:
            # what systemd does between fork and exec
            for target, handed in ((3, os.dup(unix.fileno())), (4, os.dup(tcp.fileno()))):
                os.dup2(handed, target, inheritable=True)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")

        with engine(places.arguments(), preexec_fn=hand_over, close_fds=False):
            async with client(path) as local, client(places.client("any.example")) as remote:
                await local.open_session("CA1")
                assert await remote.list_sessions() == ["CA1"]
        assert path.exists(), "the socket is the service manager's"


async def test_several_processes_command_one_engine(tmp_path: Path) -> None:
    options = EngineOptions(exit_when_orphaned=False)
    with engine_process(tmp_path, options) as running:
        async with client(running.socket) as one, client(running.socket) as two:
            heard: dict[str, list[MediaEvent]] = {"one": [], "two": []}
            one.subscribe("CA1", heard["one"].append)
            two.subscribe("CA1", heard["two"].append)
            await one.open_session("CA1")
            ports = await one.open_endpoint("CA1", "a")
            assert await two.open_endpoint("CA1", "a") == ports
            await two.configure_endpoint("CA1", "a", remote=None, formats=(PCMU,))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.sendto(bytes([0x80, 0, 0, 1]) + bytes(8 + 160), (ports.host, ports.rtp))
                async with asyncio.timeout(5):
                    while not all(any(isinstance(e, FirstPacket) for e in events) for events in heard.values()):
                        await asyncio.sleep(0.01)
            await two.close_session("CA1")
            assert await one.list_sessions() == []


async def test_new_calls_are_refused_at_the_limit_of_bandwidth_and_old_ones_go_on(tmp_path: Path) -> None:
    options = EngineOptions(exit_when_orphaned=False, max_mbit_s=0.1)
    with engine_process(tmp_path, options) as running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        async with client(running.socket) as serve:
            await serve.open_session("CA1")
            ports = await serve.open_endpoint("CA1", "a")
            await serve.configure_endpoint("CA1", "a", remote=Address("127.0.0.1", 9), formats=(PCMU,))
            code, sent = "", 0
            async with asyncio.timeout(10):
                while code != "limit":
                    for _ in range(10):
                        header = b"\x80\0" + (sent & 0xFFFF).to_bytes(2, "big") + (160 * sent).to_bytes(4, "big")
                        phone.sendto(header + bytes(4 + 160), (ports.host, ports.rtp))
                        sent += 1
                    await asyncio.sleep(0.05)
                    try:
                        await serve.open_session(f"CA2{sent}")
                    except MediaEngineError as error:
                        code = error.code
            # what is open is not touched: no packet is missing, and it may grow
            await serve.open_endpoint("CA1", "b")
            assert (await serve.session_statistics("CA1")).endpoints["a"].packets_received == sent
            async with asyncio.timeout(10):
                while True:
                    try:
                        await serve.open_session("CA3")
                        break
                    except MediaEngineError:
                        await asyncio.sleep(0.1)


@pytest.mark.parametrize(("dscp", "tos"), [(46, 0xB8), (0, 0)])
async def test_media_is_marked_for_the_network(tmp_path: Path, dscp: int, tos: int) -> None:
    """RFC 2474 §3: the upper six bits of what was the type of service."""
    options = EngineOptions(exit_when_orphaned=False, dscp=dscp)
    with engine_process(tmp_path, options) as running, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        phone.settimeout(5)
        async with client(running.socket) as serve:
            await serve.open_session("CA1")
            ports = await serve.open_endpoint("CA1", "a")
            remote = Address(*phone.getsockname())
            await serve.configure_endpoint("CA1", "a", remote=remote, formats=(PCMU,))
            await serve.set_route("CA1", "a", "a")
            packet = bytes([0x80, 0, 0, 1]) + bytes(8 + 160)
            phone.sendto(packet, (ports.host, ports.rtp))
            echoed, control, _, _ = phone.recvmsg(2048, 64)
    assert echoed == packet
    assert [data[0] for level, kind, data in control if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)] == [tos]


async def test_another_version_is_refused_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine_process(tmp_path, EngineOptions(exit_when_orphaned=False)) as running:
        async with client(running.socket):
            pass
        monkeypatch.setattr("sidestream.media.connection.VERSION", 2)
        with pytest.raises(MediaEngineError, match="bad-version: protocol 2 is not spoken, 1 is"):
            await EngineClient(running.socket).connect()


@contextmanager
def dead_way(network: Network) -> Iterator[None]:
    """The router between phones and engine forwards nothing, and tells nobody."""
    for end in ENDS:
        subprocess.run(("ip", "-n", network.router, "route", "add", "blackhole", end), check=True)
    yield
    for end in ENDS:
        subprocess.run(("ip", "-n", network.router, "route", "del", "blackhole", end), check=True)


@pytest.mark.long
async def test_a_way_that_is_dead_is_noticed_and_taken_again_when_it_lives(places: Places, network: Network) -> None:
    """Packets vanish on the way, and nobody says so: neither side may wait for the other for a quarter of an hour."""
    near, host = "10.91.0.1", ENDS[0]
    places.certificate, places.key = places.authority.issue("far", addresses=(host,))
    listen = ["--listen", f"tls://{host}:{places.port}", "--stay-when-orphaned", *places.arguments()]
    running = Engine(network.engine, places.directory / "near.sock", "off", {"default": near}, listen)
    try:
        with inside(network.phones):
            async with client(places.client("any.example", host=host)) as serve, asyncio.timeout(40):
                heard: list[MediaEvent] = []
                await serve.open_session("CA1")
                serve.subscribe("CA1", heard.append)
                with dead_way(network):
                    began = time.monotonic()
                    while serve.connected:
                        await asyncio.sleep(0.05)
                    assert time.monotonic() - began < NOTICED_S
                    wanted = asyncio.create_task(serve.close_session("CA1"))
                    await asyncio.sleep(1)
                assert (await wanted).endpoints == {}
                assert await serve.list_sessions() == []
                assert heard == []
    finally:
        running.close()
