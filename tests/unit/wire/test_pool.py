"""Connections that are accepted, opened and found again; and their limits."""

import asyncio
import contextlib
import errno
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.metrics import Metrics
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.testing.certificates import Authority
from sidestream.wire import pool as pool_module
from sidestream.wire import stream
from sidestream.wire.listener import Listener
from sidestream.wire.pool import StreamPool
from sidestream.wire.tls import TlsContexts, TlsSettings

LIMIT_S = 5.0
OPTIONS = b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n"


class NotedGround:
    """A driver that only takes notes."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Peer]] = []
        self.out: list[bytes] = []
        self.failures: list[str] = []
        self.reasons: list[str] = []
        self.pause = 0.0
        self.news = asyncio.Event()

    def received(self, data: bytes, peer: Peer) -> None:
        self.messages.append((data, peer))
        self.news.set()

    def pause_after(self, peer: Peer) -> float:
        return self.pause

    def sent(self, data: bytes, peer: Peer) -> None:
        self.out.append(data)

    def failed(self, transmit_ids: list[str], reason: str) -> None:
        self.failures += transmit_ids
        self.reasons.append(reason)
        self.news.set()

    async def wait(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.news.wait()
        self.news.clear()


@pytest.fixture
def ground() -> NotedGround:
    return NotedGround()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def pool(ground: NotedGround, metrics: Metrics) -> AsyncIterator[StreamPool]:
    made = StreamPool(ground, None, metrics, idle_limit=0.3, unfinished_limit=0.1)
    yield made
    await made.close()


@pytest.fixture
async def port(pool: StreamPool) -> int:
    return (await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0)))[1]


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other side closes."""
    async with asyncio.timeout(LIMIT_S):
        return await reader.read()


async def take_and_close(server: socket.socket, messages: int) -> None:
    """Accept a connection, read so many messages, and close it."""
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(server)
    data = b""
    while data.count(b"OPTIONS") < messages or not data.endswith(b"\r\n\r\n"):
        data += await loop.sock_recv(connection, 65536)
    connection.close()


