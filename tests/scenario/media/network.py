"""Network namespaces joined by veth pairs, in which the engine's packets have real next hops."""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000  # sched.h
_ETHTOOL = 0x8946  # SIOCETHTOOL, linux/sockios.h
_SET_SEND_CHECKSUMS = 0x17  # ETHTOOL_STXCSUM, linux/ethtool.h
_GET_HARDWARE = 0x8927  # SIOCGIFHWADDR, linux/sockios.h
_ETH_P_ALL = 3
_OUTGOING = 4  # PACKET_OUTGOING, packet(7)
_TWO_WORDS = 8
_UDP = 17


class Unsupported(Exception):
    """This machine or user cannot have network namespaces."""


class Network:
    """Three namespaces: the engine's, a router's, and the phones' and recorders'.

    The engine's has `near` straight to the phones, with IPv4, IPv6 and the VLAN `tagged` on it, and `away` to the
    router, which leads to the phones' `far`.
    """

    def __init__(self) -> None:
        self.has_vlan = False
        self._prefix = f"sidestream-{os.getpid()}-"

    @property
    def engine(self) -> str:
        return self._prefix + "engine"

    @property
    def router(self) -> str:
        return self._prefix + "router"

    @property
    def phones(self) -> str:
        return self._prefix + "phones"

    def open(self) -> None:
        """Raises `Unsupported`."""
        try:
            for name in (self.engine, self.router, self.phones):
                _ip("netns", "add", name)
                with inside(name):
                    _set_up_ipv6()
            self._link(self.engine, "near", self.phones, "phones")
            self._link(self.engine, "away", self.router, "inner")
            self._link(self.router, "outer", self.phones, "far")
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            raise Unsupported(str(error)) from error
        self.has_vlan = self._add_vlan()
        if not self.has_vlan:
            # another interface above an interface, in whose frames only the tag is missing
            self._add_above("macvlan", "mode", "bridge")
        for name, link, addresses in (
            (self.engine, "near", ["10.91.0.1/24", "fd91::1/64"]),
            (self.phones, "phones", ["10.91.0.2/24", "10.91.0.3/24", "fd91::2/64"]),
            (self.engine, "tagged", ["10.91.7.1/24"]),
            (self.phones, "tagged", ["10.91.7.2/24"]),
            (self.engine, "away", ["10.91.1.1/24"]),
            (self.router, "inner", ["10.91.1.254/24"]),
            (self.router, "outer", ["10.91.2.254/24"]),
            (self.phones, "far", ["10.91.2.2/24"]),
        ):
            for address in addresses:
                _ip("-n", name, "address", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
        _ip("-n", self.engine, "route", "add", "10.91.2.0/24", "via", "10.91.1.254")
        _ip("-n", self.phones, "route", "add", "10.91.1.0/24", "via", "10.91.2.254")
        with inside(self.router):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def _add_vlan(self) -> bool:
        try:
            self._add_above("vlan", "id", "7")
        except subprocess.CalledProcessError:
            return False  # a kernel without 802.1Q
        return True

    def _add_above(self, *kind: str) -> None:
        for name, link in ((self.engine, "near"), (self.phones, "phones")):
            _ip("-n", name, "link", "add", "link", link, "name", "tagged", "type", *kind)
            _ip("-n", name, "link", "set", "tagged", "up")

    def close(self) -> None:
        for name in (self.engine, self.router, self.phones):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def _link(self, one: str, one_link: str, other: str, other_link: str) -> None:
        _ip("-n", one, "link", "add", one_link, "type", "veth", "peer", "name", other_link, "netns", other)
        for name, link in ((one, one_link), (other, other_link), (one, "lo"), (other, "lo")):
            _ip("-n", name, "link", "set", link, "up")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Sockets that this thread opens are in the namespace, and stay there."""
    home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(home)
        os.close(there)


def send_checksums(namespace: str, link: str, by_hardware: bool) -> None:
    """Whether an interface's packets leave with a checksum yet to be made by the hardware, which a veth has not."""
    value = ctypes.create_string_buffer(struct.pack("II", _SET_SEND_CHECKSUMS, by_hardware), _TWO_WORDS)
    request = struct.pack("16sP", link.encode(), ctypes.addressof(value)).ljust(40, b"\0")
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _ETHTOOL, request)


def send_frame(namespace: str, link: str, to: bytes, packet: bytes, *, tagged: bool = False) -> None:
    """Send an IPv4 packet in a frame to a hardware address, with a VLAN tag (IEEE 802.1Q) or without."""
    with inside(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((link, 0))
        tag = struct.pack("!HH", 0x8100, 7) if tagged else b""
        raw.send(to + _hardware(link) + tag + struct.pack("!H", 0x0800) + packet)


def hardware_address(namespace: str, link: str) -> bytes:
    """An interface's hardware address."""
    with inside(namespace):
        return _hardware(link)


def ipv4(source: tuple[str, int], destination: tuple[str, int], body: bytes) -> bytes:
    """A UDP packet without a UDP checksum."""
    datagram = struct.pack("!HHHH", source[1], destination[1], 8 + len(body), 0) + body
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, _UDP, 0) + addresses
    return header[:10] + struct.pack("!H", 0xFFFF - ones_sum(header)) + header[12:] + datagram


def _hardware(link: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _GET_HARDWARE, struct.pack("16s24x", link.encode()))
    return answer[18:24]


class Capture:
    """What arrives on an interface, from its IP header on."""

    def __init__(self, namespace: str, link: str) -> None:
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            self._socket.bind((link, _ETH_P_ALL))
            self._socket.setblocking(False)

    def udp(self) -> Iterator[bytes]:
        """The UDP packets of IPv4 and IPv6 so far."""
        while True:
            try:
                packet, address = self._socket.recvfrom(4096)
            except BlockingIOError:
                return
            protocol = packet[9] if packet[0] >> 4 == 4 else packet[6]
            if address[2] != _OUTGOING and protocol == _UDP:
                yield packet

    def close(self) -> None:
        self._socket.close()


def has_good_checksums(packet: bytes) -> bool:
    """Whether the checksums of an IPv4 or IPv6 packet with UDP are right (RFC 768, RFC 8200 §8.1)."""
    if packet[0] >> 4 == 4:
        header, addresses = packet[:20], packet[12:20]
        if ones_sum(header) != 0xFFFF:
            return False
    else:
        header, addresses = packet[:40], packet[8:40]
    datagram = packet[len(header) :]
    pseudo = addresses + struct.pack("!II", len(datagram), _UDP)
    return datagram[6:8] != b"\0\0" and ones_sum(pseudo + datagram) == 0xFFFF


def ones_sum(octets: bytes) -> int:
    """The sum of words of which a checksum is the complement (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _set_up_ipv6() -> None:
    # addresses are good at once, and nothing changes by itself later
    for kind in ("all", "default"):
        for option in ("accept_dad", "router_solicitations"):
            Path(f"/proc/sys/net/ipv6/conf/{kind}/{option}").write_text("0")


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stderr=subprocess.PIPE)
