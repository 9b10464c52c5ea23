"""A DNS server on loopback that answers from a table: real packets, a real socket."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.test. admin.test. 1 3600 600 86400 {}"


@dataclass
class DnsServer:
    """`async with DnsServer({...}) as server`: `records` by (name, type) as zone-file texts.

    A CNAME is followed within the table. Names that end in `.broken` get SERVFAIL, in `.silent` nothing. `ttl` is that
    of every record, `negative_ttl` that of the SOA which comes with an empty answer.
    """

    records: dict[tuple[str, str], list[str]]
    ttl: int = 60
    negative_ttl: int = 30
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    address: tuple[str, int] = ("127.0.0.1", 0)

    async def __aenter__(self) -> "DnsServer":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), local_addr=self.address)
        self.address = self._transport.get_extra_info("sockname")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()
        await asyncio.sleep(0)

    def answer(self, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        text = name.to_text(omit_final_dot=True).lower()
        self.asked[(text, kind)] += 1
        if text.endswith(".silent"):
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if text.endswith(".broken"):
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        while (alias := self.records.get((text, "CNAME"))) is not None:
            response.answer.append(dns.rrset.from_text(f"{text}.", self.ttl, "IN", "CNAME", *alias))
            text = alias[0].rstrip(".")
        found = self.records.get((text, kind))
        if found:
            response.answer.append(dns.rrset.from_text(f"{text}.", self.ttl, "IN", kind, *found))
        else:
            if not any(known == text for known, _ in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
            soa = SOA.format(self.negative_ttl)
            response.authority.append(dns.rrset.from_text("test.", self.negative_ttl, "IN", "SOA", soa))
        return response.to_wire()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)  # type: ignore[attr-defined]
