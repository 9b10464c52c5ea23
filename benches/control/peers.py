"""Who calls and who is called: SIPp if it is there, else two agents of our own; and the recording server.

They run on another core than the measured process. `with_sipp` False takes our own agents although SIPp is there.
"""

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benches.control.answering import HOST, PHONE_SDP, SDP, AnsweringMachine, RecordingServer
from benches.control.rivals import free_port, is_bound
from benches.control.server import NUMBER
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent, InviteAccepted, SessionEnded
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec import srs
from sidestream.wire.driver import Listener, SipDriver

_SCENARIOS = Path(__file__).parent.parent / "sipp"


@dataclass(frozen=True, slots=True)
class Load:
    """`calls` calls, begun evenly at `rate` a second but at most `at_once` at a time, each `talk_s` long."""

    calls: int
    rate: float
    talk_s: float
    at_once: int

    @property
    def limit_s(self) -> float:
        """How long to wait for it; a slow machine is no failure."""
        return 5 * (self.calls / self.rate + self.talk_s) + 40


class CallsFailed(Exception):
    """Calls of a load did not come about; `detail` is what the caller said."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"calls failed: {self.detail}"


@dataclass(frozen=True, slots=True)
class Peers:
    """The callee's and the recording server's URIs; `caller` makes the calls."""

    caller: "SippCaller | AgentCaller"
    callee: str
    srs: str
    recording_server: RecordingServer
    tool: str


@asynccontextmanager
async def peers(*, with_sipp: bool = True) -> AsyncIterator[Peers]:
    """All peers, until the block ends."""
    clock, ids = SystemClock(), Ids()
    recorder = SipDriver(
        listeners=[Listener("tcp", Transport.TCP, HOST, 0)],
        config=AgentConfig(name="Recorder", supported=(srs.OPTION_TAG,)),
        ids=ids,
        clock=clock,
    )
    server = RecordingServer(recorder, ids)
    await recorder.start()
    uri = f"sip:srs@{HOST}:{recorder.addresses['tcp'][1]};transport=tcp"
    sipp = shutil.which("sipp") if with_sipp else None
    try:
        if sipp is not None:
            async with _sipp_callee(sipp) as callee:
                yield Peers(SippCaller(sipp), callee, uri, server, "SIPp")
        else:
            async with _agent_callee(clock, ids) as callee, _agent_caller(clock, ids) as caller:
                yield Peers(caller, callee, uri, server, "own agents")
    finally:
        await recorder.close()


class SippCaller:
    """Each load is a run of SIPp."""

    def __init__(self, sipp: str) -> None:
        self._sipp = sipp

    async def call(self, port: int, load: Load) -> None:
        """Make the calls and wait for their end. Raises CallsFailed."""
        process = await _sipp(
            self._sipp,
            "caller.xml",
            *("-s", NUMBER, f"{HOST}:{port}", "-m", str(load.calls), "-r", str(load.rate)),
            *("-l", str(load.at_once), "-d", str(round(load.talk_s * 1000)), "-timeout_error"),
            *("-timeout", f"{round(load.limit_s)}s"),
        )
        _, errors = await process.communicate()
        if process.returncode != 0:
            raise CallsFailed(f"SIPp ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}")


class AgentCaller:
    """Calls made by an agent in this process."""

    def __init__(self, driver: SipDriver) -> None:
        self._driver = driver
        self._talk_s = 0.0
        self._room = asyncio.Semaphore(0)
        self._answered: set[str] = set()
        self._left = 0
        self._failed = 0
        self._done = asyncio.Event()

    async def call(self, port: int, load: Load) -> None:
        """Make the calls and wait for their end. Raises CallsFailed."""
        loop = asyncio.get_running_loop()
        self._talk_s, self._left, self._failed = load.talk_s, load.calls, 0
        self._room = asyncio.Semaphore(load.at_once)
        self._done.clear()
        started = loop.time()
        async with asyncio.timeout(load.limit_s):
            for number in range(load.calls):
                await asyncio.sleep(started + number / load.rate - loop.time())
                await self._room.acquire()
                self._begin(Uri.sip(NUMBER, HOST, port))
            await self._done.wait()
        if self._failed:
            raise CallsFailed(f"{self._failed} of {load.calls}")

    def _begin(self, target: Uri) -> None:
        with self._driver.turn() as (agent, now):
            session = agent.invite(
                target=target,
                from_=NameAddr("Ada Field", Uri.sip("+14155550142", HOST)),
                to=NameAddr(None, target),
                body=PHONE_SDP,
                content_type=SDP,
                now=now,
            )
            self._driver.attach(session, self._take)

    def _take(self, event: AgentEvent) -> None:
        match event:
            case InviteAccepted(session, _):
                self._answered.add(session)
                with self._driver.turn() as (agent, now):
                    agent.acknowledge(session, now=now)
                asyncio.get_running_loop().call_later(self._talk_s, self._hang_up, session)
            case SessionEnded(session, _):
                self._failed += session not in self._answered
                self._answered.discard(session)
                self._left -= 1
                self._room.release()
                if not self._left:
                    self._done.set()
            case _:
                pass

    def _hang_up(self, session: str) -> None:
        with self._driver.turn() as (agent, now):
            agent.bye(session, now=now)


@asynccontextmanager
async def _sipp_callee(sipp: str) -> AsyncIterator[str]:
    port = free_port()
    process = await _sipp(sipp, "callee.xml", "-p", str(port))
    # The first INVITE is repeated until SIPp listens, but that would count as work of the measured process.
    while process.returncode is None and not is_bound(port):  # noqa: ASYNC110 — it is another process
        await asyncio.sleep(0.02)
    try:
        yield f"sip:peer@{HOST}:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def _agent_callee(clock: SystemClock, ids: Ids) -> AsyncIterator[str]:
    driver = _udp_driver(clock, ids)
    AnsweringMachine(driver)
    await driver.start()
    try:
        yield f"sip:peer@{HOST}:{driver.addresses['udp'][1]}"
    finally:
        await driver.close()


@asynccontextmanager
async def _agent_caller(clock: SystemClock, ids: Ids) -> AsyncIterator[AgentCaller]:
    driver = _udp_driver(clock, ids)
    await driver.start()
    try:
        yield AgentCaller(driver)
    finally:
        await driver.close()


def _udp_driver(clock: SystemClock, ids: Ids) -> SipDriver:
    listeners = [Listener("udp", Transport.UDP, HOST, 0)]
    return SipDriver(listeners=listeners, config=AgentConfig(name="Phone"), ids=ids, clock=clock)


async def _sipp(sipp: str, scenario: str, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sipp, "-sf", str(_SCENARIOS / scenario), "-i", HOST, "-nostdin", *arguments),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE if scenario == "caller.xml" else DEVNULL,
    )
