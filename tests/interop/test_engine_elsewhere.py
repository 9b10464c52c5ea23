"""A media engine of its own, commanded over TLS, and a network that fails between it and `serve`."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidestream.sip.agent.events import EndCause
from sidestream.testing.breakable_line import BreakableLine
from sidestream.testing.certificates import Authority
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER

from .server_process import HOST, MEDIA_PORTS, Number, ServerProcess, free_port

pytestmark = [pytest.mark.interop, pytest.mark.long]

AWAY_S = 2.0
PATIENCE_S = 30.0
STOP_SECONDS = 10.0
TWIML = """<Start><Siprec name="all"/></Start>
<Dial answerOnBridge="true" action="/after" timeLimit="60"><Sip>{bob}</Sip></Dial>"""


@dataclass
class Stage:
    line: BreakableLine
    server: ServerProcess
    alice: SipPhone
    bob: SipPhone
    expected: str = "no such text"  # in lines of the log that are errors and no fault


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    """A process for as long as it is wanted."""
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("engine", names=("localhost",))
    ours, our_key = authority.issue("serve", names=("serve.example",))
    port = free_port()
    command = [sys.executable, "-m", "sidestream", "media", "--listen", f"tls://{HOST}:{port}", "--stay-when-orphaned"]
    command += ["--port-min", str(MEDIA_PORTS[0]), "--port-max", str(MEDIA_PORTS[1])]
    command += ["--tls-certificate", str(certificate), "--tls-key", str(key), "--tls-client-ca", str(authority.path)]
    async with AsyncExitStack() as stack:
        stack.enter_context(running(command))
        line = BreakableLine(port)
        await line.start()
        stack.push_async_callback(line.close)
        phones = [SipPhone("alice", speech=CALLER), SipPhone("bob", speech=AGENT)]
        for phone in phones:
            await phone.start()
            stack.push_async_callback(phone.close)
        media = {"address": f"tls://localhost:{line.port}", "ca": str(authority.path)}
        media |= {"certificate": str(ours), "private_key": str(our_key)}
        table = "external = true\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in media.items())
        numbers = (Number("talk", TWIML.format(bob=phones[1].uri)),)
        server = ServerProcess(tmp_path / "server", numbers, trunk=f"sip:{HOST}:9", media=table)
        await asyncio.to_thread(server.start)
        made = Stage(line, server, *phones)
        yield made
        await asyncio.to_thread(server.stop)
        assert [fault for fault in server.faults() if made.expected not in fault] == []


async def test_a_recorded_call_outlives_its_control_connection(stage: Stage) -> None:
    dialled = stage.alice.call(f"sip:talk@{stage.server.sip_address}")
    answered = await stage.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    await dialled.heard(50)
    stage.line.cut()
    before = len(dialled.stream.received)
    await asyncio.sleep(AWAY_S)
    assert len(dialled.stream.received) - before > 50 * AWAY_S * 0.8
    (call,) = stage.server.calls(to="talk")
    assert call["status"] == "in-progress"
    stage.line.mend()
    await dialled.hold()
    await dialled.resume()
    await answered.heard(len(answered.stream.received) + 50)
    dialled.bye()
    assert await answered.ended() is EndCause.REMOTE_BYE
    assert dialled.transit_to(answered).lost == 0
    await asyncio.to_thread(stage.server.finished_recording)
    manifest = json.loads(next(stage.server.recordings.glob("*/manifest.json")).read_text())
    assert [stream["lost"] for stream in manifest["streams"]] == [0, 0]
    assert (await asyncio.to_thread(stage.server.calls, to="talk"))[0]["status"] == "completed"
    assert "the connection to the media engine broke" in stage.server.log


async def test_an_engine_that_stays_away_ends_its_calls(stage: Stage) -> None:
    dialled = stage.alice.call(f"sip:talk@{stage.server.sip_address}")
    answered = await stage.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    await dialled.heard(50)
    stage.line.cut()
    stage.expected = "engine"
    for call in (dialled, answered):
        assert await call.ended(PATIENCE_S) is EndCause.REMOTE_BYE
    (record,) = await asyncio.to_thread(stage.server.calls, to="talk")
    assert record["status"] == "completed"
    stage.line.mend()
    await asyncio.to_thread(stage.server.wait_until_healthy)
    again = stage.alice.call(f"sip:talk@{stage.server.sip_address}")
    rung = await stage.bob.wait_for_call()
    rung.answer()
    await again.answered()
    again.bye()
    assert await rung.ended() is EndCause.REMOTE_BYE
