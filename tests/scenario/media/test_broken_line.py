"""A control connection that breaks while engine and client live."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidestream.media.client import EngineClient
from sidestream.media.engine import Dtmf, EngineLost, FirstPacket, PlayerEnded, Side, Tone
from sidestream.media.options import EngineOptions
from sidestream.testing.breakable_line import BreakableLine
from sidestream.testing.engine_process import engine_process

from .conftest import FORMATS, Bridge

AWAY_S = 0.5


@pytest.fixture
async def line(engine_socket: Path, tmp_path: Path) -> AsyncIterator[BreakableLine]:
    made = BreakableLine(engine_socket, tmp_path / "line.sock")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def engine(engine_socket: Path, line: BreakableLine, tmp_path: Path) -> AsyncIterator[EngineClient]:
    client = EngineClient(tmp_path / "line.sock")
    await client.connect()
    yield client
    for session in await client.list_sessions():
        await client.close_session(session)
    await client.close()


async def test_nothing_is_lost_of_a_call(bridge: Bridge, line: BreakableLine) -> None:
    bridge.talk()
    await bridge.both_heard(20)
    line.cut()
    async with asyncio.timeout(5):
        while bridge.engine.connected:
            await asyncio.sleep(0)
    # what is wanted meanwhile is done later, in its order
    fork = bridge.engine.open_fork("CA1", "f", endpoint="a", side=Side.INBOUND, cname="c")
    tones = asyncio.create_task(
        bridge.engine.play_tones("CA1", "p", endpoint="a", tones=(Tone((440,), 60),), level_dbm0=-19.0)
    )
    bridge.caller.press("7")
    heard = len(bridge.agent.received)
    await asyncio.sleep(AWAY_S)
    assert len(bridge.agent.received) - heard > 50 * AWAY_S / 2  # they hear each other
    assert not tones.done()
    assert {type(event) for event in bridge.events} == {FirstPacket}
    line.mend()
    assert (await fork).rtp % 2 == 0
    await tones
    assert (await bridge.event(Dtmf)).digit == "7"
    assert (await bridge.event(PlayerEnded)).completed
    assert not any(isinstance(event, EngineLost) for event in bridge.events)
    assert set((await bridge.engine.session_statistics("CA1")).forks) == {"f"}


async def test_commands_under_way_are_carried_out_once(bridge: Bridge, line: BreakableLine) -> None:
    """Whether the engine had got them or not: forty sessions, and the line breaks in their midst five times."""
    opened = []
    for turn in range(5):
        sessions = [f"CA{turn}-{n}" for n in range(8)]
        opened += [
            (name, bridge.engine.open_session(name), bridge.engine.open_endpoint(name, "a")) for name in sessions
        ]
        await asyncio.sleep(0.002 * turn)
        line.cut()
        line.mend()
    ports = {}
    for name, session, endpoint in opened:
        assert await session is None
        ports[name] = await endpoint
        await bridge.engine.configure_endpoint(name, "a", remote=None, formats=FORMATS)
    assert len({one.rtp for one in ports.values()}) == 40
    assert set(await bridge.engine.list_sessions()) == {"CA1", *ports}
    for name in ports:
        assert set((await bridge.engine.close_session(name)).endpoints) == {"a"}


async def test_an_engine_that_dies_meanwhile_is_lost(tmp_path: Path) -> None:
    with engine_process(tmp_path, EngineOptions(exit_when_orphaned=False)) as running:
        line = BreakableLine(running.socket, tmp_path / "line.sock")
        await line.start()
        client = EngineClient(tmp_path / "line.sock")
        await client.connect()
        lost: asyncio.Future[EngineLost] = asyncio.get_running_loop().create_future()
        client.subscribe("CA1", lost.set_result)
        await client.open_session("CA1")
        line.cut()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        (tmp_path / "again").mkdir()
        with engine_process(tmp_path / "again", EngineOptions(exit_when_orphaned=False)) as another:
            other = EngineClient(another.socket)
            await other.connect()
            await other.close()
            another.socket.rename(running.socket)
            line.mend()
            assert (await asyncio.wait_for(lost, 5)).reason == "the media engine has it no more"
            await client.open_session("CA2")
            await client.close()
            await line.close()
            running.socket.rename(another.socket)
