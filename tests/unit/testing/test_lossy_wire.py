"""The wire itself, with ends that only take notes."""

from collections import deque
from typing import Any

import pytest

from sidestream.sip.agent.searching import Lookup
from sidestream.sip.locating import Question
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.testing import lossy_wire
from sidestream.testing.lossy_wire import LossyWire
from sidestream.testing.virtual_clock import VirtualClock


class End:
    """What an agent looks like to the wire."""

    def __init__(self) -> None:
        self.out: deque[Transmit] = deque()
        self.events: deque[Any] = deque()
        self.got: list[tuple[float, bytes, Peer]] = []
        self.failed: list[str] = []
        self.sought: deque[Lookup] = deque()
        self.found: list[tuple[str, tuple[Destination, ...]]] = []
        self.deadlines: list[float] = []
        self.fired: list[float] = []

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        self.got.append((now, data, peer))

    def transport_failed(self, transmit_id: str, now: float) -> None:
        self.failed.append(transmit_id)

    def poll_transmit(self) -> Transmit | None:
        return self.out.popleft() if self.out else None

    def poll_lookup(self) -> Lookup | None:
        return self.sought.popleft() if self.sought else None

    def located(self, lookup_id: str, targets: tuple[Destination, ...], now: float) -> None:
        self.found.append((lookup_id, targets))

    def poll_event(self) -> Any:
        return self.events.popleft() if self.events else None

    def poll_timeout(self) -> float | None:
        return min(self.deadlines, default=None)

    def handle_timeout(self, now: float) -> None:
        self.fired.append(now)
        self.deadlines = [deadline for deadline in self.deadlines if deadline > now]


def join(wire: LossyWire) -> tuple[Any, Any]:
    one: Any = End()
    two: Any = End()
    wire.join("one", one, "10.0.0.1")
    wire.join("two", two, "10.0.0.2")
    return one, two


def udp(number: int = 0, host: str = "10.0.0.2") -> Transmit:
    return Transmit(b"M%d\r\n" % number, Destination(Transport.UDP, host, 5060), f"id{number}", "udp")


def tcp(number: int = 0, host: str = "10.0.0.2") -> Transmit:
    return Transmit(b"M%d\r\n" % number, Destination(Transport.TCP, host, 5060), f"id{number}", "tcp")


def outcome(seed: int) -> list[tuple[float, bytes]]:
    wire = LossyWire(VirtualClock(), seed=seed, loss=0.3, double=0.3, delay=(0.0, 1.0))
    one, two = join(wire)
    one.out.extend(udp(number) for number in range(50))
    wire.run()
    return [(moment, data) for moment, data, _ in two.got]


def test_datagrams_are_lost_doubled_and_reordered_by_the_seed() -> None:
    got = [data for _, data in outcome(1)]
    assert 0 < len(set(got)) < 50
    assert len(got) > len(set(got))
    assert got != sorted(got, key=lambda data: int(data[1:]))
    assert outcome(1) == outcome(1)
    assert outcome(1) != outcome(2)


def test_a_good_wire_takes_its_time() -> None:
    wire = LossyWire(VirtualClock(), delay=(0.25, 0.25))
    one, two = join(wire)
    one.out.append(udp())
    wire.run()
    assert two.got == [(1000.25, b"M0\r\n", Peer(Transport.UDP, "10.0.0.1", 5060, "udp"))]
    assert wire.sent("one", "M")[0].start == "M0"


def test_datagrams_to_nobody_and_dropped_ones_are_lost() -> None:
    wire = LossyWire(VirtualClock())
    one, two = join(wire)
    wire.drop = lambda carried: carried.data == b"M1\r\n"
    one.out.extend([udp(1), udp(2, "10.9.9.9")])
    wire.run()
    assert two.got == []
    assert [carried.copies for carried in wire.log] == [0, 0]


def test_streams_keep_their_order_and_lead_back() -> None:
    wire = LossyWire(VirtualClock(), loss=1.0, delay=(0.0, 1.0))
    one, two = join(wire)
    one.out.extend(tcp(number) for number in range(20))
    wire.run()
    assert [data for _, data, _ in two.got] == [b"M%d\r\n" % number for number in range(20)]
    (peer,) = {peer for _, _, peer in two.got}
    two.out.append(Transmit(b"back\r\n", peer, "id", "tcp"))
    wire.run()
    assert [data for _, data, _ in one.got] == [b"back\r\n"]
    assert one.got[0][2] == Peer(Transport.TCP, "10.0.0.2", 5060, "tcp")


def test_refused_and_cut_streams_are_reported() -> None:
    wire = LossyWire(VirtualClock())
    one, two = join(wire)
    one.out.append(tcp(1))
    wire.run()
    wire.cut_streams()
    two.out.append(Transmit(b"x\r\n", two.got[0][2], "back", "tcp"))
    wire.refuses_tcp.add("10.0.0.2")
    one.out.extend([tcp(2), tcp(3, "10.9.9.9"), Transmit(b"x\r\n", tcp().destination, None, "tcp")])
    wire.run()
    assert (one.failed, two.failed) == (["id2", "id3"], ["back"])


def test_timers_fire_at_their_time_and_run_stops_where_told() -> None:
    wire = LossyWire(VirtualClock())
    one, _ = join(wire)
    one.deadlines = [1003.0, 1008.0]
    wire.run(5)
    assert (one.fired, wire.clock.monotonic()) == ([1003.0], 1005.0)
    wire.run()
    assert (one.fired, wire.clock.monotonic()) == ([1003.0, 1008.0], 1008.0)


def test_events_are_kept_and_handed_on() -> None:
    wire = LossyWire(VirtualClock())
    end: Any = End()
    seen: list[Any] = []
    node = wire.join("one", end, "10.0.0.1", on_event=lambda node, event: seen.append((node.name, event)))
    end.events.append("rang")
    wire.run()
    assert node.events == ["rang"]
    assert seen == [("one", "rang")]


def test_a_scenario_that_never_rests_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lossy_wire, "MAX_STEPS", 50)
    wire = LossyWire(VirtualClock())
    one, _ = join(wire)
    one.handle_timeout = lambda now: None
    one.deadlines = [1000.0]
    with pytest.raises(AssertionError):
        wire.run()


def test_names_are_known_to_the_wire() -> None:
    wire = LossyWire(VirtualClock())
    one, _ = join(wire)
    wire.join("three", End(), "three.example")  # type: ignore[arg-type]
    elsewhere = (Destination(Transport.TCP, "10.0.0.2", 5070, "two.example"),)
    wire.names["two.example"] = elsewhere
    one.sought.extend(
        Lookup(str(number), question)
        for number, question in enumerate(
            (Question("two.example"), Question("three.example"), Question("three.example", secure=True), Question("no"))
        )
    )
    wire.run()
    assert one.found == [
        ("0", elsewhere),
        ("1", (Destination(Transport.UDP, "three.example", 5060),)),
        ("2", (Destination(Transport.TLS, "three.example", 5061),)),
        ("3", ()),
    ]
