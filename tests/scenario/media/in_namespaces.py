"""An engine, and phones and recorders that it knows, each in a namespace of a network."""

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .network import inside

IP_RECVTTL = 12  # ip(7)
PORTS = (20000, 20399)
INTERFACES = {"default": "10.91.0.1", "six": "fd91::1", "vlan": "10.91.7.1", "far": "10.91.1.1"}


class Engine:
    """An engine in a namespace, and its control protocol."""

    def __init__(
        self,
        namespace: str,
        path: Path,
        mode: str,
        interfaces: Mapping[str, str] = INTERFACES,
        options: Sequence[str] = (),
    ) -> None:
        command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "sidestream", "media", "--socket", str(path)]
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
