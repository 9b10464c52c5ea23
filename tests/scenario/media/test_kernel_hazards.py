"""The in-kernel path where packets, interfaces, rights or other programs are not as usual."""

import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from .in_namespaces import SSRC_A, Call, Engine, Party, assert_unbroken, rtp
from .network import Capture, Network, hardware_address, ipv4, ones_sum, send_checksums, send_frame
from .programs import passing

BACKLOG = 0.6  # seconds after which the engine takes packets in hand that the kernel should have relayed
NOBODY = bytes.fromhex("020000009999")  # a hardware address of no interface


@pytest.fixture
def engine(namespace_engine: Engine) -> Engine:
    return namespace_engine


@contextmanager
def set_for_a_while(*changes: tuple[list[str], list[str]]) -> Iterator[None]:
    """Arguments of ip(8) that change something, and change it back; the engine has heard of the first."""
    try:
        for change, _ in changes:
            subprocess.run(["ip", *change], check=True)
        time.sleep(0.1)
        yield
    finally:
        for _, back in changes:
            subprocess.run(["ip", *back], check=True)


@pytest.mark.parametrize("host", ["10.91.0.1", "10.91.1.1", "127.0.0.1", "fd91::1"])
def test_a_recorder_on_the_engines_machine_gets_every_packet(make_call, network, engine, host: str) -> None:
    family = "six" if ":" in host else "default"
    call = make_call(family, family, family)
    for side, party in call.srs.items():
        party.socket.close()
        call.srs[side] = Party(network.engine, host)
        call.fork(side, call.srs[side])
    call.settle()
    call.talk(100)
    assert engine.legs == 2
    call.check()


@pytest.mark.parametrize("host", ["10.91.0.1", "fd91::1"])
def test_a_phone_on_the_engines_machine_hears_every_packet(make_call, network, engine, host: str) -> None:
    family = "six" if ":" in host else "default"
    call = make_call(family, family, family)
    call.b.socket.close()
    call.b = Party(network.engine, host)
    call.configure("b", call.b)
    call.settle()
    call.talk(100)
    assert engine.legs == 2
    call.check()


def test_a_forgery_of_the_machines_own_address_is_not_relayed(make_call, network, engine) -> None:
    call = make_call("default", "default", "default")
    call.b.socket.close()
    call.b = Party(network.engine, "10.91.0.1")
    call.configure("b", call.b)
    call.settle()
    # sockets never get it: no packet comes from outside with an address of this machine
    packet = ipv4(call.b.socket.getsockname(), call.ports["b"], rtp(SSRC_A, call.next))
    send_frame(network.phones, "phones", hardware_address(network.engine, "near"), packet)
    call.collect()
    call.talk(20)
    assert engine.legs == 2
    call.check()


def test_a_frame_to_another_host_is_not_relayed(make_call, network) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    packet = ipv4(call.a.socket.getsockname(), call.ports["a"], rtp(SSRC_A, call.next))
    send_frame(network.phones, "phones", NOBODY, packet)
    call.collect()
    call.talk(20)
    call.check()


def test_a_packet_that_was_cut_off_counts_for_nothing(make_call, network) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    packet = ipv4(call.a.socket.getsockname(), call.ports["a"], rtp(SSRC_A, call.next))
    send_frame(network.phones, "phones", hardware_address(network.engine, "near"), packet[:-50])
    call.collect()
    assert call.statistics()["endpoints"]["a"]["packets_received"] == call.next
    call.talk(20)
    call.check()


def test_a_checksum_of_zero_is_written_as_ones(make_call, network) -> None:
    send_checksums(network.phones, "phones", by_hardware=False)
    call = make_call("six", "six", "six")
    call.settle()
    (here, port), (there, to) = call.ports["b"], call.b.socket.getsockname()[:2]
    head = rtp(SSRC_A, call.next, body=b"")
    length = 8 + len(head) + 160
    addresses = socket.inet_pton(socket.AF_INET6, here) + socket.inet_pton(socket.AF_INET6, there)
    fields = struct.pack("!IIHHHH", length, socket.IPPROTO_UDP, port, to, length, 0)
    body = struct.pack("!H", 0xFFFF - ones_sum(addresses + fields + head)) + bytes(158)
    capture = Capture(network.phones, "phones")
    call.a.socket.sendto(head + body, call.ports["a"])
    call.collect()
    send_checksums(network.phones, "phones", by_hardware=True)
    sent = [packet for packet in capture.udp() if packet.endswith(head + body)]
    capture.close()
    assert [packet[46:48] for packet in sent] == [b"\xff\xff"]
    assert call.got["b"][-1][0] == head + body


