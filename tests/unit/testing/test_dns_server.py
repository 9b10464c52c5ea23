"""The DNS server of the tests, asked by hand."""

import dns.asyncquery
import dns.message
import dns.rcode

from sidestream.testing.dns_server import DnsServer


async def ask(server: DnsServer, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    return await dns.asyncquery.udp(query, server.address[0], port=server.address[1], timeout=5)


async def test_answers_aliases_and_the_lack_of_them() -> None:
    records = {("a.test", "CNAME"): ["b.test."], ("b.test", "A"): ["192.0.2.1"]}
    async with DnsServer(records, ttl=7, negative_ttl=9) as server:
        answer = await ask(server, "a.test", "A")
        assert [str(rrset) for rrset in answer.answer] == ["a.test. 7 IN CNAME b.test.", "b.test. 7 IN A 192.0.2.1"]
        nothing = await ask(server, "b.test", "SRV")
        assert (nothing.rcode(), nothing.answer, nothing.authority[0].ttl) == (dns.rcode.NOERROR, [], 9)
        assert (await ask(server, "c.test", "A")).rcode() == dns.rcode.NXDOMAIN
        assert (await ask(server, "c.broken", "A")).rcode() == dns.rcode.SERVFAIL
        assert server.asked[("a.test", "A")] == 1
