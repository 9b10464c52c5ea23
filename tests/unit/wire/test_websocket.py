"""SIP over WebSocket, with a client that others wrote (aiohttp's); what that would never say goes by a bare socket."""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.metrics import Metrics
from sidestream.sip.message import MAX_MESSAGE_SIZE
from sidestream.sip.transport import Peer, Transmit, Transport
from sidestream.testing.certificates import Authority
from sidestream.wire import websocket
from sidestream.wire.listener import Listener
from sidestream.wire.pool import StreamPool
from sidestream.wire.tls import TlsContexts, TlsSettings

from .test_pool import LIMIT_S, OPTIONS, NotedGround, closed

SITE = "https://phone.example.com"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
)


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """A frame of a client (RFC 6455 §5.2), short or of up to 64 KiB."""
    key = os.urandom(4)
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    masked = bytes(octet ^ key[place % 4] for place, octet in enumerate(payload))
    return bytes([(0x80 if final else 0) | opcode]) + length + key + masked


@pytest.fixture
def ground() -> NotedGround:
    return NotedGround()


@pytest.fixture
async def pool(ground: NotedGround) -> AsyncIterator[StreamPool]:
    made = StreamPool(ground, None, Metrics(), unfinished_limit=0.2)
    yield made
    await made.close()


@pytest.fixture
async def port(pool: StreamPool) -> int:
    return (await pool.listen(Listener("ws", Transport.WS, "127.0.0.1", 0, origins=(SITE,))))[1]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def bare(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    async with asyncio.timeout(LIMIT_S):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_messages_come_and_go(
    pool: StreamPool, ground: NotedGround, port: int, http: aiohttp.ClientSession, kind: str
) -> None:
    async with http.ws_connect(f"http://127.0.0.1:{port}", protocols=["other", "sip"], compress=15) as page:
        assert (page.protocol, page.compress) == ("sip", 0)
        await (page.send_str(OPTIONS.decode()) if kind == "text" else page.send_bytes(OPTIONS))
        await ground.wait()
        ((data, peer),) = ground.messages
        assert (data, peer.transport, peer.host, peer.listener) == (OPTIONS, Transport.WS, "127.0.0.1", "ws")
        pool.send(Transmit(b"SIP/2.0 200 OK\r\n\r\n\xff", peer, "id"))
        assert await page.receive_bytes(timeout=LIMIT_S) == b"SIP/2.0 200 OK\r\n\r\n\xff"
        assert ground.out == [b"SIP/2.0 200 OK\r\n\r\n\xff"]
    await asyncio.sleep(0)
    pool.send(Transmit(b"x", peer, "late"))
    while "late" not in ground.failures:
        await ground.wait()


@pytest.mark.parametrize(
    ("protocols", "origin", "status"),
    [
        ((), None, 400),
        (("mqtt",), None, 400),
        (("sip",), "https://evil.example", 403),
        (("sip",), "null", 403),
        (("sip",), SITE, 101),
        (("sip",), SITE.upper() + "/", 101),
        (("sip",), None, 101),
    ],
)
async def test_who_may_connect(
    port: int, http: aiohttp.ClientSession, protocols: tuple[str, ...], origin: str | None, status: int
) -> None:
    connecting = http.ws_connect(f"http://127.0.0.1:{port}", protocols=protocols, origin=origin)
    if status == 101:
        await (await connecting).close()
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connecting
    assert refused.value.status == status


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", OPTIONS, b"\x16\x03\x01" + bytes(40)])
async def test_what_is_no_handshake_is_refused(port: int, ground: NotedGround, request_line: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_line)
    answer = await closed(reader)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert ground.messages == []
    writer.close()


async def test_a_handshake_has_to_be_finished(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE[:60])
    assert await closed(reader) == b""
    writer.close()


async def test_a_message_in_parts_is_one_and_has_to_be_finished(ground: NotedGround, port: int) -> None:
    reader, writer = await bare(port)
    writer.write(frame(2, OPTIONS[:20], final=False) + frame(9, b"?") + frame(0, OPTIONS[20:]))
    await ground.wait()
    assert [data for data, _ in ground.messages] == [OPTIONS]
    writer.write(frame(2, b"OPT", final=False))
    answer = await closed(reader)
    assert b"\x8a\x01?" in answer, "the ping is answered"
    writer.close()


async def test_a_message_that_is_too_large_ends_it(ground: NotedGround, port: int) -> None:
    reader, writer = await bare(port)
    writer.write(frame(2, bytes(MAX_MESSAGE_SIZE), final=False) + frame(0, b"x"))
    assert (await closed(reader)).endswith(b"\x88\x02" + (1009).to_bytes(2, "big"))
    assert ground.messages == []
    writer.close()


@pytest.mark.parametrize("data", [b"\x81\x03abc", frame(3, b"reserved"), frame(1, b"\xff\xfe")])
async def test_frames_against_the_rules_end_it(ground: NotedGround, port: int, data: bytes) -> None:
    """Not masked, of no known kind, no UTF-8."""
    reader, writer = await bare(port)
    writer.write(data)
    await closed(reader)
    assert ground.messages == []
    writer.close()


async def test_a_closing_handshake_is_answered(port: int, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"http://127.0.0.1:{port}", protocols=["sip"]) as page:
        assert await page.close(code=1001)
        assert page.close_code == 1001


async def test_keep_alives_of_sip_are_answered_and_lone_line_ends_ignored(
    ground: NotedGround, port: int, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(f"http://127.0.0.1:{port}", protocols=["sip"]) as page:
        await page.send_str("\r\n")
        await page.send_str("\r\n\r\n")
        assert await page.receive_bytes(timeout=LIMIT_S) == b"\r\n"
        assert ground.messages == []


async def test_pings_are_sent_and_have_to_be_answered(ground: NotedGround, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PONG_LIMIT_S", 1.0)
    pool = StreamPool(ground, None, Metrics(), ping_interval=0.02)
    _, port = await pool.listen(Listener("ws", Transport.WS, "127.0.0.1", 0))
    reader, writer = await bare(port)
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            assert await reader.readexactly(2) == b"\x89\x00"
            writer.write(frame(10, b""))
        with contextlib.suppress(ConnectionResetError):
            await reader.read()  # until it is closed, for nothing is answered any more
    writer.close()
    await pool.close()


async def test_nothing_is_sent_before_the_handshake_or_after_the_end(pool: StreamPool, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(LIMIT_S):
        while not pool._open:
            await asyncio.sleep(0.001)
    ((_, connection),) = pool._open.items()
    assert isinstance(connection, websocket.WebSocketConnection)
    connection._put(b"too early")
    writer.write(HANDSHAKE)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b"too early" not in answer
    writer.write(frame(8, b"\x03\xe8"))
    await closed(reader)
    connection._put(b"too late")
    connection._ping()
    writer.close()


async def test_over_tls(ground: NotedGround, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", addresses=("127.0.0.1",))
    pool = StreamPool(ground, TlsContexts(TlsSettings(*files), SystemClock()), Metrics())
    _, port = await pool.listen(Listener("wss", Transport.WSS, "127.0.0.1", 0))
    context = ssl.create_default_context(cafile=str(authority.path))
    async with http.ws_connect(f"https://127.0.0.1:{port}", protocols=["sip"], ssl=context) as page:
        await page.send_bytes(OPTIONS)
        await ground.wait()
        peer: Peer = ground.messages[0][1]
        assert peer.transport is Transport.WSS
    await pool.close()