async def test_messages_are_cut_out_of_the_stream(pool: StreamPool, ground: NotedGround, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    text = OPTIONS * 2
    for index in range(0, len(text), 7):
        writer.write(text[index : index + 7])
    while len(ground.messages) < 2:
        await ground.wait()
    assert [data for data, _ in ground.messages] == [OPTIONS, OPTIONS]
    (peer,) = {peer for _, peer in ground.messages}
    assert (peer.transport, peer.host, peer.listener) == (Transport.TCP, "127.0.0.1", "tcp")
    assert peer.port == writer.get_extra_info("sockname")[1]
    writer.close()


async def test_a_ping_gets_its_pong(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(LIMIT_S):
        assert await reader.readexactly(2) == b"\r\n"
    writer.close()


async def test_answers_go_back_by_the_same_stream(pool: StreamPool, ground: NotedGround, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPTIONS)
    await ground.wait()
    pool.send(Transmit(b"SIP/2.0 200 OK\r\n\r\n", ground.messages[0][1], "id", "tcp"))
    async with asyncio.timeout(LIMIT_S):
        assert await reader.readuntil(b"\r\n\r\n") == b"SIP/2.0 200 OK\r\n\r\n"
    assert ground.out == [b"SIP/2.0 200 OK\r\n\r\n"]
    writer.close()


async def test_a_stream_that_cannot_be_read_is_answered_and_closed(ground: NotedGround, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nFrom: <sip:b@h>;tag=b\r\n"
        b"To: <sip:a@h>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n\r\n" + OPTIONS
    )
    assert (await closed(reader)).startswith(b"SIP/2.0 400 ")
    assert ground.messages == []
    writer.close()


async def test_a_stream_without_an_answerable_request_is_just_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await closed(reader) == b""
    writer.close()


async def test_a_message_that_never_ends_is_given_up(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"OPTIONS sip:a@h SIP/2.0\r\n")
    assert await closed(reader) == b""
    writer.close()


async def test_more_bytes_win_no_more_time_but_the_last_one_does(
    pool: StreamPool, ground: NotedGround, port: int
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPTIONS)
    await ground.wait()
    (connection,) = pool._open.values()
    assert "unfinished" not in connection._timers
    connection.data_received(OPTIONS[:10])
    limit = connection._timers.get("unfinished")
    assert limit is not None
    connection.data_received(OPTIONS[10:20])
    assert connection._timers["unfinished"] is limit
    connection.data_received(OPTIONS[20:])
    assert "unfinished" not in connection._timers
    assert limit.cancelled()
    writer.close()


async def test_an_idle_stream_is_closed(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPTIONS)
    assert await closed(reader) == b""
    writer.close()


async def test_one_stream_serves_all_requests_to_a_destination(
    pool: StreamPool, ground: NotedGround, port: int
) -> None:
    where = Destination(Transport.TCP, "127.0.0.1", port)
    for number in range(3):
        pool.send(Transmit(OPTIONS, where, f"id{number}", "tcp"))
    while len(ground.messages) < 3:
        await ground.wait()
    pool.send(Transmit(OPTIONS, where, "id3", "tcp"))
    while len(ground.messages) < 4:
        await ground.wait()
    assert len({peer for _, peer in ground.messages}) == 1
    assert ground.failures == []


async def test_a_stream_that_breaks_fails_what_was_sent_by_it(pool: StreamPool, ground: NotedGround) -> None:
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        where = Destination(Transport.TCP, "127.0.0.1", server.getsockname()[1])
        pool.send(Transmit(OPTIONS, where, "id", "tcp"))
        pool.send(Transmit(OPTIONS, where, None, "tcp"))
        await take_and_close(server, 2)
        await ground.wait()
    assert ground.failures == ["id"]


async def test_a_peer_that_is_gone_fails_at_once(pool: StreamPool, ground: NotedGround) -> None:
    pool.send(Transmit(b"x", Peer(Transport.TCP, "127.0.0.1", 9, "tcp"), "id", "tcp"))
    await ground.wait()
    assert ground.failures == ["id"]


async def test_a_peer_that_does_not_read_is_cut_off(
    pool: StreamPool, ground: NotedGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_UNSENT", 100_000)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        where = Destination(Transport.TCP, "127.0.0.1", server.getsockname()[1])
        pool.send(Transmit(OPTIONS, where, "first", "tcp"))
        connection, _ = await asyncio.get_running_loop().sock_accept(server)
        while not pool._outgoing:
            await asyncio.sleep(0)
        for number in range(400):
            pool.send(Transmit(random.Random(number).randbytes(60_000), where, f"id{number}", "tcp"))
        while "first" not in ground.failures:
            await ground.wait()
        connection.close()


async def test_more_connections_than_there_is_room_for_are_refused(
    ground: NotedGround, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_CONNECTIONS", 1)
    _, first = await asyncio.open_connection("127.0.0.1", port)
    first.write(OPTIONS)
    await ground.wait()
    reader, second = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionResetError):
        assert await closed(reader) == b""
    first.close()
    second.close()


@pytest.mark.parametrize("is_free", [True, False])
async def test_one_source_does_not_take_the_room_of_all(
    pool: StreamPool, ground: NotedGround, metrics: Metrics, port: int, monkeypatch: pytest.MonkeyPatch, is_free: bool
) -> None:
    """It has room again when its connections are gone."""
    monkeypatch.setattr(pool_module, "MAX_PER_SOURCE", 1)
    monkeypatch.setattr(pool_module, "is_within", lambda host, networks: is_free)
    _, first = await asyncio.open_connection("127.0.0.1", port)
    first.write(OPTIONS)
    await ground.wait()
    reader, second = await asyncio.open_connection("127.0.0.1", port)
    if is_free:
        second.write(OPTIONS)
        await ground.wait()
    else:
        with contextlib.suppress(ConnectionResetError):
            assert await closed(reader) == b""
        dropped = metrics.registry.get_sample_value("sidestream_sip_dropped_total", {"reason": "connections"})
        assert dropped == 1
    first.close()
    second.close()
    await ground_lost(pool)
    assert not pool._sources
    _, third = await asyncio.open_connection("127.0.0.1", port)
    third.write(OPTIONS)
    await ground.wait()
    third.close()


async def test_who_connects_and_says_nothing_is_not_kept_for_long(ground: NotedGround, metrics: Metrics) -> None:
    pool = StreamPool(ground, None, metrics, first_limit=0.05)
    _, port = await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await closed(reader) == b""
    writer.close()
    await pool.close()


@pytest.mark.parametrize("said", [OPTIONS, b"\r\n\r\n"])
async def test_but_who_has_said_something_is(pool: StreamPool, port: int, said: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    async with asyncio.timeout(LIMIT_S):
        while not pool._open or "first" in next(iter(pool._open.values()))._timers:
            await asyncio.sleep(0.001)
    writer.close()


async def test_too_many_messages_for_a_stream_that_is_being_opened(
    pool: StreamPool, ground: NotedGround, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_WAITING", 2)
    where = Destination(Transport.TCP, "127.0.0.1", port)
    for number in range(3):
        pool.send(Transmit(OPTIONS, where, f"id{number}", "tcp"))
    while len(ground.messages) < 2:
        await ground.wait()
    assert ground.failures == ["id2"]


async def test_no_answer_to_a_connection_attempt_fails_in_the_end(
    pool: StreamPool, ground: NotedGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CONNECT_LIMIT_S", 0.05)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):  # fill the backlog, so that the kernel answers no further SYN
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        pool.send(Transmit(OPTIONS, Destination(Transport.TCP, *full.getsockname()), "id", "tcp"))
        await ground.wait()
        for filler in fillers:
            filler.close()
    assert ground.failures == ["id"]


async def test_only_the_latest_ids_of_a_stream_are_remembered(
    pool: StreamPool, ground: NotedGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "REMEMBERED_IDS", 2)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        where = Destination(Transport.TCP, "127.0.0.1", server.getsockname()[1])
        for number in range(4):
            pool.send(Transmit(OPTIONS, where, f"id{number}", "tcp"))
        await take_and_close(server, 4)
        await ground.wait()
    assert ground.failures == ["id2", "id3"]


async def test_what_a_loss_failed_has_a_reason(pool: StreamPool, ground: NotedGround) -> None:
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        where = Destination(Transport.TCP, "127.0.0.1", server.getsockname()[1])
        pool.send(Transmit(OPTIONS, where, "id", "tcp"))
        await take_and_close(server, 1)
        await ground.wait()
    assert ground.reasons == ["the connection was closed"]


async def test_a_source_that_sends_too_much_is_left_unread_for_a_while(
    pool: StreamPool, ground: NotedGround, port: int
) -> None:
    ground.pause = 0.05
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPTIONS)
    await ground.wait()
    ground.pause = 0.0
    before = loop.time()
    writer.write(OPTIONS)
    await ground.wait()
    assert loop.time() - before > 0.03
    writer.close()


async def test_our_pings_keep_a_connection_that_we_opened(ground: NotedGround, metrics: Metrics) -> None:
    pool = StreamPool(ground, None, metrics, ping_interval=0.02)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        pool.send(Transmit(OPTIONS, Destination(Transport.TCP, *server.getsockname()), "id", "tcp"))
        connection, _ = await loop.sock_accept(server)
        data = b""
        async with asyncio.timeout(LIMIT_S):
            while data.count(b"\r\n\r\n") < 3:  # the request's own end, and two pings
                data += await loop.sock_recv(connection, 65536)
        assert data.removeprefix(OPTIONS).strip(b"\r\n") == b""
        connection.close()
        await ground.wait()
    await pool.close()


async def test_a_peer_that_once_answered_pings_and_does_no_more_is_cut_off(
    ground: NotedGround, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PONG_LIMIT_S", 0.05)
    pool = StreamPool(ground, None, metrics, ping_interval=0.02)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        pool.send(Transmit(OPTIONS, Destination(Transport.TCP, *server.getsockname()), "id", "tcp"))
        connection, _ = await loop.sock_accept(server)
        data = b""
        async with asyncio.timeout(LIMIT_S):
            while not data.endswith(b"\r\n\r\n\r\n\r\n"):
                data += await loop.sock_recv(connection, 65536)
            await loop.sock_sendall(connection, b"\r\n")
            await ground.wait()
        connection.close()
    assert (ground.failures, ground.reasons) == (["id"], ["the peer no longer answers keep-alives"])
    await pool.close()


async def test_a_peer_that_never_answered_a_ping_is_left_alone(
    ground: NotedGround, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PONG_LIMIT_S", 0.01)
    pool = StreamPool(ground, None, metrics, ping_interval=0.01)
    await pool.listen(Listener("tcp", Transport.TCP, "127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        pool.send(Transmit(OPTIONS, Destination(Transport.TCP, *server.getsockname()), "id", "tcp"))
        connection, _ = await loop.sock_accept(server)
        data = b""
        async with asyncio.timeout(LIMIT_S):
            while data.count(b"\r\n\r\n") < 8:
                data += await loop.sock_recv(connection, 65536)
        assert ground.failures == []
        connection.close()
    await pool.close()


async def test_a_ping_and_a_pause_after_the_end_do_nothing(pool: StreamPool, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(OPTIONS)
    while not pool._open:
        await asyncio.sleep(0.001)
    (connection,) = pool._open.values()
    connection.close()
    connection._ping()
    connection._read_on()
    connection._slow_down(1.0)
    connection._miss_pong()
    assert "pause" not in connection._timers
    writer.close()


@pytest.mark.parametrize("limit", ["MAX_HANDSHAKES", "MAX_HANDSHAKES_PER_SOURCE"])
async def test_secure_connections_beyond_the_limit_are_closed_before_their_handshake(
    ground: NotedGround,
    metrics: Metrics,
    server_files: tuple[Path, Path],
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    monkeypatch.setattr(pool_module, limit, 1)
    monkeypatch.setattr(pool_module, "is_within", lambda host, networks: False)  # loopback is free otherwise
    contexts = TlsContexts(TlsSettings(*server_files, authority.path), SystemClock())
    pool = StreamPool(ground, contexts, metrics)
    _, port = await pool.listen(Listener("tls", Transport.TLS, "127.0.0.1", 0))
    slow, slow_writer = await asyncio.open_connection("127.0.0.1", port)
    while not pool._handshakes:
        await asyncio.sleep(0.001)
    second, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionResetError):
        assert await closed(second) == b""
    assert metrics.registry.get_sample_value("sidestream_sip_dropped_total", {"reason": "connections"}) == 1
    slow_writer.close()
    writer.close()
    await pool.close()


async def test_accepting_goes_on_after_the_kernel_ran_out_of_descriptors(
    ground: NotedGround, metrics: Metrics, server_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ACCEPT_PAUSE_S", 0.01)
    pool = StreamPool(ground, TlsContexts(TlsSettings(*server_files), SystemClock()), metrics)
    listener = Listener("tls", Transport.TLS, "127.0.0.1", 0)
    _, port = await pool.listen(listener)

    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        def fileno(self) -> int:
            return real.fileno()

    (real,) = pool._accepting
    pool._accept(Exhausted(), listener)  # type: ignore[arg-type]
    assert not pool.loop.remove_reader(real.fileno())  # it waits
    pool.loop.add_reader(real.fileno(), pool._accept, real, listener)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    while not pool._handshakes:
        await asyncio.sleep(0.001)
    writer.close()
    await pool.close()
    pool._accept_again(real, listener)  # too late: it is closed


async def test_an_alias_counts_for_the_name_that_was_proven_only(
    pool: StreamPool, ground: NotedGround, port: int
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    request = (
        b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TLS h:5071;branch=z9hG4bKx;alias\r\nFrom: <sip:b@h>;tag=b\r\n"
        b"To: <sip:a@h>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(request)
    await ground.wait()
    (connection,) = pool._open.values()
    assert pool._aliases == {}  # nothing was proven
    connection.certificate = {"subjectAltName": (("DNS", "client.test"),)}
    pool.first_message(connection, b"no message")
    pool.first_message(connection, request.replace(b";alias", b""))
    assert pool._aliases == {}
    pool.first_message(connection, request)
    assert pool._alias(Destination(Transport.TLS, "127.0.0.1", 5071), "client.test") is connection
    assert pool._alias(Destination(Transport.TLS, "127.0.0.1", 5071), "other.test") is None
    assert pool._alias(Destination(Transport.TCP, "127.0.0.1", 5071), "client.test") is None
    writer.close()
    await ground_lost(pool)
    assert pool._aliases == {}


async def ground_lost(pool: StreamPool) -> None:
    async with asyncio.timeout(LIMIT_S):
        while pool._open:
            await asyncio.sleep(0.001)
