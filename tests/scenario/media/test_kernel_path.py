"""The in-kernel path on real interfaces: next hops, VLANs, both families, and what changes in mid-call."""

import json
import os
import signal
import socket
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from .in_namespaces import INTERFACES, Engine, Party, rtp
from .network import (
    Capture,
    Network,
    attached,
    has_good_checksums,
    ipv4,
    send_checksums,
    send_tagged,
)

SSRC_A, SSRC_B = 0xA0A0, 0xB0B0
STEADY = 40  # packets after which a leg is in the kernel: it has settled, and was ordinary since the last change
LEARNED = 0.15  # seconds after which nothing is sent by what was known of a neighbour before
SPACING = 0.0005  # seconds between packets of a test, which need not last as long as speech
FORMATS = [
    {"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000},
    {"payload_type": 101, "encoding": "telephone-event", "clock_rate": 8000},
]
PEERS = {"default": "10.91.0.2", "six": "fd91::2", "vlan": "10.91.7.2", "far": "10.91.2.2"}


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


@pytest.fixture(scope="module")
def engine(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(network.engine, tmp_path_factory.mktemp("media") / "m.sock", "auto")
    state = engine.call("hello", protocol=1)["kernel_path"]
    if not state["on"]:
        engine.close()
        pytest.skip(state["reason"])
    yield engine
    engine.close()


@pytest.fixture
def make_call(engine: Engine, network: Network) -> Iterator[Callable[[str, str, str], Call]]:
    """Makes the call of a test: on which interfaces the phones are, and the recorder."""
    calls: list[Call] = []

    def make(a: str, b: str, srs: str) -> Call:
        calls.append(Call(engine, network, "call", a, b, srs))
        return calls[-1]

    yield make
    engine.call("close_session", session="call")
    for call in calls:
        call.close()
    assert engine.legs == 0


@pytest.mark.parametrize(
    ("a", "b", "srs"),
    [
        ("default", "default", "default"),
        ("six", "six", "six"),
        ("vlan", "vlan", "vlan"),
        ("far", "default", "vlan"),
        ("far", "default", "far"),
        ("default", "far", "default"),
    ],
)
def test_calls_are_relayed_and_forked_over_every_kind_of_way(make_call, engine, a: str, b: str, srs: str) -> None:
    call = make_call(a, b, srs)
    call.settle()
    call.talk(150)
    assert engine.legs == 2
    call.check()
    # packets look the same from wherever they are sent: hop limit and traffic class
    for name in ("a", "b", "inbound", "outbound"):
        assert len({tuple(sorted(numbers.items())) for _, _, numbers in call.got[name]}) == 1, name
    statistics = call.statistics()
    for endpoint in ("a", "b"):
        counts = statistics["endpoints"][endpoint]
        assert (counts["packets_received"], counts["packets_sent"], counts["lost"]) == (call.next, call.next, 0)
    assert [statistics["forks"][side]["packets_sent"] for side in ("inbound", "outbound")] == [call.next, call.next]


@pytest.mark.parametrize("family", ["default", "six"])
@pytest.mark.parametrize("sender", [True, False], ids=["unfinished", "finished"])
@pytest.mark.parametrize("engines", [True, False], ids=["by-hardware", "by-software"])
def test_checksums_are_right(make_call, network, family: str, sender: bool, engines: bool) -> None:
    # a packet that comes with its checksum unfinished leaves so, if the interface promises to finish it
    send_checksums(network.phones, "phones", by_hardware=sender)
    send_checksums(network.engine, "near", by_hardware=engines)
    call = make_call(family, family, family)
    call.settle()
    capture = Capture(network.phones, "phones")
    call.talk(20)
    packets = [packet for packet in capture.udp() if len(packet) > 173]
    wrong = [packet for packet in packets if not has_good_checksums(packet)]
    capture.close()
    assert len(packets) >= 80
    # an interface that finishes checksums shows them unfinished to a capture: nothing is to be seen of those
    assert (sender and engines) or not wrong
    call.check()
    send_checksums(network.phones, "phones", by_hardware=True)
    send_checksums(network.engine, "near", by_hardware=True)


def test_a_phone_that_moves_is_followed_by_the_other_leg(make_call, network, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    old, call.a = call.a, Party(network.phones, "10.91.0.3")
    call.configure("a", call.a)
    assert engine.legs == 0
    call.settle()
    call.talk(20)
    assert old.receive() == []
    call.check()


def test_a_stranger_on_a_leg_in_the_kernel_is_not_heard(make_call, network, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    stranger = Party(network.phones, "10.91.0.3")
    for n in range(20):
        stranger.socket.sendto(rtp(SSRC_A, call.next + n), call.ports["a"])
    call.talk(20)
    assert engine.legs == 2
    call.check()


def test_a_packet_with_a_vlans_tag_is_not_that_of_the_interface_below(make_call, network) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    packet = ipv4(call.a.socket.getsockname(), call.ports["a"], rtp(SSRC_A, call.next))
    send_tagged(network.phones, "phones", (network.engine, "near"), packet)
    call.collect()
    assert len(call.got["b"]) == call.next
    call.talk(20)
    call.check()


def test_another_ssrc_goes_on_in_the_recorders_stream(make_call, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    change = call.next

    def changed(ssrc: int, n: int) -> bytes:
        return rtp(ssrc + 1, n + 7777)

    call.talk(STEADY, changed)
    assert engine.legs == 2
    for side in call.srs:
        packets = [packet for packet, _, _ in call.got[side]]
        assert len({packet[8:12] for packet in packets}) == 1
        assert_unbroken(packets, call.next)
        assert [n for n, packet in enumerate(packets) if packet[1] >> 7] == [0, change]
    relayed = [packet for packet, _, _ in call.got["b"]]
    assert relayed[change:] == [changed(SSRC_A, n) for n in range(change, call.next)]


def test_a_paused_fork_gets_nothing_and_goes_on_without_a_hole(make_call, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    call.fork("inbound", call.srs["inbound"], active=False)
    call.collect()
    paused_at = call.next
    assert len(call.got["inbound"]) == paused_at
    call.settle()
    assert len(call.got["inbound"]) == paused_at
    call.fork("inbound", call.srs["inbound"])
    resumed_at = call.next
    call.settle()
    assert_unbroken([packet for packet, _, _ in call.got["inbound"]], paused_at + call.next - resumed_at)
    assert len(call.got["outbound"]) == len(call.got["a"]) == call.next


def test_digits_in_between_are_relayed_and_keep_their_places(make_call, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    begun = call.next

    def event(ssrc: int, n: int) -> bytes:
        packet = rtp(ssrc, n, 101, struct.pack("!BBH", 5, 0x80 if n - begun > 3 else 0, 160 * (n - begun + 1)))
        return packet[:4] + struct.pack("!I", begun * 160) + packet[8:]

    call.talk(6, event)
    call.talk(30)
    assert engine.legs == 2
    for side in call.srs:
        packets = [packet for packet, _, _ in call.got[side]]
        assert_unbroken(packets, call.next)
        assert [packet[1] & 0x7F for packet in packets[begun : begun + 7]] == [*6 * [101], 0]


def change_route(network: Network, *change: str) -> None:
    subprocess.run(["ip", "-n", network.engine, "route", *change], check=True)


def test_a_route_that_concerns_no_call_changes_nothing(make_call, network, engine) -> None:
    call = make_call("default", "far", "far")
    call.settle()
    for change in ("add", "del"):
        change_route(network, change, "10.99.0.0/24", "via", "10.91.1.254")
        for _ in range(10):
            call.talk(5)
            assert engine.legs == 2
    call.check()


def test_a_changed_route_takes_legs_back_until_they_know_it(make_call, network, engine) -> None:
    call = make_call("default", "far", "far")
    call.settle()
    # from the router to the straight way, and back
    for change in ("add", "del"):
        change_route(network, change, "10.91.2.2/32", "via", "10.91.0.2")
        deadline = time.monotonic() + 5
        while engine.legs and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine.legs == 0
        call.settle()
        call.talk(20)
    call.check()


def change_neighbour(network: Network, *change: str) -> None:
    subprocess.run(["ip", "-n", network.engine, "neighbour", *change, "dev", "near"], check=True)


def hardware_of_phones(network: Network) -> str:
    shown = ["ip", "-n", network.phones, "-json", "link", "show", "phones"]
    return str(json.loads(subprocess.run(shown, check=True, capture_output=True).stdout)[0]["address"])


@pytest.mark.parametrize("family", ["default", "six"])
def test_a_neighbour_with_another_hardware_address_is_reached_there(make_call, network, engine, family: str) -> None:
    call = make_call(family, family, family)
    call.settle()
    call.talk(20)
    before = hardware_of_phones(network)
    for hardware in ("02:00:00:00:91:02", before):
        subprocess.run(["ip", "-n", network.phones, "link", "set", "phones", "address", hardware], check=True)
        # as it would tell the engine's machine itself
        change_neighbour(network, "replace", PEERS[family], "lladdr", hardware, "nud", "reachable")
        time.sleep(LEARNED)
        call.talk(60)
        assert engine.legs == 2
    call.check()


@pytest.mark.parametrize("family", ["default", "six"])
def test_a_neighbour_that_was_forgotten_is_asked_for_again(make_call, network, engine, family: str) -> None:
    call = make_call(family, family, family)
    call.settle()
    change_neighbour(network, "del", PEERS[family])
    time.sleep(LEARNED)
    # while the question is out, packets wait, and few may
    call.talk(1)
    call.talk(60)
    assert engine.legs == 2
    call.check()


def test_nothing_is_sent_to_a_neighbour_that_is_gone(make_call, network) -> None:
    call = make_call("default", "default", "default")
    call.b.socket.close()
    call.b = Party(network.phones, "10.91.0.3")
    call.configure("b", call.b)
    call.settle()
    # the other phone goes, and nobody answers for it
    subprocess.run(["ip", "-n", network.phones, "address", "del", "10.91.0.3/24", "dev", "phones"], check=True)
    change_neighbour(network, "del", "10.91.0.3")
    time.sleep(LEARNED)
    capture = Capture(network.phones, "phones")
    for n in range(20):
        call.a.socket.sendto(rtp(SSRC_A, call.next + n), call.ports["a"])
    call.collect()
    sent = [packet for packet in capture.udp() if len(packet) > 173]
    capture.close()
    subprocess.run(["ip", "-n", network.phones, "address", "add", "10.91.0.3/24", "dev", "phones"], check=True)
    assert {socket.inet_ntoa(packet[16:20]) for packet in sent} == {"10.91.0.2"}  # the recorder gets its copies still


def test_a_link_that_goes_down_and_comes_back_carries_the_call_again(make_call, network, engine) -> None:
    call = make_call("default", "far", "far")
    call.settle()
    subprocess.run(["ip", "-n", network.engine, "link", "set", "away", "down"], check=True)
    deadline = time.monotonic() + 5
    while engine.legs and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.legs == 0
    subprocess.run(["ip", "-n", network.engine, "link", "set", "away", "up"], check=True)
    # routes through it went with it
    change_route(network, "add", "10.91.2.0/24", "via", "10.91.1.254")
    call.settle()
    call.talk(20)
    call.check()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_nothing_stays_attached_when_the_engine_is_gone(network, engine, tmp_path: Path, end: str) -> None:
    links = ("near", "tagged", "away")
    # the engine of the other tests is still attached
    before = [attached(network.engine, link) for link in links]
    with closing(Engine(network.engine, tmp_path / "other.sock", "require")) as other:
        call = Call(other, network, "gone", "default", "vlan", "far")
        call.settle()
        # the phones' legs and ways out on the first two, and the forks' way out on the third
        during = [attached(network.engine, link) for link in links]
        assert [now - then for now, then in zip(during, before, strict=True)] == [2, 2, 1]
        if end == "kill":
            # `ip netns exec` has become the engine itself
            os.kill(other.process.pid, signal.SIGKILL)
            other.process.wait(10)
        else:
            other.close()
        deadline = time.monotonic() + 5
        while [attached(network.engine, link) for link in links] != before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [attached(network.engine, link) for link in links] == before
        call.collect()
        for n in range(20):
            for party, port, ssrc in ((call.a, "a", SSRC_A), (call.b, "b", SSRC_B)):
                with suppress(ConnectionRefusedError):
                    party.socket.sendto(rtp(ssrc, call.next + n), call.ports[port])
        time.sleep(0.05)
        for party in (call.a, call.b, *call.srs.values()):
            with suppress(ConnectionRefusedError):
                assert party.receive() == []
        call.close()
