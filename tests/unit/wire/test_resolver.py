"""Locating servers with a real DNS server on loopback."""

import asyncio
import random
from pathlib import Path

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.locating import Offer, Question
from sidestream.sip.transport import Destination, Transport
from sidestream.testing.dns_server import DnsServer
from sidestream.testing.virtual_clock import VirtualClock
from sidestream.wire import resolver as module
from sidestream.wire.hosts import HostTable
from sidestream.wire.resolver import DnsSettings, Located, Resolver, is_literal

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
ALL: tuple[Offer, ...] = ((UDP, False), (UDP, True), (TCP, False), (TLS, False))

RECORDS = {
    ("example.test", "NAPTR"): ['10 10 "s" "SIP+D2T" "" _sip._tcp.example.test.'],
    ("_sip._tcp.example.test", "SRV"): ["0 0 5070 one.example.test.", "1 0 5071 two.example.test."],
    ("one.example.test", "A"): ["192.0.2.1"],
    ("two.example.test", "CNAME"): ["three.example.test."],
    ("three.example.test", "A"): ["192.0.2.3"],
    ("plain.test", "A"): ["192.0.2.9"],
    ("plain.test", "AAAA"): ["2001:db8::9"],
    ("_sip._udp.half.test", "SRV"): ["0 0 5060 gone.broken."],
    ("_sip._udp.closed.test", "SRV"): ["0 0 0 ."],
}


def make(server: DnsServer, clock: VirtualClock | None = None, tmp: Path = Path("/nowhere")) -> Resolver:
    clock = clock or VirtualClock()
    settings = DnsSettings((server.address,))
    return Resolver(clock, Ids(random.Random(1)), ALL, settings, HostTable(clock, tmp))


@pytest.mark.parametrize(
    ("host", "literal"),
    [("10.0.0.1", True), ("2001:db8::1", True), ("localhost", False), ("10.0.0", False), ("", False)],
)
def test_what_is_an_address(host: str, literal: bool) -> None:
    assert is_literal(host) is literal


async def test_naptr_srv_cname_and_address() -> None:
    async with DnsServer(RECORDS) as server:
        found = await make(server).locate(Question("example.test"))
    assert found.targets == (
        Destination(TCP, "192.0.2.1", 5070, "example.test"),
        Destination(TCP, "192.0.2.3", 5071, "example.test"),
    )


async def test_both_families() -> None:
    async with DnsServer(RECORDS) as server:
        found = await make(server).locate(Question("plain.test", 5099))
    assert [(target.host, target.port) for target in found.targets] == [("192.0.2.9", 5099), ("2001:db8::9", 5099)]


async def test_answers_are_good_for_their_ttl() -> None:
    clock = VirtualClock()
    async with DnsServer(RECORDS, ttl=20, negative_ttl=10) as server:
        names = make(server, clock)
        question = Question("plain.test", 5060)
        assert names.known(question) is None
        first = await names.locate(question)
        clock.advance(19)
        assert names.known(question) == first
        assert server.asked[("plain.test", "A")] == 1
        clock.advance(2)
        assert names.known(question) is None
        await names.locate(question)
        assert server.asked[("plain.test", "A")] == 2


async def test_that_there_is_nothing_is_remembered_too() -> None:
    clock = VirtualClock()
    async with DnsServer(RECORDS, negative_ttl=10) as server:
        names = make(server, clock)
        for host in ("nobody.test", "one.example.test"):  # no such name, and no such record
            question = Question(host, None, UDP)
            await names.locate(question)
            assert names.known(question) is not None
        assert server.asked[("_sip._udp.nobody.test", "SRV")] == 1
        clock.advance(11)
        assert names.known(Question("nobody.test", None, UDP)) is None


async def test_an_unknown_name_has_a_reason() -> None:
    async with DnsServer(RECORDS) as server:
        found = await make(server).locate(Question("nobody.test", 5060))
    assert found == Located((), "DNS knows no SIP server for nobody.test")


async def test_a_server_failure_has_a_reason_and_is_asked_again_soon() -> None:
    clock = VirtualClock()
    async with DnsServer(RECORDS) as server:
        names = make(server, clock)
        found = await names.locate(Question("half.test", None, UDP))
        assert found.targets == ()
        assert found.reason.startswith("DNS failed for gone.broken")
        clock.advance(module.FAILED_S + 0.1)
        assert names.known(Question("gone.broken", 5060)) is None


async def test_silence_does_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCATE_LIMIT_S", 0.05)
    async with DnsServer(RECORDS) as server:
        names = make(server)
        assert (await names.locate(Question("host.silent", 5060))).reason == "DNS is too slow"
        await names.close()


async def test_one_question_serves_all_who_ask_it_at_once() -> None:
    async with DnsServer(RECORDS) as server:
        names = make(server)
        found = await asyncio.gather(*[names.locate(Question("plain.test", 5060)) for _ in range(10)])
        assert server.asked[("plain.test", "A")] == 1
    assert len(set(found)) == 1


async def test_there_is_an_end_to_questions_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUERIES", 1)
    async with DnsServer(RECORDS) as server:
        names = make(server)
        slow = asyncio.create_task(names.locate(Question("host.silent", 5060)))
        await asyncio.sleep(0)
        found = await names.locate(Question("plain.test", 5060))
        assert found.reason == "too many questions to DNS are under way"
        slow.cancel()
        await names.close()


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 2)
    async with DnsServer(RECORDS) as server:
        names = make(server)
        for host in ("plain.test", "one.example.test", "nobody.test"):
            await names.locate(Question(host, 5060, TCP))
        assert len(names._cache) == 2
        assert names.known(Question("plain.test", 5060, TCP)) is None


async def test_a_name_that_cannot_be_one_is_refused() -> None:
    async with DnsServer(RECORDS) as server:
        found = await make(server).locate(Question(f"{'a' * 64}.test", 5060))
    assert found.reason.startswith("DNS failed for aaa")


async def test_a_service_that_is_closed_leads_nowhere() -> None:
    async with DnsServer(RECORDS) as server:
        assert (await make(server).locate(Question("closed.test", None, UDP))).targets == ()


async def test_the_host_table_goes_before_dns(tmp_path: Path) -> None:
    table = tmp_path / "hosts"
    table.write_text("192.0.2.50 plain.test\n")
    async with DnsServer(RECORDS) as server:
        found = make(server, tmp=table).known(Question("plain.test"))
        assert not server.asked
    assert found == Located((Destination(UDP, "192.0.2.50", 5060, "plain.test"),))


async def test_names_that_are_not_for_dns() -> None:
    async with DnsServer(RECORDS) as server:
        names = make(server)
        here = names.known(Question("localhost", 5060))
        nowhere = names.known(Question("nowhere.invalid"))
        assert not server.asked
    assert here is not None
    assert [target.host for target in here.targets] == ["127.0.0.1", "::1"]
    assert nowhere == Located((), "DNS knows no SIP server for nowhere.invalid")


async def test_a_system_without_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise module.dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(module.dns.asyncresolver, "Resolver", none)
    clock = VirtualClock()
    names = Resolver(clock, Ids(random.Random(1)), ALL, DnsSettings(), HostTable(clock, Path("/nowhere")))
    assert (await names.locate(Question("plain.test", 5060))).reason == "the system names no DNS server"


def test_the_systems_servers_are_used_by_default() -> None:
    names = Resolver(VirtualClock(), Ids(random.Random(1)), ALL, DnsSettings())
    assert names.known(Question("localhost", 5060, TCP)) is not None