@pytest.mark.parametrize("narrow", ["link", "route"])
def test_what_does_not_fit_the_way_out_is_cut_by_the_sockets(make_call, network, engine, narrow: str) -> None:
    call = make_call("default", "far", "far")
    call.settle()
    route = ["-n", network.engine, "route", "change", "10.91.2.0/24", "via", "10.91.1.254"]
    changes = [([*route, "mtu", "576"], route)]
    if narrow == "link":
        ends = [["-n", network.engine, "link", "set", "away"], ["-n", network.router, "link", "set", "inner"]]
        changes = [([*end, "mtu", "576"], [*end, "mtu", "1500"]) for end in ends]
    with set_for_a_while(*changes):
        call.settle()
        begun = call.next
        call.talk(20, lambda ssrc, n: rtp(ssrc, n, body=bytes(800) if ssrc == SSRC_A else None))
        call.settle()
    for name in ("b", "inbound"):
        packets = [packet for packet, _, _ in call.got[name]]
        assert_unbroken(packets, call.next)
        assert [len(packet) for packet in packets[begun : begun + 20]] == [812] * 20


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("earlier", [True, False])
def test_a_program_of_others_keeps_no_copy_from_its_way(network, tmp_path: Path, first: bool, earlier: bool) -> None:
    with closing(Engine(network.engine, tmp_path / "other.sock", "require")) as other:
        if earlier:
            with passing(network.engine, "near", first=first):
                talk_beside(other, network)
            return
        # attached in mid-call, and in front, it costs the one copy of which that is learned
        call = Call(other, network, "beside", "default", "default", "default")
        call.settle()
        with passing(network.engine, "near", first=first):
            call.talk(100)
            time.sleep(BACKLOG)
            call.talk(50)
        assert other.legs == (0 if first else 2)
        for side in call.srs:
            assert len(call.got[side]) == call.next - first
            assert call.statistics()["forks"][side]["send_errors"] == first
        call.close()


def talk_beside(engine: Engine, network: Network) -> None:
    call = Call(engine, network, "beside", "default", "default", "default")
    call.settle()
    call.talk(100)
    assert engine.legs == 2
    call.check()
    call.close()


def test_two_engines_on_the_same_interfaces_have_their_own_calls(make_call, network, engine, tmp_path: Path) -> None:
    one = make_call("default", "default", "default")
    ports = ("--port-min", "21000", "--port-max", "21099")
    with closing(Engine(network.engine, tmp_path / "other.sock", "require", options=ports)) as other:
        two = Call(other, network, "beside", "default", "default", "default")
        for call in (one, two):
            call.settle()
        for _ in range(10):
            for call in (one, two):
                call.talk(10)
        assert (engine.legs, other.legs) == (2, 2)
        two.check()
        two.close()
    one.talk(20)
    one.check()


CAPABILITIES = "-all,+bpf,+net_admin"


def restricted(to: str) -> tuple[str, ...]:
    return ("setpriv", f"--bounding-set={to}", f"--inh-caps={to}")


def test_three_capabilities_are_enough(network, tmp_path: Path) -> None:
    prefix = restricted(CAPABILITIES + ",+perfmon")
    with closing(Engine(network.engine, tmp_path / "other.sock", "require", prefix=prefix)) as other:
        talk_beside(other, network)


def test_without_a_capability_calls_go_through_sockets_and_the_reason_is_told(network, tmp_path: Path) -> None:
    with closing(Engine(network.engine, tmp_path / "other.sock", "auto", prefix=restricted(CAPABILITIES))) as other:
        assert_is_off(other, network, "CAP_PERFMON")


def test_where_nothing_can_be_attached_calls_go_through_sockets_and_the_reason_is_told(network, tmp_path: Path) -> None:
    # as with a kernel that knows no links of this kind: there is no place for one more
    full = passing(network.engine, "lo", many=True)
    with full, closing(Engine(network.engine, tmp_path / "other.sock", "auto")) as other:
        assert_is_off(other, network, "mprog")


def assert_is_off(engine: Engine, network: Network, reason: str) -> None:
    state = engine.call("engine_statistics")["kernel_path"]
    assert (state["on"], state["legs"]) == (False, 0)
    assert reason in state["reason"]
    call = Call(engine, network, "beside", "default", "default", "default")
    call.talk(60)
    call.check()
    call.close()


def test_where_packets_are_ipsecs_business_they_go_through_sockets(make_call, network, engine) -> None:
    call = make_call("default", "default", "default")
    call.settle()
    addresses = ["src", "10.99.0.1/32", "dst", "10.99.0.2/32", "dir", "out"]
    tunnel = ["tmpl", "src", "10.99.0.1", "dst", "10.99.0.2", "proto", "esp", "mode", "transport"]
    policy = ["-n", network.engine, "xfrm", "policy"]
    with set_for_a_while(([*policy, "add", *addresses, *tunnel], [*policy, "delete", *addresses])):
        assert engine.legs == 0
        call.talk(60)
        state = engine.call("engine_statistics")["kernel_path"]
        assert (state["legs"], state["reason"]) == (0, "this machine has IPsec policies")
    time.sleep(0.1)
    call.settle()
    call.check()
