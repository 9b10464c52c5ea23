"""RFC 3263 §4 and the weights of RFC 2782, against a zone in a dictionary."""

import random
from collections import Counter

import pytest

from sidestream.base.ids import Ids
from sidestream.sip import locating
from sidestream.sip.locating import Ask, Naptr, Offer, Question, Record, RecordType, Srv, in_order, locate
from sidestream.sip.transport import Destination, Transport

UDP, TCP, TLS = Transport.UDP, Transport.TCP, Transport.TLS
ALL: tuple[Offer, ...] = ((UDP, False), (TCP, False), (TLS, False))
NAPTR, SRV, A, AAAA = RecordType.NAPTR, RecordType.SRV, RecordType.A, RecordType.AAAA

Zone = dict[tuple[str, RecordType], tuple[Record, ...]]
ZONE: Zone = {
    ("example.com", NAPTR): (
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(90, 50, "S", "sip+d2t", "_sip._tcp.example.com"),
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(10, 50, "s", "SIP+D2S", "_sip._sctp.example.com"),
        Naptr(10, 50, "u", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(10, 50, "s", "SIP+D2U", "."),
    ),
    ("_sips._tcp.example.com", SRV): (Srv(0, 1, 5061, "one.example.com"), Srv(0, 2, 5061, "two.example.com")),
    ("_sip._tcp.example.com", SRV): (Srv(0, 1, 5060, "one.example.com"), Srv(0, 2, 5060, "two.example.com")),
    ("_sip._udp.example.com", SRV): (Srv(1, 1, 5060, "one.example.com"), Srv(0, 1, 5080, "two.example.com")),
    ("one.example.com", A): ("10.0.0.1",),
    ("two.example.com", A): ("10.0.0.2", "10.0.0.3"),
    ("two.example.com", AAAA): ("2001:db8::2",),
    ("_sip._tcp.srv.example", SRV): (Srv(0, 0, 5090, "one.example.com"),),
    ("plain.example", A): ("10.0.0.9",),
    ("_sip._udp.closed.example", SRV): (Srv(0, 0, 0, "."),),
    ("closed.example", A): ("10.0.0.9",),
}


class Zones:
    """Answers a search from a zone, and remembers what it was asked."""

    def __init__(self, zone: Zone, seed: int = 1) -> None:
        self.zone = zone
        self.asked: list[Ask] = []
        self._ids = Ids(random.Random(seed))

    def locate(self, question: Question, offers: tuple[Offer, ...] = ALL) -> list[tuple[Transport, str, int]]:
        search, records = locate(question, offers, self._ids), None
        while True:
            try:
                ask = next(search) if records is None else search.send(records)
            except StopIteration as stop:
                targets: tuple[Destination, ...] = stop.value
                assert all(target.name == question.host for target in targets)
                return [(target.transport, target.host, target.port) for target in targets]
            self.asked.append(ask)
            records = self.zone.get((ask.name, ask.kind), ())


@pytest.fixture
def zones() -> Zones:
    return Zones(ZONE)


def test_naptr_chooses_the_transport(zones: Zones) -> None:
    found = zones.locate(Question("example.com"))
    assert {target[0] for target in found} == {TLS}
    assert sorted(found) == [(TLS, "10.0.0.1", 5061), (TLS, "10.0.0.2", 5061), (TLS, "10.0.0.3", 5061)]
    assert zones.asked[:2] == [Ask("example.com", NAPTR), Ask("_sips._tcp.example.com", SRV)]


def test_naptr_of_what_we_do_not_speak_does_not_count(zones: Zones) -> None:
    assert zones.locate(Question("example.com"), ((UDP, False),)) == [
        (UDP, "10.0.0.2", 5080),
        (UDP, "10.0.0.3", 5080),
        (UDP, "10.0.0.1", 5060),
    ]


def test_sips_takes_nothing_but_tls(zones: Zones) -> None:
    assert {target[0] for target in zones.locate(Question("example.com", secure=True))} == {TLS}
    assert {target[0] for target in zones.locate(Question("example.com", None, TCP, True))} == {TLS}
    assert zones.locate(Question("example.com", None, UDP, True)) == []
    assert zones.locate(Question("example.com", secure=True), ((UDP, False),)) == []
    assert zones.locate(Question("plain.example", secure=True)) == [(TLS, "10.0.0.9", 5061)]
    assert zones.locate(Question("plain.example", 5071, secure=True)) == [(TLS, "10.0.0.9", 5071)]


def test_without_naptr_the_services_are_asked_for_in_turn(zones: Zones) -> None:
    assert zones.locate(Question("srv.example")) == [(TCP, "10.0.0.1", 5090)]
    assert [ask.name for ask in zones.asked[:3]] == ["srv.example", "_sip._udp.srv.example", "_sip._tcp.srv.example"]


def test_without_srv_the_name_itself_counts(zones: Zones) -> None:
    assert zones.locate(Question("plain.example")) == [(UDP, "10.0.0.9", 5060)]
    assert zones.locate(Question("plain.example", None, TLS)) == [(TLS, "10.0.0.9", 5061)]
    assert zones.locate(Question("plain.example"), ((TCP, False),)) == [(TCP, "10.0.0.9", 5060)]


def test_a_named_transport_asks_for_its_service_only(zones: Zones) -> None:
    assert {target[0] for target in zones.locate(Question("example.com", None, TCP))} == {TCP}
    assert Ask("example.com", NAPTR) not in zones.asked
    assert zones.locate(Question("example.com", None, TLS), ((UDP, False),)) == []


def test_a_port_leaves_only_the_address_to_ask_for(zones: Zones) -> None:
    assert zones.locate(Question("two.example.com", 5099)) == [(UDP, "10.0.0.2", 5099), (UDP, "10.0.0.3", 5099)]
    assert zones.locate(Question("one.example.com", 5099, TCP)) == [(TCP, "10.0.0.1", 5099)]
    assert {ask.kind for ask in zones.asked} == {A}


def test_a_service_that_is_decidedly_not_offered_is_not_tried(zones: Zones) -> None:
    assert zones.locate(Question("closed.example", None, UDP)) == []


def test_both_families_in_the_order_of_the_listeners(zones: Zones) -> None:
    question = Question("two.example.com", 5060)
    six_first = ((UDP, True), (UDP, False))
    assert [host for _, host, _ in zones.locate(question, six_first)] == ["2001:db8::2", "10.0.0.2", "10.0.0.3"]


def test_a_name_that_nobody_knows(zones: Zones) -> None:
    assert zones.locate(Question("nobody.example")) == []
    assert zones.locate(Question("nobody.example", 5060)) == []


def test_there_is_an_end_to_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, "MAX_TARGETS", 3)
    assert len(Zones(ZONE).locate(Question("example.com"))) == 3
    records: tuple[Record, ...] = tuple(Srv(n, 0, 5060, "two.example.com") for n in range(99))
    zones = Zones({**ZONE, ("_sip._udp.many.example", SRV): records})
    assert len(zones.locate(Question("many.example", None, UDP))) == 3
    assert len(zones.asked) == 3


def test_priorities_come_before_weights() -> None:
    low, high = Srv(1, 9, 1, "low"), Srv(0, 1, 1, "high")
    for seed in range(20):
        assert in_order([low, high], Ids(random.Random(seed))) == [high, low]


def test_weights_are_shares() -> None:
    records = [Srv(0, 0, 1, "never"), Srv(0, 1, 1, "quarter"), Srv(0, 3, 1, "most")]
    ids = Ids(random.Random(1))
    firsts = Counter(in_order(records, ids)[0].target for _ in range(4000))
    # RFC 2782 draws from 0 to the sum, both included: 0 is for the weight 0, 1 for the next, 2 to 4 for the last.
    assert 600 < firsts["never"] < 1000
    assert 600 < firsts["quarter"] < 1000
    assert 2200 < firsts["most"] < 2600
    assert in_order([], ids) == []
