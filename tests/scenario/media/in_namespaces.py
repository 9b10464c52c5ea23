"""An engine, and phones and recorders that it knows, each in a namespace of a network."""

import json
import socket
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .network import Network, inside

IP_RECVTTL = 12  # ip(7)
PORTS = (20000, 20399)
INTERFACES = {"default": "10.91.0.1", "six": "fd91::1", "vlan": "10.91.7.1", "far": "10.91.1.1"}
SSRC_A, SSRC_B = 0xA0A0, 0xB0B0
STEADY = 40  # packets after which a leg is in the kernel: it has settled, and was ordinary since the last change
SPACING = 0.0005  # seconds between packets of a test, which need not last as long as speech
FORMATS = [
    {"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000},
    {"payload_type": 101, "encoding": "telephone-event", "clock_rate": 8000},
]
PEERS = {"default": "10.91.0.2", "six": "fd91::2", "vlan": "10.91.7.2", "far": "10.91.2.2"}


class Engine:
    """An engine in a namespace, and its control protocol."""

    def __init__(
        self,
        namespace: str,
        path: Path,
        mode: str,
        interfaces: Mapping[str, str] = INTERFACES,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        command = [
            "ip",
            "netns",
            "exec",
            namespace,
            *prefix,
            sys.executable,
            "-m",
            "sidestream",
            "media",
            "--socket",
            str(path),
        ]
        command += [f"--interface={name}={host}" for name, host in interfaces.items()]
        command += ["--port-min", str(PORTS[0]), "--port-max", str(PORTS[1]), "--kernel-path", mode, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        # the path is there a moment before anybody listens
        while self._socket.connect_ex(str(path)) != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the engine did not start")
            time.sleep(0.02)
        self._lines = self._socket.makefile()
        self.call("hello", protocol=1)

    def ask(self, operation: str, **fields: Any) -> Any:
        """The answer, with `ok` or `error`."""
        self._socket.sendall(json.dumps({"id": 1, "op": operation, **fields}).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "id" in answer:
                return answer

    def call(self, operation: str, **fields: Any) -> Any:
        answer = self.ask(operation, **fields)
        assert "ok" in answer, answer
        return answer["ok"]

    @property
    def legs(self) -> int:
        return self.call("engine_statistics")["kernel_path"]["legs"]

    def close(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(10)


class Party:
    """A phone, or a recorder: a socket in the phones' namespace."""

    def __init__(self, namespace: str, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with inside(namespace):
            self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        option = (
            (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS) if ":" in host else (socket.IPPROTO_IP, socket.IP_RECVTOS)
        )
        self.socket.setsockopt(*option, 1)
        if ":" not in host:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)

    @property
    def remote(self) -> dict[str, Any]:
        host, port = self.socket.getsockname()[:2]
        return {"host": host, "port": port}

    def receive(self) -> list[tuple[bytes, tuple[str, int], dict[int, int]]]:
        """Packets, whence they came, and of their headers the hop limit and traffic class."""
        found = []
        while True:
            try:
                packet, controls, _, source = self.socket.recvmsg(2048, 256)
            except BlockingIOError:
                return found
            numbers = {kind: int.from_bytes(value, sys.byteorder) for _, kind, value in controls}
            if packet[1] & 0x7F in (0, 101):  # no RTCP
                found.append((packet, source[:2], numbers))


def rtp(ssrc: int, number: int, payload_type: int = 0, body: bytes | None = None) -> bytes:
    header = struct.pack("!BBHII", 0x80, payload_type, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc)
    return header + (bytes([number & 0xFF]) * 161 if body is None else body)


def number_of(packet: bytes) -> int:
    return int.from_bytes(packet[2:4])


def assert_unbroken(packets: list[bytes], count: int) -> None:
    """Their numbers follow each other, and there are so many."""
    first = number_of(packets[0])
    assert [number_of(packet) for packet in packets] == [(first + n) & 0xFFFF for n in range(count)]


class Call:
    """A bridged call of two phones, each side forked to a recorder, with everything that they received."""

    def __init__(self, engine: Engine, network: Network, name: str, a: str, b: str, srs: str) -> None:
        self.engine, self.network, self.name = engine, network, name
        self.a, self.b = Party(network.phones, PEERS[a]), Party(network.phones, PEERS[b])
        self.srs = {side: Party(network.phones, PEERS[srs]) for side in ("inbound", "outbound")}
        self.got: dict[str, list[Any]] = defaultdict(list)
        self.next = 0
        engine.call("open_session", session=name)
        self.ports = {}
        for endpoint, interface, party in (("a", a, self.a), ("b", b, self.b)):
            opened = engine.call("open_endpoint", session=name, endpoint=endpoint, interface=interface)
            self.ports[endpoint] = (INTERFACES[interface], opened["rtp"])
            self.configure(endpoint, party)
        for side, party in self.srs.items():
            fork = {"session": name, "fork": side, "endpoint": "a", "side": side, "cname": "c", "interface": srs}
            opened = engine.call("open_fork", **fork)
            self.ports[side] = (INTERFACES[srs], opened["rtp"])
            self.fork(side, party)
        engine.call("set_route", session=name, source="a", sink="b")
        engine.call("set_route", session=name, source="b", sink="a")

    def configure(self, endpoint: str, party: Party) -> None:
        fields = {"session": self.name, "endpoint": endpoint, "remote": party.remote, "formats": FORMATS}
        self.engine.call("configure_endpoint", **fields)

    def fork(self, side: str, party: Party, active: bool = True) -> None:
        fields = {"session": self.name, "fork": side, "remote": party.remote, "formats": FORMATS, "active": active}
        self.engine.call("configure_fork", **fields)

    def talk(self, count: int, make: Callable[[int, int], bytes] = rtp) -> None:
        """Both phones send so many packets."""
        for _ in range(count):
            self.a.socket.sendto(make(SSRC_A, self.next), self.ports["a"])
            self.b.socket.sendto(make(SSRC_B, self.next), self.ports["b"])
            self.next += 1
            time.sleep(SPACING)
        self.collect()

    def collect(self) -> None:
        # what is under way arrives
        time.sleep(0.03)
        for name, party in {"a": self.a, "b": self.b, **self.srs}.items():
            self.got[name] += party.receive()

    def statistics(self) -> Any:
        return self.engine.call("session_statistics", session=self.name)

    def settle(self) -> None:
        """Talk until both legs are in the kernel."""
        self.talk(STEADY)
        for _ in range(20):
            if self.engine.legs == 2:
                return
            self.talk(10)
        raise AssertionError("the legs are never in the kernel")

    def close(self) -> None:
        for party in (self.a, self.b, *self.srs.values()):
            party.socket.close()

    def check(self) -> None:
        """Each phone got all of the other's packets, and each recorder one unbroken stream of its own."""
        for name, ssrc, sender in (("b", SSRC_A, "b"), ("a", SSRC_B, "a")):
            packets = self.got[name]
            assert [packet for packet, _, _ in packets] == [rtp(ssrc, n) for n in range(self.next)]
            assert {source for _, source, _ in packets} == {self.ports[sender]}
        for side, ssrc in (("inbound", SSRC_A), ("outbound", SSRC_B)):
            packets = self.got[side]
            assert [packet[12:] for packet, _, _ in packets] == [rtp(ssrc, n)[12:] for n in range(self.next)]
            assert {source for _, source, _ in packets} == {self.ports[side]}
            first, ssrcs = packets[0][0], {packet[8:12] for packet, _, _ in packets}
            assert len(ssrcs) == 1
            assert struct.pack("!I", ssrc) not in ssrcs
            assert_unbroken([packet for packet, _, _ in packets], self.next)
            begun = int.from_bytes(first[4:8])
            stamps = [int.from_bytes(packet[4:8]) for packet, _, _ in packets]
            assert stamps == [(begun + 160 * n) & 0xFFFFFFFF for n in range(self.next)]
