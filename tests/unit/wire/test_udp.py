"""One UDP socket."""

import asyncio
import socket

import pytest

from sidestream.sip.transport import Peer, Transport
from sidestream.wire import udp
from sidestream.wire.listener import Listener
from sidestream.wire.udp import UdpSocket

LOCAL = Listener("udp", Transport.UDP, "127.0.0.1", 0)


def nobody_dies(transmit_ids: list[str], reason: str) -> None:
    raise AssertionError(f"{transmit_ids}: {reason}")


async def test_a_burst_is_read_in_pieces_so_that_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "BURST", 2)
    order: list[object] = []
    sock = UdpSocket(LOCAL, lambda data, peer: order.append(data), nobody_dies)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(4):
            sender.sendto(b"%d" % number, sock.address)

        def other(round_: int) -> None:
            order.append("other")
            if round_ < 4:
                loop.call_soon(other, round_ + 1)

        other(0)
        while len([item for item in order if item != "other"]) < 4:
            await asyncio.sleep(0)
    sock.close()
    position = order.index(b"1")
    assert "other" in order[position : order.index(b"2")]


async def test_the_peer_is_named() -> None:
    seen: list[Peer] = []
    arrived = asyncio.Event()

    def take(data: bytes, peer: Peer) -> None:
        seen.append(peer)
        arrived.set()

    one, two = UdpSocket(LOCAL, take, nobody_dies), UdpSocket(LOCAL, take, nobody_dies)
    two.send(b"x", *one.address)
    async with asyncio.timeout(5):
        await arrived.wait()
    assert seen == [Peer(Transport.UDP, "127.0.0.1", two.address[1], "udp")]
    one.close()
    two.close()


async def test_a_socket_that_its_reader_closes_reads_no_further() -> None:
    seen: list[bytes] = []
    arrived = asyncio.Event()

    def take(data: bytes, peer: Peer) -> None:
        seen.append(data)
        sock.close()
        arrived.set()

    sock = UdpSocket(LOCAL, take, nobody_dies)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"x", sock.address)
        async with asyncio.timeout(5):
            await arrived.wait()
    sock.close()
    assert seen == [b"x"]


async def test_what_the_kernel_refuses_is_an_error_and_a_full_buffer_a_loss() -> None:
    sock = UdpSocket(LOCAL, lambda data, peer: None, nobody_dies)
    with pytest.raises(OSError):
        sock.send(b"x" * 70_000, "127.0.0.1", 9)

    class Full:
        def sendto(self, *_: object) -> int:
            raise BlockingIOError

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    real = sock._socket
    sock._socket = Full()  # type: ignore[assignment]
    sock.send(b"x", "127.0.0.1", 9)
    assert sock.blocked == 1
    sock._socket = real
    sock.close()


async def test_an_error_on_the_socket_is_survived() -> None:
    sock = UdpSocket(LOCAL, lambda data, peer: None, nobody_dies)

    class Broken:
        def recvfrom(self, *_: object) -> tuple[bytes, tuple[str, int]]:
            raise ConnectionRefusedError

    real = sock._socket
    sock._socket = Broken()  # type: ignore[assignment]
    sock._read()
    sock._socket = real
    sock.close()


async def test_a_taken_port_leaves_nothing_open() -> None:
    sock = UdpSocket(LOCAL, lambda data, peer: None, nobody_dies)
    with pytest.raises(OSError):
        UdpSocket(Listener("two", Transport.UDP, *sock.address), lambda data, peer: None, nobody_dies)
    sock.close()
