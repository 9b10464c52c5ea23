"""Addresses of our own machine and link, and what may be sent there."""

from typing import Any

import pytest

from sidestream.sip.agent.events import EndCause, InviteFailed, SessionEnded
from sidestream.sip.agent.exchange import UNREACHABLE
from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

HERE = Peer(Transport.UDP, "127.0.0.1", 5070, "udp")
INSIDE = "<sip:bob@127.0.0.1:6379;transport=tcp>"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[
            (host, True)
            for host in ("127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "224.0.1.75", "255.255.255.255")
        ],
        *[(host, True) for host in ("::1", "::", "fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1")],
        *[
            (host, False)
            for host in ("10.0.0.1", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "localhost", "1.2.3.999")
        ],
    ],
)
def test_what_is_own_ground(host: str, expected: bool) -> None:
    assert is_own_ground(host) is expected


def destinations(bench: Any) -> list[str]:
    return [transmit.destination.host for transmit in bench.take_transmits()]


class TestContact:
    def test_a_caller_that_names_it_is_reached_where_it_is_seen(self, bench: Any) -> None:
        session = bench.answered(contact=INSIDE)
        bench.agent.bye(session, now=bench.now)
        assert destinations(bench) == ["10.0.0.2"]

    def test_so_is_who_answered(self, bench: Any) -> None:
        session, request = bench.invite()
        bench.reply(request, 200, extra=f"Contact: {INSIDE}\r\n")
        bench.agent.acknowledge(session, now=bench.now)
        bench.agent.bye(session, now=bench.now)
        assert destinations(bench) == ["10.0.0.2", "10.0.0.2"]

    def test_nothing_is_sent_there_on_behalf_of_a_proxy(self, bench: Any) -> None:
        """Nobody is then left whom the BYE could reach."""
        session = bench.incoming(extra="Content-Type: application/sdp\r\nRecord-Route: <sip:127.0.0.1:6379;lr>\r\n")
        bench.agent.respond(session, 200, body=b"v=0\r\n", content_type="application/sdp", now=bench.now)
        bench.take_sent()
        bench.request("ACK", to_tag=bench.tag(session))
        bench.agent.bye(session, now=bench.now)
        assert destinations(bench) == []
        assert bench.take_events()[-1] == SessionEnded(session, EndCause.LOCAL_BYE)

    def test_an_ack_does_not_go_there_either(self, bench: Any) -> None:
        session, request = bench.invite()
        bench.reply(request, 200, extra=f"Record-Route: <sip:169.254.169.254;lr>\r\nContact: {INSIDE}\r\n")
        bench.agent.acknowledge(session, now=bench.now)
        assert destinations(bench) == []

    def test_who_moves_there_is_lost(self, bench: Any) -> None:
        session = bench.answered()
        bench.inside(session, "UPDATE", 2, contact=INSIDE)
        bench.take_sent()
        bench.agent.request(session, "INFO", now=bench.now)
        assert destinations(bench) == []
        assert bench.take_events()[-1] == SessionEnded(session, EndCause.LOST)

    def test_who_is_on_it_may_name_it(self, bench: Any) -> None:
        session = bench.answered(peer=HERE, contact="<sip:bob@127.0.0.1:5080>")
        bench.agent.bye(session, now=bench.now)
        assert destinations(bench) == ["127.0.0.1"]

    @pytest.mark.parametrize(("first", "hosts"), [("10.0.0.2", []), ("127.0.0.1", ["127.0.0.1"])])
    def test_nor_does_a_name_lead_there(self, bench: Any, first: str, hosts: list[str]) -> None:
        uri = f"sip:bob@{first}"
        session, request = bench.invite(target=Uri.parse(uri))
        bench.reply(request, 200, extra="Contact: <sip:bob@inner.example>\r\n")
        bench.agent.acknowledge(session, now=bench.now)
        lookup = bench.agent.poll_lookup()
        assert lookup.question == Question("inner.example", None, None, False)
        bench.agent.located(lookup.id, [Destination(Transport.UDP, "127.0.0.1", 5060, "inner.example")], bench.now)
        assert destinations(bench) == hosts


class TestConfined:
    def test_what_somebody_outside_has_named_is_not_called_there(self, bench: Any) -> None:
        session, sent = bench.invite(target=Uri.parse("sip:x@127.0.0.1:6379"), confined=True)
        assert sent is None
        failed, ended = bench.take_events()
        assert isinstance(failed, InviteFailed)
        assert (failed.reason, ended.session) == (UNREACHABLE, session)

    def test_but_elsewhere(self, bench: Any) -> None:
        _, sent = bench.invite(confined=True)
        assert sent is not None

    def test_the_application_may_call_there(self, bench: Any) -> None:
        _, sent = bench.invite(target=Uri.parse("sip:x@127.0.0.1"))
        assert sent is not None

    def test_a_phone_whose_connection_is_gone_is_not_called_at_an_address_of_ours(self, bench: Any) -> None:
        gone = Peer(Transport.TCP, "198.51.100.9", 40124, "tcp")
        bench.agent.invite(
            target=Uri.parse("sip:bob@127.0.0.1:6379;transport=tcp"),
            from_=bench_party("alice"),
            to=bench_party("bob"),
            via=gone,
            now=bench.now,
        )
        (first,) = bench.take_transmits()
        assert first.destination == gone
        bench.agent.transport_failed(first.transmit_id, bench.now)
        assert destinations(bench) == []
        assert isinstance(bench.take_events()[0], InviteFailed)

    def test_who_is_outside(self, bench: Any) -> None:
        assert bench.agent.is_outside(bench.answered())
        assert not bench.agent.is_outside(bench.answered(peer=HERE, call_id="other"))


def bench_party(name: str) -> NameAddr:
    return NameAddr(None, Uri.parse(f"sip:{name}@example.com"))
