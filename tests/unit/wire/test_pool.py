"""Connections that are accepted, opened and found again; and their limits."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

import pytest

from sidestream.base.metrics import Metrics
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.wire import pool as pool_module
from sidestream.wire import stream
from sidestream.wire.listener import Listener
from sidestream.wire.pool import StreamPool

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
async def pool(ground: NotedGround) -> AsyncIterator[StreamPool]:
    made = StreamPool(ground, None, Metrics(), idle_limit=0.3, unfinished_limit=0.1)
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
