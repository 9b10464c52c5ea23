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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_target_that_is_not_there_is_reported_by_its_icmp_error(host: str) -> None:
    dead: list[tuple[list[str], str]] = []
    told = asyncio.Event()

    def take(transmit_ids: list[str], reason: str) -> None:
        dead.append((transmit_ids, reason))
        told.set()

    sock = UdpSocket(Listener("udp", Transport.UDP, host, 0), lambda data, peer: None, take)
    with socket.socket(sock.family, socket.SOCK_DGRAM) as gone:
        gone.bind((host, 0))
        port = gone.getsockname()[1]
    sock.send(b"x", host, port, "one")
    async with asyncio.timeout(5):
        await told.wait()
    assert dead == [(["one"], "ICMP: connection refused")]
    sock.close()


async def test_the_error_of_one_target_does_not_fail_the_datagram_to_another() -> None:
    got: list[bytes] = []
    arrived = asyncio.Event()
    dead: list[str] = []

    def take(data: bytes, peer: Peer) -> None:
        got.append(data)
        arrived.set()

    there = UdpSocket(LOCAL, take, nobody_dies)
    sock = UdpSocket(LOCAL, lambda data, peer: None, lambda ids, reason: dead.extend(ids))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    sock.send(b"x", "127.0.0.1", port, "dead")
    sock.send(b"y", *there.address, "living")  # the kernel tells of the first one here
    async with asyncio.timeout(5):
        await arrived.wait()
        while not dead:
            await asyncio.sleep(0.001)
    assert (got, dead) == ([b"y"], ["dead"])
    sock.close()
    there.close()


async def test_who_is_told_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "IDS_PER_TARGET", 2)
    monkeypatch.setattr(udp, "MAX_REMEMBERED", 1)
    other, sock = (
        UdpSocket(LOCAL, lambda data, peer: None, nobody_dies),
        UdpSocket(LOCAL, lambda d, p: None, nobody_dies),
    )
    sock.send(b"x", "127.0.0.1", 9, "forgotten")
    for number in range(3):
        sock.send(b"x", *other.address, str(number))
    assert {target: list(ids) for target, ids in sock._sent.items()} == {other.address: ["1", "2"]}
    sock.close()
    other.close()


async def test_keep_alives_wake_nobody() -> None:
    got: list[bytes] = []
    arrived = asyncio.Event()

    def take(data: bytes, peer: Peer) -> None:
        got.append(data)
        arrived.set()

    sock = UdpSocket(LOCAL, take, nobody_dies)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        for data in (b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"", b"ping!"):
            phone.sendto(data, sock.address)
        async with asyncio.timeout(5):
            await arrived.wait()
    assert got == [b"ping!"]
    sock.close()


async def test_both_families_may_have_the_same_port() -> None:
    six = UdpSocket(Listener("six", Transport.UDP, "::", 0), lambda data, peer: None, nobody_dies)
    four = UdpSocket(Listener("four", Transport.UDP, "0.0.0.0", six.address[1]), lambda data, peer: None, nobody_dies)
    six.close()
    four.close()
