"""An engine on a network of its own that listens on every address: what strangers send there harms no call."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .in_namespaces import Engine, Party, rtp
from .network import Network, inside, ipv4

OWN, PEER, OTHER = "10.91.0.1", "10.91.0.2", "10.91.0.3"
ALL_HOSTS = "224.0.0.1"  # every host has joined it
GROUP = "239.1.2.3"
COUNT = 50


@pytest.fixture
def engine(network: Network, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(network.engine, tmp_path / "m.sock", "off", {"default": f"0.0.0.0/{OWN}"})
    yield engine
    engine.close()


def _open(engine: Engine, name: str) -> dict[str, Any]:
    opened: dict[str, Any] = engine.call("open_endpoint", session="s", endpoint=name)
    return opened


def _configure(engine: Engine, name: str, remote: dict[str, Any] | None) -> None:
    formats = [{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000}]
    engine.call("configure_endpoint", session="s", endpoint=name, remote=remote, formats=formats)


def _received(engine: Engine, name: str) -> int:
    count: int = engine.call("session_statistics", session="s")["endpoints"][name]["packets_received"]
    return count


def _raw(network: Network, packet: bytes, destination: str) -> None:
    """Send an IPv4 packet with whatever addresses it has from where the phones are."""
    with inside(network.phones), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(PEER))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        raw.sendto(packet, (destination, 0))


@pytest.fixture
def members(network: Network) -> Iterator[None]:
    """Some other program of the engine's machine has joined a group."""
    with inside(network.engine):
        member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(OWN))
    yield
    member.close()


def test_what_claims_to_come_from_the_machine_itself_or_goes_to_a_group_reaches_no_call(
    engine: Engine, network: Network, members: None
) -> None:
    engine.call("open_session", session="s")
    a, b = Party(network.phones, PEER), Party(network.phones, OTHER)
    ports = {name: _open(engine, name)["rtp"] for name in ("a", "b", "waiting")}
    _configure(engine, "a", a.remote)
    _configure(engine, "b", b.remote)
    _configure(engine, "waiting", None)  # whose party is not known yet, so that anybody may be it
    for source, sink in (("a", "b"), ("b", "a"), ("waiting", "a")):
        engine.call("set_route", session="s", source=source, sink=sink)
    for number in range(COUNT):
        a.socket.sendto(rtp(1, number), (OWN, ports["a"]))
        b.socket.sendto(rtp(2, number), (OWN, ports["b"]))
        for target in ports.values():
            for source in (("127.0.0.1", 5004), ("127.1.2.3", 5004), (OWN, ports["a"]), (OWN, 9), (ALL_HOSTS, 5004)):
                _raw(network, ipv4(source, (OWN, target), rtp(9, number)), OWN)
            for group in (ALL_HOSTS, GROUP):
                _raw(network, ipv4((PEER, 5004), (group, target), rtp(9, number)), group)
        time.sleep(0.002)
    time.sleep(0.1)
    assert [packet for packet, _, _ in b.receive()] == [rtp(1, number) for number in range(COUNT)]
    assert [packet for packet, _, _ in a.receive()] == [rtp(2, number) for number in range(COUNT)]
    assert {name: _received(engine, name) for name in ports} == {"a": COUNT, "b": COUNT, "waiting": 0}


def test_a_program_of_the_same_machine_is_a_stranger_like_any_other(engine: Engine, network: Network) -> None:
    engine.call("open_session", session="s")
    a, b = Party(network.phones, PEER), Party(network.phones, OTHER)
    ports = {name: _open(engine, name)["rtp"] for name in "ab"}
    for name, party, other in (("a", a, "b"), ("b", b, "a")):
        _configure(engine, name, party.remote)
        engine.call("set_route", session="s", source=name, sink=other)
    b.socket.sendto(rtp(2, 0), (OWN, ports["b"]))
    for number in range(COUNT):
        a.socket.sendto(rtp(1, number), (OWN, ports["a"]))
        if number == 10:  # both sources are known by now
            for host in ("127.0.0.1", "127.9.9.9", OWN):
                local = Party(network.engine, host)
                for target in ports.values():
                    local.socket.sendto(rtp(9, number), (OWN, target))
                    local.socket.sendto(rtp(9, number), ("127.0.0.1", target))
                    local.socket.sendto(b"", ("127.0.0.1", target))
                local.socket.close()
        time.sleep(0.002)
    time.sleep(0.1)
    assert [packet for packet, _, _ in b.receive()] == [rtp(1, number) for number in range(COUNT)]
    assert [packet for packet, _, _ in a.receive()] == [rtp(2, 0)]


def test_packets_of_a_call_that_is_over_reach_no_new_one(network: Network, tmp_path: Path) -> None:
    """Ports are few, calls follow each other, and the phones of each go on sending after its end."""
    engine = Engine(
        network.engine,
        tmp_path / "m.sock",
        "off",
        {"default": OWN},
        ("--port-max", "20007", "--port-cooldown-ms", "300"),
    )
    heard: list[bytes] = []
    old: list[tuple[Party, int]] = []
    try:
        for call in range(6):
            engine.call("open_session", session="s")
            a, b = Party(network.phones, PEER), Party(network.phones, OTHER)
            ports = _open_when_free(engine, old[-2:])
            _configure(engine, "a", None)  # latches on to the first that comes
            _configure(engine, "b", b.remote)
            engine.call("set_route", session="s", source="a", sink="b")
            for number in range(20):
                for party, port in old[-2:]:
                    party.socket.sendto(rtp(0xDEAD, number), (OWN, port))
                if number > 5:
                    a.socket.sendto(rtp(call, number), (OWN, ports[0]))
                time.sleep(0.002)
            time.sleep(0.05)
            heard = [packet for packet, _, _ in b.receive()]
            assert heard == [rtp(call, number) for number in range(6, 20)], call
            engine.call("close_session", session="s")
            old += [(a, ports[0]), (b, ports[1])]
    finally:
        engine.close()
        for party, _ in old:
            party.socket.close()


def _open_when_free(engine: Engine, senders: list[tuple[Party, int]]) -> list[int]:
    """The ports of `a` and `b`, once there are some that have rested; `senders` do not stop meanwhile."""
    ports: list[int] = []
    deadline = time.monotonic() + 10
    for name in "ab":
        while True:
            opened = engine.ask("open_endpoint", session="s", endpoint=name)
            if "ok" in opened:
                ports.append(opened["ok"]["rtp"])
                break
            assert opened["error"]["code"] == "no-ports"
            assert time.monotonic() < deadline
            for party, port in senders:
                party.socket.sendto(rtp(0xDEAD, 1), (OWN, port))
            time.sleep(0.02)
    return ports
