"""The measured process: the control side of Sidestream alone, or the reference that only signals.

Run by `measured.Measured`. It prints one JSON line when it is ready, and answers each line on its standard input
(`report`, `memory`, `allocated`, `profile`, `profiled PATH`, `sample`, `sampled`, `allocations`, `images LOOPS`) with
one more; it ends with its input.
"""

import asyncio
import cProfile
import gc
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop
from cryptography.fernet import Fernet

from benches.control.answering import HOST, AnsweringMachine
from benches.control.sampler import Sampler
from sidestream.accounts.account import Account, Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.app.collector import settle_collector
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.base.logs import configure_logs
from sidestream.base.metrics import Metrics
from sidestream.calls.audio import AudioLibrary
from sidestream.calls.call import Call
from sidestream.calls.front import CallFront
from sidestream.calls.image import encode, image_of
from sidestream.calls.imaging import Imaging
from sidestream.calls.live import LiveCalls
from sidestream.calls.record import Direction
from sidestream.calls.script import run_script
from sidestream.calls.services import CallSettings, Services
from sidestream.calls.speech import Speech
from sidestream.connectors.connector import make_connector
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.debugger.debugger import Debugger
from sidestream.media.client import EngineClient
from sidestream.media.engine import MediaEngine
from sidestream.media.supervisor import EngineSupervisor
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.transport import Transport
from sidestream.storage.sealing import Sealer
from sidestream.storage.sqlite import open_database
from sidestream.testing.fake_engine import FakeEngine
from sidestream.trunks.trunk_book import Trunk, TrunkBook
from sidestream.webhooks.client import HttpClient
from sidestream.webhooks.fetch import DocumentFetcher
from sidestream.webhooks.outbox import Outbox
from sidestream.wire.driver import Listener, SipDriver

NUMBER = "1000"
DIAL = '<Dial answerOnBridge="true"><Sip>{callee}</Sip></Dial>'
TWIML = {
    "b2bua": f"<Response>{DIAL}</Response>",
    "recorded": f"<Response><Start><Siprec/></Start>{DIAL}</Response>",
}
TOP_ALLOCATIONS = 10
SLICE = 50  # images made between two looks at the clock; the fastest slice counts


@dataclass(frozen=True, slots=True)
class Setup:
    """What to run. `mode`: "reference", "b2bua" or "recorded"; `callee` and `srs` are SIP URIs.

    `with_engine`: with a media engine at work, on the same core, instead of a double.
    """

    mode: str
    callee: str
    srs: str
    directory: str
    core: int | None = None  # the processor core to stay on
    trace_allocations: bool = False
    with_engine: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """`user_s`, `system_s`: processor time of all threads since the start; the others but `engine`: incoming calls.

    `engine`: the process of its media engine, if one is at work.
    """

    port: int
    user_s: float
    system_s: float
    answered: int
    ended: int
    failed: int
    live: int
    siprecs_live: int
    siprecs_failed: int
    engine: int | None = None


@dataclass(frozen=True, slots=True)
class ImageCost:
    """What the images of the live calls take: microseconds of each step, and octets of each, sealed as stored."""

    collect_us: float
    encode_us: float
    seal_us: float
    octets: list[int]
    sealed_octets: list[int]


class ForgetfulEngine(FakeEngine):
    """The double without its notes for tests, which would count as memory of the calls."""

    async def _begin(self, command: str, session: str, name: str | None = None) -> None:
        await super()._begin(command, session, name)
        self.commands.clear()
        self.closed.clear()


class Reference:
    """An agent that answers and does nothing else."""

    def __init__(self, driver: SipDriver) -> None:
        self._driver = driver
        self._machine = AnsweringMachine(driver)

    def report(self) -> Report:
        machine = self._machine
        return Report(_port(self._driver), *os.times()[:2], machine.live, machine.ended, 0, machine.live, 0, 0)


class Control:
    """The platform's own services over a real database; `engine` is the process of the media engine, None: a double."""

    def __init__(self, services: Services, engine: int | None) -> None:
        self._services = services
        self._engine = engine

    def report(self) -> Report:
        services, value = self._services, self._services.metrics.registry.get_sample_value
        ended = {
            status: int(value("sidestream_calls_total", {"direction": "inbound", "status": status}) or 0)
            for status in ("completed", "busy", "no-answer", "canceled", "failed")
        }
        return Report(
            port=_port(services.driver),
            user_s=os.times().user,
            system_s=os.times().system,
            answered=sum(_is_inbound(call) and call.answered.is_set() for call in services.live),
            ended=ended["completed"],
            failed=sum(ended.values()) - ended["completed"],
            live=sum(_is_inbound(call) for call in services.live),
            siprecs_live=int(value("sidestream_siprecs_live") or 0),
            siprecs_failed=int(value("sidestream_siprecs_total", {"event": "siprec-error"}) or 0),
            engine=self._engine,
        )

    def images(self, loops: int) -> ImageCost:
        """Make the image of each live call `loops` times. Only while nothing is under way in any of them."""
        calls = list(self._services.live)
        sealer = Sealer(Fernet.generate_key())
        images = [image for call in calls if (image := image_of(call)) is not None]
        if len(images) != len(calls):
            raise ValueError("a call is changing")
        encoded = [encode(image) for image in images]
        return ImageCost(
            _fastest_us(lambda: [image_of(call) for call in calls], loops) / len(calls),
            _fastest_us(lambda: [encode(image) for image in images], loops) / len(calls),
            _fastest_us(lambda: [sealer.seal_octets(octets) for octets in encoded], loops) / len(calls),
            [len(octets) for octets in encoded],
            [len(sealer.seal_octets(octets)) for octets in encoded],
        )


