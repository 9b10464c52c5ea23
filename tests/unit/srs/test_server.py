import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidestream.base.ids import Ids
from sidestream.sip.agent.events import Cancelled, EndCause, InviteReceived, RequestReceived, SessionEnded
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.srs.config import SrsConfig
from sidestream.srs.server import SrsServer
from sidestream.testing.fake_engine import FakeEngine

from .conftest import FakeAgent, FakeDriver, FixedClock

RequestOf = Callable[..., Request]
Sdp = Callable[..., str]


class ServedDriver(FakeDriver):
    """A driver without sockets, which delivers what the test says the agent reported."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses = {"srs-udp": ("127.0.0.1", 5070), "srs-tcp": ("127.0.0.1", 5070)}
        self.sinks: dict[str, Any] = {}
        self.default_sink: Any = None
        self.open = False

    async def start(self) -> None:
        self.open = True

    async def close(self) -> None:
        self.open = False

    def attach(self, session: str, sink: Any) -> None:
        self.sinks[session] = sink


@pytest.fixture
def served() -> ServedDriver:
    return ServedDriver()


@pytest.fixture
def agent(served: ServedDriver) -> FakeAgent:
    return served.agent


@pytest.fixture
def server(
    tmp_path: Path, engine: FakeEngine, clock: FixedClock, ids: Ids, served: ServedDriver, monkeypatch: Any
) -> SrsServer:
    def driver(**_settings: object) -> ServedDriver:
        return served

    monkeypatch.setattr("sidestream.srs.server.SipDriver", driver)
    return SrsServer(SrsConfig(tmp_path / "r", free_floor=0, live_limit=2), engine, clock, ids)


async def responded(agent: FakeAgent, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(agent.responses) < count:
            await asyncio.sleep(0)


async def test_it_prepares_the_archive_listens_and_closes(server: SrsServer, served: ServedDriver) -> None:
    await server.start()
    assert served.open
    assert server.archive.manifests() == []
    assert server.address == ("127.0.0.1", 5070)
    await server.close()
    await server.close()
    assert not served.open


async def test_a_recording_session_is_served_and_ended_at_close(
    server: SrsServer, served: ServedDriver, agent: FakeAgent, request_of: RequestOf, sdp: Sdp, peer: Peer
) -> None:
    await server.start()
    served.default_sink(InviteReceived("s1", request_of(sdp=sdp("sendonly")), peer))
    await responded(agent)
    assert agent.responses[0]["status"] == 200
    assert server.live == 1
    page = server.page_of("079b93cc@src")
    assert page is not None
    assert page.startswith("/recordings/RE")
    assert server.page_of("another") is None
    closing = asyncio.create_task(server.close())
    while not agent.byes:
        await asyncio.sleep(0)
    served.sinks["s1"](SessionEnded("s1", EndCause.LOCAL_BYE))
    await asyncio.wait_for(closing, 5)
    assert server.live == 0


async def test_sessions_that_do_not_end_are_left_at_close(
    server: SrsServer,
    served: ServedDriver,
    agent: FakeAgent,
    request_of: RequestOf,
    sdp: Sdp,
    peer: Peer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidestream.srs.server.CLOSE_SECONDS", 0.01)
    await server.start()
    served.default_sink(InviteReceived("s1", request_of(sdp=sdp("sendonly")), peer))
    await responded(agent)
    await asyncio.wait_for(server.close(), 5)
    assert not served.open


async def test_what_is_no_recording_session_is_refused(
    server: SrsServer, served: ServedDriver, agent: FakeAgent, request_of: RequestOf, sdp: Sdp, peer: Peer
) -> None:
    await server.start()
    plain = request_of(sdp=sdp("sendonly"))
    plain.headers.remove("Require")
    served.default_sink(InviteReceived("s1", plain, peer))
    assert (agent.responses[0]["status"], agent.responses[0]["headers"]) == (403, ())
    assert server.live == 0


async def test_addresses_that_cannot_be_read_are_400(
    server: SrsServer, served: ServedDriver, agent: FakeAgent, request_of: RequestOf, sdp: Sdp, peer: Peer
) -> None:
    await server.start()
    broken = request_of(sdp=sdp("sendonly"))
    broken.headers.replace("From", "<sip:a@b")
    served.default_sink(InviteReceived("s1", broken, peer))
    assert agent.responses[0]["status"] == 400


async def test_over_the_limit_and_while_closing_it_is_503(
    server: SrsServer, served: ServedDriver, agent: FakeAgent, request_of: RequestOf, sdp: Sdp, peer: Peer
) -> None:
    await server.start()
    for number in range(3):
        served.default_sink(InviteReceived(f"s{number}", request_of(sdp=sdp("sendonly")), peer))
    refused = agent.responses[0]
    assert (refused["session"], refused["status"], refused["headers"]) == ("s2", 503, (("Retry-After", "60"),))
    await responded(agent, 3)
    for number in range(2):
        served.sinks[f"s{number}"](SessionEnded(f"s{number}", EndCause.REMOTE_BYE))
    while server.live:
        await asyncio.sleep(0)
    await server.close()
    served.default_sink(InviteReceived("s9", request_of(sdp=sdp("sendonly")), peer))
    assert agent.responses[-1]["status"] == 503


async def test_a_cancel_right_after_the_invite_is_not_lost(
    server: SrsServer, served: ServedDriver, request_of: RequestOf, sdp: Sdp, peer: Peer
) -> None:
    await server.start()
    served.default_sink(InviteReceived("s1", request_of(sdp=sdp("sendonly")), peer))
    served.sinks["s1"](Cancelled("s1", request_of("CANCEL")))
    served.sinks["s1"](SessionEnded("s1", EndCause.CANCELLED))
    while server.live:
        await asyncio.sleep(0)
    assert server.archive.manifests() == []


async def test_requests_outside_a_session_are_405(
    server: SrsServer, served: ServedDriver, agent: FakeAgent, request_of: RequestOf, peer: Peer
) -> None:
    served.default_sink(RequestReceived("r1", None, request_of("INFO"), peer))
    assert agent.answers[0]["status"] == 405
    served.default_sink(SessionEnded("unknown", EndCause.REMOTE_BYE))
    assert len(agent.answers) == 1
