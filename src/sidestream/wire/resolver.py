"""RFC 3263 with real DNS: asks, remembers answers as long as they are good, and never blocks the loop."""

import asyncio
import functools
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.sip.locating import Ask, Naptr, Offer, Question, Record, RecordType, Srv, locate
from sidestream.sip.transport import Destination
from sidestream.wire.hosts import HostTable

QUERY_LIMIT_S = 3.0  # for one record, over all servers and repetitions
TRY_S = 1.0  # for one server's answer
LOCATE_LIMIT_S = 6.0  # for everything about one host: a caller hears silence meanwhile
LONGEST_TTL_S = 3600.0  # RFC 8767 §4 allows to cap a TTL: an old answer must not outlive a move for long
LONGEST_NEGATIVE_TTL_S = 300.0  # RFC 2308 §5 suggests one to three hours at most; calls are lost meanwhile
FAILED_S = 5.0  # RFC 2308 §7.1: how long a server failure is remembered
MAX_CACHED = 4096
MAX_QUERIES = 256  # under way at one time

log = get_logger("wire")


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """`servers`: address and port of each DNS server, tried in order; none: those of the system."""

    servers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Located:
    """Targets in the order to try them; where there are none, `reason` says why, for people."""

    targets: tuple[Destination, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    records: tuple[Record, ...]
    expires_at: float
    problem: str = ""


class Resolver:
    """Locates SIP servers. `offers`: what our listeners speak, in the order of preference of address families."""

    def __init__(
        self, clock: Clock, ids: Ids, offers: Sequence[Offer], settings: DnsSettings, hosts: HostTable | None = None
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._offers = tuple(offers)
        self._hosts = hosts or HostTable(clock)
        self._dns = _dns_client(settings)
        self._cache: dict[Ask, _Answer] = {}
        self._asking: dict[Ask, asyncio.Task[_Answer]] = {}

    def known(self, question: Question) -> Located | None:
        """The answer, if no DNS server has to be asked for it."""
        search, problem = locate(question, self._offers, self._ids), ""
        try:
            ask = next(search)
            while (answer := self._remembered(ask)) is not None:
                problem = problem or answer.problem
                ask = search.send(answer.records)
        except StopIteration as stop:
            return _located(question, stop.value, problem)
        return None

    async def locate(self, question: Question) -> Located:
        """The answer, however long it takes, which is never longer than `LOCATE_LIMIT_S`."""
        search, problem = locate(question, self._offers, self._ids), ""
        try:
            async with asyncio.timeout(LOCATE_LIMIT_S):
                ask = next(search)
                while True:
                    answer = self._remembered(ask) or await self._ask_once(ask)
                    problem = problem or answer.problem
                    ask = search.send(answer.records)
        except StopIteration as stop:
            return _located(question, stop.value, problem)
        except TimeoutError:
            return _located(question, (), "DNS is too slow")

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remembered(self, ask: Ask) -> _Answer | None:
        local = self._hosts.addresses(_host_of(ask.name))
        if local is not None:
            # Who is in the host table is found by it alone: there are no services to ask DNS for.
            version = {RecordType.A: "4", RecordType.AAAA: "6"}.get(ask.kind)
            return _Answer(tuple(a for a in local if version == ("6" if ":" in a else "4")), 0.0)
        answer = self._cache.get(ask)
        return answer if answer is not None and answer.expires_at > self._clock.monotonic() else None

    async def _ask_once(self, ask: Ask) -> _Answer:
        """Ask DNS, together with whoever asks the same at the same time."""
        task = self._asking.get(ask)
        if task is None:
            if len(self._asking) >= MAX_QUERIES:
                return _Answer((), 0.0, "too many questions to DNS are under way")
            task = self._asking[ask] = asyncio.get_running_loop().create_task(self._ask(ask))
            task.add_done_callback(lambda _: self._asking.pop(ask, None))
        return await asyncio.shield(task)

    async def _ask(self, ask: Ask) -> _Answer:
        records, ttl, problem = await self._query(ask)
        answer = _Answer(records, self._clock.monotonic() + ttl, problem)
        self._cache.pop(ask, None)
        if len(self._cache) >= MAX_CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[ask] = answer
        return answer

    async def _query(self, ask: Ask) -> tuple[tuple[Record, ...], float, str]:
        """Records, seconds that they hold, and what went wrong."""
        if self._dns is None:
            return (), FAILED_S, "the system names no DNS server"
        try:
            # Search lists are for names of machines; those of services are always whole.
            answer = await self._dns.resolve(
                ask.name,
                ask.kind.value,
                raise_on_no_answer=False,
                search=ask.kind in (RecordType.A, RecordType.AAAA),
                lifetime=QUERY_LIMIT_S,
            )
        except dns.resolver.NXDOMAIN as error:
            return (), min(_negative_ttl(error), LONGEST_NEGATIVE_TTL_S), ""
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            log.info("! DNS failed", name=ask.name, kind=ask.kind.value, reason=str(error))
            return (), FAILED_S, f"DNS failed for {ask.name}: {error}"
        # With a CNAME the shortest TTL of the chain; without a record that of the SOA (RFC 2308 §5).
        ttl = float(answer.chaining_result.minimum_ttl)
        if answer.rrset is None:
            return (), min(ttl, LONGEST_NEGATIVE_TTL_S), ""
        return tuple(_record(ask.kind, data) for data in answer.rrset), min(ttl, LONGEST_TTL_S), ""


@functools.lru_cache(maxsize=4096)
def is_literal(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def _dns_client(settings: DnsSettings) -> dns.asyncresolver.Resolver | None:
    try:
        client = dns.asyncresolver.Resolver(configure=not settings.servers)
    except dns.resolver.NoResolverConfiguration:
        return None
    if settings.servers:
        client.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in settings.servers]
    client.timeout = TRY_S
    return client


def _record(kind: RecordType, data: Any) -> Record:
    if kind is RecordType.NAPTR:
        flags, service = (field.decode("ascii", "replace") for field in (data.flags, data.service))
        return Naptr(data.order, data.preference, flags, service, _name(data.replacement))
    if kind is RecordType.SRV:
        return Srv(data.priority, data.weight, data.port, _name(data.target))
    return str(data.address)


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    responses: dict[dns.name.Name, Any] = error.kwargs["responses"]
    ttls = [response.resolve_chaining().minimum_ttl for response in responses.values()]
    return float(min(ttls, default=0))


def _host_of(name: str) -> str:
    """The host behind the labels of a service: `example.com` of `_sip._udp.example.com`."""
    while name.startswith("_"):
        name = name.partition(".")[2]
    return name


def _located(question: Question, targets: tuple[Destination, ...], problem: str) -> Located:
    return Located(targets, "" if targets else problem or f"DNS knows no SIP server for {question.host}")