def _fastest_us(work: Callable[[], object], loops: int) -> float:
    best = float("inf")
    for _ in range(max(1, loops // SLICE)):
        started = time.perf_counter()
        for _ in range(SLICE):
            work()
        best = min(best, time.perf_counter() - started)
    return best / SLICE * 1e6


def _is_inbound(call: Call) -> bool:
    return call.record.direction is Direction.INBOUND


@asynccontextmanager
async def _reference(setup: Setup) -> AsyncIterator[Reference]:
    driver = _driver(Ids(), SystemClock())
    reference = Reference(driver)
    await driver.start()
    yield reference
    await driver.close()


@asynccontextmanager
async def _engine(setup: Setup) -> AsyncIterator[tuple[MediaEngine, int | None]]:
    if not setup.with_engine:
        yield ForgetfulEngine(), None
        return
    supervisor = EngineSupervisor()
    await supervisor.start()
    client = EngineClient(supervisor.socket)
    try:
        await client.connect()
        yield client, supervisor.pid
    finally:
        await client.close()
        await supervisor.stop()


@asynccontextmanager
async def _control(setup: Setup) -> AsyncIterator[Control]:
    async with _engine(setup) as (engine, process), _services(setup, engine) as services:
        yield Control(services, process)


@asynccontextmanager
async def _services(setup: Setup, engine: MediaEngine) -> AsyncIterator[Services]:
    clock, ids, metrics = SystemClock(), Ids(), Metrics()
    directory = Path(setup.directory)
    stores = await open_database(f"sqlite:///{directory / 'sidestream.db'}")
    account = Account(ids.sid("AC"), ids.auth_token())
    voice = VoiceSettings(twiml=TWIML[setup.mode].format(callee=setup.callee))
    accounts = AccountBook([account], [Number(NUMBER, account.sid, voice)])
    debugger = Debugger(stores.alerts, ids, clock)
    http = HttpClient(clock=clock, metrics=metrics)
    library = AudioLibrary(directory / "audio")
    services = Services(
        driver=_driver(ids, clock),
        engine=engine,
        clock=clock,
        ids=ids,
        metrics=metrics,
        accounts=accounts,
        trunks=TrunkBook([Trunk("carrier")]),
        connectors=ConnectorBook([make_connector("Default", None, (setup.srs,))]),
        debugger=debugger,
        fetcher=DocumentFetcher(http, ids, debugger),
        outbox=Outbox(stores.outbox, http, accounts, clock, debugger),
        live=LiveCalls(metrics),
        calls=stores.calls,
        imaging=Imaging(stores.images),
        siprecs=stores.siprecs,
        audio=library,
        speech=Speech(library, directory / "speech"),
        script=run_script,
        settings=CallSettings(sip_host=HOST),
    )
    front = CallFront(services)
    services.driver.default_sink = front.take_sip_event
    services.outbox.start()
    await services.driver.start()
    yield services
    await front.drain()
    await services.driver.close()
    await services.outbox.close()
    await http.close()
    await stores.close()


def _driver(ids: Ids, clock: SystemClock) -> SipDriver:
    listeners = [Listener("udp", Transport.UDP, HOST, 0), Listener("tcp", Transport.TCP, HOST, 0)]
    return SipDriver(listeners=listeners, config=AgentConfig(), ids=ids, clock=clock)


def _port(driver: SipDriver) -> int:
    return driver.addresses["udp"][1]


def _rss_kb() -> int:
    gc.collect()  # what is only waiting to be collected belongs to no live call
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def _allocations(before: tracemalloc.Snapshot) -> list[str]:
    """Where memory is held that was not held at the first snapshot, the most first."""
    after = tracemalloc.take_snapshot()
    return [str(line) for line in after.compare_to(before, "lineno")[:TOP_ALLOCATIONS]]


async def _serve(setup: Setup) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    profiler, sampler = cProfile.Profile(builtins=False), Sampler()
    baseline: tracemalloc.Snapshot | None = None
    run = _reference if setup.mode == "reference" else _control
    async with run(setup) as measured:
        settle_collector()
        _say(measured.report())
        while line := (await asked.readline()).decode().split():
            match line:
                case ["report"]:
                    _say(measured.report())
                case ["memory"]:
                    _say(_rss_kb())
                case ["allocated"]:
                    gc.collect()
                    _say(tracemalloc.get_traced_memory()[0])
                case ["profile"]:
                    profiler.enable()
                    _say(None)
                case ["profiled", path]:
                    profiler.disable()
                    profiler.dump_stats(path)
                    _say(None)
                case ["sample"]:
                    sampler.start()
                    _say(None)
                case ["sampled"]:
                    _say(sampler.stop())
                case ["images", loops] if isinstance(measured, Control):
                    _say(measured.images(int(loops)))
                case ["allocations"]:
                    if baseline is None:
                        baseline = tracemalloc.take_snapshot()
                        _say([])
                    else:
                        _say(_allocations(baseline))
                case _:
                    raise ValueError(f"not a command: {line}")


def _say(value: object) -> None:
    print(msgspec.json.encode(value).decode(), flush=True)


def main() -> None:
    setup = msgspec.json.decode(sys.argv[1].encode(), type=Setup)
    if setup.core is not None:
        os.sched_setaffinity(0, {setup.core})
    if setup.trace_allocations:
        tracemalloc.start()
    # As in production: every line is made and written, it only lands nowhere.
    configure_logs("info", stream=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    uvloop.run(_serve(setup))


if __name__ == "__main__":
    main()
