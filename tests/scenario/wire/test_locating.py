"""Names, fail-over, IPv6 and dead peers, with real DNS and real sockets."""

import asyncio
import socket
import time
from typing import Any

import pytest

from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteReceived,
)
from sidestream.sip.transport import Transport
from sidestream.testing.dns_server import DnsServer
from sidestream.wire.driver import Listener
from sidestream.wire.resolver import DnsSettings

UDP = Listener("udp", Transport.UDP, "127.0.0.1", 0)
TCP = Listener("tcp", Transport.TCP, "127.0.0.1", 0)


def settings(server: DnsServer) -> DnsSettings:
    return DnsSettings((server.address,))


async def test_a_name_with_naptr_and_srv(phone_on: Any) -> None:
    bob = await phone_on(UDP, TCP)
    records = {
        ("bob.test", "NAPTR"): [
            '10 10 "s" "SIP+D2T" "" _sip._tcp.bob.test.',
            '20 10 "s" "SIP+D2U" "" _sip._udp.bob.test.',
        ],
        ("_sip._tcp.bob.test", "SRV"): [f"0 0 {bob.port('tcp')} host.test."],
        ("host.test", "A"): ["127.0.0.1"],
    }
    async with DnsServer(records) as server:
        alice = await phone_on(UDP, TCP, dns=settings(server))
        session = alice.call("sip:bob@bob.test")
        accepted = await alice.saw(InviteAccepted)
        received = await bob.saw(InviteReceived)
        assert received.peer.transport is Transport.TCP
        assert received.request.contacts[0].uri.param("transport") == "tcp"
        assert accepted.response.status == 200
        alice.hang_up(session)
        await bob.saw(ByeReceived)
        asked = dict(server.asked)
        alice.call("sip:bob@bob.test")
        await bob.saw(AckReceived, 2)
        assert dict(server.asked) == asked  # from the cache


