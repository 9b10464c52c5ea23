"""What a packet costs the whole machine: through the kernel, through the engine's sockets, and without a relay.

Over loopback, one thread sends packets of so many calls and takes what comes back, so that all the kernel does for them
is charged to it; the engine's own processor time is added, and that of the same packets sent directly taken away.
Relaying, forking and the reception of the copy are in the figure. Needs root, or
CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
"""

import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.table import print_table

SOCKETS = 16  # of the parties and of the recorder, shared by all calls
ENTERING = 80  # packets of each leg after which it is in the kernel, if none of it waited then
ENTERING_ROUNDS = 6
ENTERING_PAUSE = 0.03  # seconds
AT_ONCE = 50  # packets that are under way together
FORMATS = [{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000}]


class Engine:
    """An engine with so many forked calls, and where their packets go."""

    def __init__(self, path: Path, mode: str, low: int, core: int) -> None:
        command = ["taskset", "-c", str(core), sys.executable, "-m", "sidestream", "media", "--socket", str(path)]
        command += ["--port-min", str(low), "--port-max", str(low + 9999), "--kernel-path", mode]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the engine did not start: see `sidestream media --kernel-path require`")
            time.sleep(0.05)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile()
        self.call("hello", protocol=1)

    def call(self, operation: str, **fields: Any) -> Any:
        self._socket.sendall(json.dumps({"id": 1, "op": operation, **fields}).encode() + b"\n")
        while "id" not in (answer := json.loads(self._lines.readline())):
            pass
        return answer["ok"]

    def open(self, number: int, parties: Sequence[socket.socket], recorders: Sequence[socket.socket]) -> Iterator[int]:
        session = f"c{number}"
        self.call("open_session", session=session)
        for side, endpoint in enumerate("ab"):
            remote = _remote(parties[(2 * number + side) % SOCKETS])
            yield self.call("open_endpoint", session=session, endpoint=endpoint)["rtp"]
            self.call("configure_endpoint", session=session, endpoint=endpoint, remote=remote, formats=FORMATS)
        for side in ("inbound", "outbound"):
            self.call("open_fork", session=session, fork=side, endpoint="a", side=side, cname="bench")
            fork = {"session": session, "fork": side, "active": True, "formats": FORMATS}
            self.call("configure_fork", **fork, remote=_remote(recorders[number % SOCKETS]))
        self.call("set_route", session=session, source="a", sink="b")
        self.call("set_route", session=session, source="b", sink="a")

    def busy(self) -> float:
        return float(self.call("engine_statistics")["cpu_ns"]) / 1e9

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


class Load:
    """Packets to `ports`, one a leg, that come back `copies` times."""

    def __init__(self, parties: Sequence[socket.socket], recorders: Sequence[socket.socket]) -> None:
        self._parties, self._recorders = parties, recorders
        self._number = 0

    def run(self, ports: Sequence[int], rounds: int) -> tuple[float, int, int]:
        """So many packets of each leg: this process's seconds, packets sent, packets that came back."""
        sent = got = 0
        begun = time.process_time()
        for _ in range(rounds):
            self._number += 1
            fields = (self._number & 0xFFFF, self._number * 160 & 0xFFFFFFFF)
            for leg, port in enumerate(ports):
                packet = struct.pack("!BBHII", 0x80, 0, *fields, leg + 1) + bytes(160)
                self._parties[leg % SOCKETS].sendto(packet, ("127.0.0.1", port))
                sent += 1
                if sent % AT_ONCE == 0:
                    got += self._take()
        got += self._take()
        return time.process_time() - begun, sent, got

    def taking(self, ports: Sequence[int]) -> float:
        """Seconds that taking a packet costs this process."""
        self.drain()
        for port in ports:
            self._parties[0].sendto(bytes(172), ("127.0.0.1", port))
        begun = time.process_time()
        got = self._take()
        return (time.process_time() - begun) / max(got, 1)

    def drain(self) -> int:
        time.sleep(0.2)
        return self._take()

    def _take(self) -> int:
        got = 0
        for one in (*self._parties, *self._recorders):
            while True:
                try:
                    one.recv(2048)
                except BlockingIOError:
                    break
                got += 1
        return got


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m benches kernel_path", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packets", type=int, default=20, help="of each leg in a round")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    legs = 2 * options.calls
    parties, recorders = ([_bound() for _ in range(SOCKETS)] for _ in range(2))
    load = Load(parties, recorders)
    direct = [parties[(leg + 1) % SOCKETS].getsockname()[1] for leg in range(legs)]
    costs: dict[str, list[float]] = {"require": [], "off": []}
    lost = dict.fromkeys(costs, 0)
    plain = []
    with _engines(cores[0]) as engines:
        ports = {
            mode: [port for n in range(options.calls) for port in engine.open(n, parties, recorders)]
            for mode, engine in engines.items()
        }
        for mode, engine in engines.items():
            inside = _enter(load, engine, ports[mode])
            print(f"{mode}: {inside} of {legs} legs are in the kernel")
        for _ in range(options.rounds):
            spent, sent, _ = load.run(direct, options.packets)
            load.drain()
            plain.append(spent / sent * 1e6)
            for mode, engine in engines.items():
                before = engine.busy()
                spent, sent, got = load.run(ports[mode], options.packets)
                got += load.drain()
                spent += engine.busy() - before
                lost[mode] += 2 * sent - got
                costs[mode].append(spent / sent * 1e6 - plain[-1])
    names = {"require": "in the kernel", "off": "through sockets"}
    middle = {mode: statistics.median(all_) for mode, all_ in costs.items()}
    rows = [
        (names[mode], f"{middle[mode]:.2f}", f"{min(all_):.2f}-{max(all_):.2f}", f"{lost[mode]}")
        for mode, all_ in costs.items()
    ]
    title = f"{options.calls} forked calls: microseconds for each packet that comes in"
    print_table(title, ("way", "marginal", "range", "missing"), rows)
    print(f"Sending and receiving them without a relay: {statistics.median(plain):.2f}.")
    taking = statistics.median(load.taking(direct) for _ in range(options.rounds)) * 1e6
    print(f"Taking the copy, which is in the figures, costs this generator {taking:.2f}.")
    print(f"Sockets take {middle['off'] / middle['require']:.1f} times as much; 10000 / marginal: forked calls a core.")


def _enter(load: Load, engine: Engine, ports: Sequence[int]) -> int:
    """Talk until all legs are in the kernel, or long enough for that; how many are."""
    inside = 0
    for _ in range(ENTERING_ROUNDS):
        for _ in range(ENTERING):
            load.run(ports, 1)
            time.sleep(ENTERING_PAUSE)  # none is handed over while the engine has packets of it in hand
        load.drain()
        state = engine.call("engine_statistics")["kernel_path"]
        inside = state["legs"]
        if not state["on"] or inside == len(ports):
            break
    return inside


@contextmanager
def _engines(core: int) -> Iterator[dict[str, Engine]]:
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as folder:
        engines: dict[str, Engine] = {}
        try:
            for low, mode in ((20_000, "require"), (40_000, "off")):
                engines[mode] = Engine(Path(folder) / mode, mode, low, core)
            yield engines
        finally:
            for engine in engines.values():
                engine.close()


def _bound() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: what is missing is to be the relay's doing
    bound.bind(("127.0.0.1", 0))
    bound.setblocking(False)
    return bound


def _remote(party: socket.socket) -> dict[str, Any]:
    host, port = party.getsockname()
    return {"host": host, "port": port}


if __name__ == "__main__":
    main(sys.argv[1:])
