"""The driver over real sockets on loopback, on asyncio's loop and on uvloop."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvloop

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    ByeReceived,
    EndCause,
    InviteAccepted,
    InviteFailed,
    InviteReceived,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.timers import Timers
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.wire.driver import Listener, SipDriver, TraceLine

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
LIMIT_S = 5.0
USUAL = Timers()

# Its replacement, a hook in a conftest, would reach into the rest of the tree.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@dataclass
class Phone:
    """A driver whose application takes every call; what it saw can be waited for."""

    driver: SipDriver
    seen: list[AgentEvent] = field(default_factory=list)
    trace: list[TraceLine] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: AgentEvent) -> None:
        self.seen.append(event)
        self.news.set()
        with self.driver.turn() as (agent, now):
            match event:
                case InviteReceived():
                    agent.respond(event.session, 180, now=now)
                    agent.respond(event.session, 200, body=SDP, content_type="application/sdp", now=now)
                case InviteAccepted():
                    agent.acknowledge(event.session, now=now)
                case RequestReceived():
                    agent.answer(event.request_id, 200, now=now)
                case _:
                    pass

    async def saw(self, kind: type[AgentEvent], count: int = 1) -> AgentEvent:
        async with asyncio.timeout(LIMIT_S):
            while len(found := [event for event in self.seen if isinstance(event, kind)]) < count:
                self.news.clear()
                await self.news.wait()
        return found[count - 1]

    def call(self, port: int, *, transport: str | None = None, host: str = "127.0.0.1", body: bytes = SDP) -> str:
        params = (("transport", transport),) if transport else ()
        target = Uri.sip("bob", host, port, params)
        with self.driver.turn() as (agent, now):
            session = agent.invite(
                target=target,
                from_=NameAddr(None, Uri.sip("alice", "127.0.0.1")),
                to=NameAddr(None, target),
                body=body,
                content_type="application/sdp",
                now=now,
            )
            self.driver.attach(session, self.take)
        return session

    def hang_up(self, session: str) -> None:
        with self.driver.turn() as (agent, now):
            agent.bye(session, now=now)

    def port(self, name: str) -> int:
        return self.driver.addresses[name][1]


def make_phone(seed: int, *listeners: Listener, timers: Timers = USUAL) -> Phone:
    trace: list[TraceLine] = []
    driver = SipDriver(
        listeners=listeners
        or (Listener("udp", Transport.UDP, "127.0.0.1", 0), Listener("tcp", Transport.TCP, "127.0.0.1", 0)),
        config=AgentConfig(timers=timers),
        ids=Ids(random.Random(seed)),
        clock=SystemClock(),
        trace=trace.append,
    )
    phone = Phone(driver, trace=trace)
    driver.default_sink = phone.take
    return phone


@pytest.fixture
async def alice() -> AsyncIterator[Phone]:
    phone = make_phone(1)
    await phone.driver.start()
    yield phone
    await phone.driver.close()


@pytest.fixture
async def bob() -> AsyncIterator[Phone]:
    phone = make_phone(2)
    await phone.driver.start()
    yield phone
    await phone.driver.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_over_real_sockets(alice: Phone, bob: Phone, transport: str) -> None:
    session = alice.call(bob.port(transport), transport=transport)
    await alice.saw(InviteAccepted)
    await bob.saw(AckReceived)
    alice.hang_up(session)
    await bob.saw(ByeReceived)
    ended = await alice.saw(SessionEnded)
    assert ended == SessionEnded(session, EndCause.LOCAL_BYE)
    assert {line.transport for line in alice.trace} == {Transport(transport.upper())}


async def test_the_callee_hangs_up_over_the_stream_that_the_invite_came_by(alice: Phone, bob: Phone) -> None:
    alice.call(bob.port("tcp"), transport="tcp")
    received = await bob.saw(InviteReceived)
    assert isinstance(received, InviteReceived)
    await bob.saw(AckReceived)
    bob.hang_up(received.session)
    await alice.saw(ByeReceived)
    byes = [line for line in bob.trace if line.data.startswith(b"BYE")]
    assert [line.port for line in byes] == [received.peer.port]


async def test_trace_has_both_directions_in_order(alice: Phone, bob: Phone) -> None:
    alice.call(bob.port("udp"))
    await bob.saw(AckReceived)
    firsts = [(line.incoming, line.data.split(b" ")[0 if line.data[:3] != b"SIP" else 1]) for line in alice.trace]
    assert firsts == [(False, b"INVITE"), (True, b"180"), (True, b"200"), (False, b"ACK")]
    assert all(line.host == "127.0.0.1" and line.port == bob.port("udp") for line in alice.trace)


async def test_a_large_request_whose_tcp_is_refused_goes_by_udp(alice: Phone) -> None:
    other = make_phone(3, Listener("udp", Transport.UDP, "127.0.0.1", 0))
    await other.driver.start()
    alice.call(other.port("udp"), body=SDP + b"a=x\r\n" * 400)
    await alice.saw(InviteAccepted)
    await other.driver.close()


async def test_a_refused_connection_fails_the_call_at_once(alice: Phone) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        session = alice.call(taken.getsockname()[1], transport="tcp")
        await alice.saw(InviteFailed)
    assert await alice.saw(SessionEnded) == SessionEnded(session, EndCause.FAILED)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_host_name_is_resolved(alice: Phone, bob: Phone, transport: str) -> None:
    alice.call(bob.port(transport), transport=transport, host="localhost")
    await alice.saw(InviteAccepted)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_host_name_without_address_fails_the_call(alice: Phone, transport: str) -> None:
    alice.call(5060, transport=transport, host="nowhere.invalid")
    await alice.saw(InviteFailed)


async def test_a_destination_that_the_kernel_refuses_fails_the_call_at_once(alice: Phone) -> None:
    session = alice.call(5060, host="255.255.255.255")  # broadcast needs a permission that nobody asked for
    await alice.saw(InviteFailed)
    assert await alice.saw(SessionEnded) == SessionEnded(session, EndCause.FAILED)


async def test_a_stream_port_that_is_taken_stops_the_start(alice: Phone) -> None:
    other = make_phone(5, Listener("tcp", Transport.TCP, "127.0.0.1", alice.port("tcp")))
    with pytest.raises(OSError):
        await other.driver.start()


async def test_without_a_default_sink_events_are_only_logged(bob: Phone, alice: Phone) -> None:
    lonely = SipDriver(
        listeners=(Listener("udp", Transport.UDP, "127.0.0.1", 0),),
        config=AgentConfig(),
        ids=Ids(random.Random(6)),
        clock=SystemClock(),
    )
    await lonely.start()
    session = alice.call(lonely.addresses["udp"][1])
    with alice.driver.turn() as (agent, now):
        agent.cancel(session, now=now)
    await alice.saw(SessionEnded)
    await lonely.close()


async def test_what_was_being_resolved_at_the_end_is_dropped(alice: Phone) -> None:
    alice.call(5060, host="localhost")
    await alice.driver.close()
    assert alice.seen == []


async def test_silence_fails_the_call_by_timer_b() -> None:
    alice = make_phone(7, timers=Timers.fast())
    await alice.driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        alice.call(deaf.getsockname()[1])
        await alice.saw(InviteFailed)
    # Timer A: seven of them on a machine that has time.
    assert len([line for line in alice.trace if line.data.startswith(b"INVITE")]) > 2
    await alice.driver.close()


async def test_a_failing_sink_does_not_stop_the_driver(alice: Phone, bob: Phone) -> None:
    def broken(event: AgentEvent) -> None:
        raise RuntimeError("on purpose")

    failed = alice.call(bob.port("udp"))
    alice.driver.attach(failed, broken)
    alice.call(bob.port("udp"))
    await alice.saw(InviteAccepted)


async def test_a_detached_session_speaks_to_the_default_sink(alice: Phone, bob: Phone) -> None:
    elsewhere: list[AgentEvent] = []
    session = alice.call(bob.port("udp"))
    alice.driver.attach(session, elsewhere.append)
    alice.driver.detach(session)
    await alice.saw(InviteAccepted)
    assert elsewhere == []


async def test_requests_without_a_session_reach_the_default_sink(alice: Phone, bob: Phone) -> None:
    with alice.driver.turn() as (agent, now):
        name = agent.request(
            None,
            "OPTIONS",
            target=Uri.sip(None, "127.0.0.1", bob.port("udp")),
            from_=NameAddr(None, Uri.sip("alice", "127.0.0.1")),
            now=now,
        )
    answered = await alice.saw(RequestAnswered)
    assert isinstance(answered, RequestAnswered)
    assert answered.request_id == name
    assert answered.response is not None
    assert answered.response.status == 200


async def test_garbage_datagrams_change_nothing(alice: Phone, bob: Phone) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noisy:
        for data in (b"", b"\x00" * 40, b"\r\n\r\n", b"INVITE\r\n\r\n"):
            noisy.sendto(data, ("127.0.0.1", bob.port("udp")))
    alice.call(bob.port("udp"))
    await alice.saw(InviteAccepted)


async def test_start_leaves_nothing_bound_when_a_port_is_taken(alice: Phone) -> None:
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    other = make_phone(
        4,
        Listener("first", Transport.UDP, "127.0.0.1", port),
        Listener("second", Transport.UDP, "127.0.0.1", alice.port("udp")),
    )
    with pytest.raises(OSError):
        await other.driver.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
    with pytest.raises(RuntimeError):
        other.driver.turn()


async def test_closing_twice_is_no_error(alice: Phone) -> None:
    await alice.driver.close()
    await alice.driver.close()
    with pytest.raises(RuntimeError):
        alice.driver.turn()


async def test_a_timer_is_replaced_by_an_earlier_one_only(alice: Phone) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        alice.call(deaf.getsockname()[1])
        first = alice.driver._timer
        alice.call(deaf.getsockname()[1])
        assert alice.driver._timer is first