async def test_the_next_server_takes_the_call_of_a_dead_one(phone_on: Any) -> None:
    bob = await phone_on(UDP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        dead = gone.getsockname()[1]
    records = {
        ("_sip._udp.bob.test", "SRV"): [f"0 0 {dead} host.test.", f"1 0 {bob.port('udp')} host.test."],
        ("host.test", "A"): ["127.0.0.1"],
    }
    async with DnsServer(records) as server:
        alice = await phone_on(UDP, dns=settings(server))
        before = time.monotonic()
        alice.call("sip:bob@bob.test")
        await alice.saw(InviteAccepted)
        assert time.monotonic() - before < 2  # by its ICMP error, not by a timer


async def test_the_next_server_takes_the_call_of_a_silent_one(phone_on: Any) -> None:
    bob = await phone_on(UDP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        silent = deaf.getsockname()[1]
        records = {
            ("_sip._udp.bob.test", "SRV"): [f"0 0 {silent} host.test.", f"1 0 {bob.port('udp')} host.test."],
            ("host.test", "A"): ["127.0.0.1"],
        }
        async with DnsServer(records) as server:
            alice = await phone_on(UDP, dns=settings(server), agent=AgentConfig(failover_s=0.3))
            alice.call("sip:bob@bob.test")
            await alice.saw(InviteAccepted)


async def test_the_next_server_takes_the_call_of_an_overloaded_one(phone_on: Any) -> None:
    bob, busy = await phone_on(UDP), await phone_on(UDP)
    busy.answers, busy.headers = 503, (("Retry-After", "20"),)
    records = {
        ("_sip._udp.bob.test", "SRV"): [f"0 0 {busy.port('udp')} host.test.", f"1 0 {bob.port('udp')} host.test."],
        ("host.test", "A"): ["127.0.0.1"],
    }
    async with DnsServer(records) as server:
        alice = await phone_on(UDP, dns=settings(server))
        for number in (1, 2):
            alice.call("sip:bob@bob.test")
            await alice.saw(InviteAccepted, number)
    assert len([event for event in busy.seen if isinstance(event, InviteReceived)]) == 1  # avoided the second time


async def test_an_unknown_name_fails_with_the_reason(phone_on: Any) -> None:
    async with DnsServer({}) as server:
        alice = await phone_on(UDP, dns=settings(server))
        alice.call("sip:bob@nobody.test")
        failed = await alice.saw(InviteFailed)
    assert (failed.cause, failed.reason) == (Failure.TRANSPORT, "DNS knows no SIP server for nobody.test")


async def test_a_dead_peer_fails_the_call_at_once_and_the_listener_lives(phone_on: Any) -> None:
    alice, bob = await phone_on(UDP), await phone_on(UDP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    for number in (1, 2):
        alice.call(f"sip:bob@127.0.0.1:{port}")
        failed = await alice.saw(InviteFailed, number)
        assert (failed.cause, failed.reason) == (Failure.TRANSPORT, "ICMP: connection refused")
    bob.call(f"sip:alice@127.0.0.1:{alice.port('udp')}")
    await bob.saw(InviteAccepted)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_by_ipv6(phone_on: Any, transport: str) -> None:
    both = tuple(
        Listener(f"{kind.lower()}{host}", kind, host, 0)
        for kind in (Transport.UDP, Transport.TCP)
        for host in ("127.0.0.1", "::1")
    )
    alice, bob = await phone_on(*both), await phone_on(*both)
    alice.call(f"sip:bob@[::1]:{bob.port(transport + '::1')};transport={transport}")
    accepted = await alice.saw(InviteAccepted)
    assert accepted.response.via.host == "[::1]"
    assert accepted.response.contacts[0].uri.host == "[::1]"
    received = await bob.saw(InviteReceived)
    assert received.request.contacts[0].uri.host == "[::1]"
    await bob.saw(AckReceived)
    bob.hang_up(received.session)
    await alice.saw(ByeReceived)
    alice.call(f"sip:bob@127.0.0.1:{bob.port(transport + '127.0.0.1')};transport={transport}")
    accepted = await alice.saw(InviteAccepted, 2)
    assert accepted.response.via.host == "127.0.0.1"


async def test_a_name_with_both_families_is_reached_by_the_one_that_works(phone_on: Any) -> None:
    listeners = (Listener("four", Transport.TCP, "127.0.0.1", 0), Listener("six", Transport.TCP, "::1", 0))
    bob = await phone_on(Listener("six", Transport.TCP, "::1", 0))
    async with DnsServer({("bob.test", "A"): ["127.0.0.1"], ("bob.test", "AAAA"): ["::1"]}) as server:
        alice = await phone_on(*listeners, dns=settings(server))
        alice.call(f"sip:bob@bob.test:{bob.port('six')};transport=tcp")
        accepted = await alice.saw(InviteAccepted)
    assert accepted.response.via.host == "[::1]"


async def test_advertised_addresses_are_those_of_the_listener_that_is_used(phone_on: Any) -> None:
    inside = Listener("inside", Transport.UDP, "127.0.0.1", 0, "192.0.2.10")
    outside = Listener("outside", Transport.UDP, "127.0.0.2", 0, "198.51.100.10")
    bob = await phone_on(inside, outside)
    alice = await phone_on(UDP)
    for number, (name, host, shown) in enumerate(
        (("inside", "127.0.0.1", "192.0.2.10"), ("outside", "127.0.0.2", "198.51.100.10")), 1
    ):
        alice.call(f"sip:bob@{host}:{bob.port(name)}")
        accepted = await alice.saw(InviteAccepted, number)
        assert accepted.response.contacts[0].uri.host == shown


async def test_a_caller_behind_a_nat_can_be_hung_up(phone_on: Any) -> None:
    platform = await phone_on(Listener("udp", Transport.UDP, "127.0.0.1", 0, nat=True))
    phone = await phone_on(Listener("udp", Transport.UDP, "127.0.0.1", 0, "192.168.77.5"))
    phone.call(f"sip:platform@127.0.0.1:{platform.port('udp')}")
    received = await platform.saw(InviteReceived)
    assert received.request.contacts[0].uri.host == "192.168.77.5"
    async with asyncio.timeout(5):
        while not phone.seen:
            await asyncio.sleep(0.01)
    platform.hang_up(received.session)
    await phone.saw(ByeReceived)
