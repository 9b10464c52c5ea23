"""A veth pair between two network namespaces, for a relay on one side and the load on the other.

Over the loopback a packet's reception is charged to its sender. Here receive packet steering (RPS) has each end's
packets received on a core of its own: the relay's on the relay's core, the load's on the load's. The load's parties
are no hosts of the network: their hardware address is a permanent neighbour of the relay's end, so that what is sent
to them is dropped at the load's end as soon as the load has seen it.

What one core has for the other waits in a queue, as it does in the ring of a network's card. It has room for as many
packets as such a ring may be set to; the kernel's own number is used up in 2.5 ms by what 4000 calls send.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "sidestream-bench-"
_RELAY_LINK, _LOAD_LINK = "near", "load"
_RELAY, _LOAD, _PARTIES, _RECORDERS = "10.92.0.1", "10.92.0.4", "10.92.0.2", "10.92.0.3"
_CONTROL, _CONTROL_LOAD = "10.92.1.1", "10.92.1.4"  # ends of another pair, for commands
_BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
_ROOM = 4096  # packets between the cores; usual cards have rings of up to 4096 or 8192
_HARDWARE = "02:00:00:00:00:02"  # of parties and recorders; locally administered


class Unavailable(Exception):
    """There can be no pair here; why is its text."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair that exists. `relay`: whom the load sends packets to; `control`: the same relay's address for commands.

    `plan`: what the load has to know of it.
    """

    relay_namespace: str
    load_namespace: str
    relay: str
    control: str
    plan: Mapping[str, object]

    def at_relay(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.relay_namespace, *command]

    def at_load(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.load_namespace, *command]


@contextmanager
def veth_pair(relay_core: int, load_core: int) -> Iterator[Pair]:
    """A pair that is gone afterwards. Raises `Unavailable`."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")
    _remove_left_over()
    relay, load = (f"{_PREFIX}{os.getpid()}-{side}" for side in ("relay", "load"))
    before = _BACKLOG.read_text()
    try:
        yield _set_up(relay, load, relay_core, load_core)
    finally:
        _BACKLOG.write_text(before)
        for namespace in (relay, load):
            _remove(namespace)


def _set_up(relay: str, load: str, relay_core: int, load_core: int) -> Pair:
    try:
        _BACKLOG.write_text(str(_ROOM))
        _make(relay, load)
        _steer(relay, _RELAY_LINK, relay_core)
        _steer(load, _LOAD_LINK, load_core)
        hardware = _inside(relay, "cat", f"/sys/class/net/{_RELAY_LINK}/address")
    except (OSError, subprocess.CalledProcessError) as error:
        detail = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else ""
        raise Unavailable(f"{error} {detail}".strip()) from error
    plan = {
        "link": _LOAD_LINK,
        "relay": _RELAY,
        "relay_hardware": _octets(hardware),
        "parties": _PARTIES,
        "recorders": _RECORDERS,
        "hardware": _octets(_HARDWARE),
    }
    return Pair(relay, load, _RELAY, _CONTROL, plan)


def _make(relay: str, load: str) -> None:
    for namespace in (relay, load):
        _ip("netns", "add", namespace)
    for link, other in ((_RELAY_LINK, _LOAD_LINK), ("control", "control")):
        _ip("link", "add", link, "netns", relay, "type", "veth", "peer", "name", other, "netns", load)
    for namespace, link, address, control in (
        (relay, _RELAY_LINK, _RELAY, _CONTROL),
        (load, _LOAD_LINK, _LOAD, _CONTROL_LOAD),
    ):
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", link)
        _ip("-n", namespace, "address", "add", f"{control}/24", "dev", "control")
        for name in ("lo", link, "control"):
            _ip("-n", namespace, "link", "set", name, "up")
    # as on an interface without UDP segmentation: else a relay's batch would stay one packet all the way
    _ip("-n", relay, "link", "set", _RELAY_LINK, "gso_max_segs", "1")
    # a bridge that is down takes what the load has seen, for less than the kernel's IP would
    _ip("-n", load, "link", "add", "name", "end", "type", "bridge")
    _ip("-n", load, "link", "set", _LOAD_LINK, "master", "end")
    for host in (_PARTIES, _RECORDERS):
        neighbour = [host, "lladdr", _HARDWARE, "dev", _RELAY_LINK, "nud", "permanent"]
        _ip("-n", relay, "neighbour", "add", *neighbour)


def _steer(namespace: str, link: str, core: int) -> None:
    """Has what arrives on an interface received on one core."""
    path = f"/sys/class/net/{link}/queues/rx-0/rps_cpus"
    mask = f"{1 << core:x}"
    # `ip netns exec` shows the namespace's interfaces in /sys
    _inside(namespace, "sh", "-c", f"echo {mask} > {path}")
    if int(_inside(namespace, "cat", path).replace(",", ""), 16) != 1 << core:
        raise Unavailable("this kernel does not steer received packets (CONFIG_RPS)")


def _remove_left_over() -> None:
    """Removes the namespaces of benches that were killed."""
    for path in Path("/run/netns").glob(f"{_PREFIX}*"):
        process = path.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            _remove(path.name)


def _remove(namespace: str) -> None:
    subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL, check=False)


def _octets(address: str) -> list[int]:
    return [int(octet, 16) for octet in address.split(":")]


def _inside(namespace: str, *command: str) -> str:
    whole = ["ip", "netns", "exec", namespace, *command]
    return subprocess.run(whole, check=True, capture_output=True).stdout.decode().strip()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stderr=subprocess.PIPE)
