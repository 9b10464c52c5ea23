"""The in-kernel path on real interfaces: next hops, VLANs, both families, and what changes in mid-call."""

import os
import signal
import socket
import struct
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from .in_namespaces import PEERS, SSRC_A, SSRC_B, STEADY, Call, Engine, Party, assert_unbroken, rtp
from .network import Capture, Network, hardware_address, has_good_checksums, ipv4, send_checksums, send_frame
from .programs import attached

LEARNED = 0.15  # seconds after which nothing is sent by what was known of a neighbour before


@pytest.fixture
def engine(namespace_engine: Engine) -> Engine:
    return namespace_engine


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
    send_frame(network.phones, "phones", hardware_address(network.engine, "near"), packet, tagged=True)
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


@pytest.mark.parametrize("family", ["default", "six"])
def test_a_neighbour_with_another_hardware_address_is_reached_there(make_call, network, engine, family: str) -> None:
    call = make_call(family, family, family)
    call.settle()
    call.talk(20)
    before = hardware_address(network.phones, "phones").hex(":")
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
