"""`kill -9` of the control process in the midst of recorded calls, and its restart: no packet is lost anywhere."""

import asyncio
import json
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.demo.judgement import judge_recording
from sidestream.media.client import EngineClient
from sidestream.media.options import EngineOptions
from sidestream.media.supervisor import EngineSupervisor
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sip.agent.events import EndCause
from sidestream.sip.transport import Transport
from sidestream.srs.config import SrsConfig
from sidestream.srs.server import SrsServer
from sidestream.testing.comparison import compare
from sidestream.testing.phone.call import PhoneCall
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER, read_channels
from sidestream.testing.webhook_app import WebhookApp
from sidestream.wire.listener import Listener

from .server_process import HOST, ServerProcess

pytestmark = [pytest.mark.interop, pytest.mark.long]

WRITTEN_S = 1.0  # from the last change of a call until its image is on disk, and more
PATIENCE_S = 30.0  # with what a loaded machine takes for anything
YOUNG_S = 0.2  # since a call was answered: its image has been on disk for most of it
DEAD_S = 1.0  # how long nobody is there
TALK_PACKETS = 60
NUMBER = """
[[numbers]]
number = "{number}"
media_security = "optional"
twiml = '''<Response><Start><Siprec name="all" connectorName="{connector}" statusCallback="{callback}"/></Start>
<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial></Response>'''
status_callback = "{callback}"
"""
CONNECTOR = (
    '[[connectors]]\nname = "out"\nsrs = "sip:srs@{host}:{port};transport=tcp"\nplain_copy_of_secure_calls = true\n'
)


@dataclass
class Stage:
    server: ServerProcess
    app: WebhookApp
    alice: SipPhone
    bob: SipPhone
    recordings: Path

    async def connected(self, number: str) -> tuple[PhoneCall, PhoneCall]:
        """Alice and Bob talk and are recorded, and the platform has written it down."""
        dialled = self.alice.call(f"sip:{number}@{self.server.sip_address}")
        answered = await self.bob.wait_for_call()
        answered.answer()
        await dialled.answered()
        await self.app.wait_for(lambda one: one.parameter("SiprecEvent") == "siprec-started", PATIENCE_S)
        await asyncio.sleep(WRITTEN_S)
        return dialled, answered

    async def restart(self, *calls: PhoneCall) -> None:
        """Kill, see that the parties go on hearing each other, and start again."""
        await asyncio.to_thread(self.server.kill)
        heard = [len(call.stream.received) for call in calls]
        await asyncio.sleep(DEAD_S)
        for call, before in zip(calls, heard, strict=True):
            assert len(call.stream.received) - before > 40  # of 50
        await asyncio.to_thread(self.server.start)

    async def talk(self, *calls: PhoneCall) -> None:
        for call in calls:
            await call.heard(len(call.stream.received) + TALK_PACKETS)

    def call(self) -> dict[str, object]:
        """The newest call of the API that came in."""
        calls = self.server.get(f"/2010-04-01/Accounts/{self.server.account_sid}/Calls.json")["calls"]
        found: dict[str, object] = next(call for call in calls if call["direction"] == "inbound")
        return found

    def siprec_events(self) -> Counter[str]:
        return Counter(one.parameter("SiprecEvent") for one in self.app.received if one.parameter("SiprecEvent"))


@pytest.fixture
async def stage(tmp_path: Path, request: pytest.FixtureRequest, media_ports: tuple[int, int]) -> AsyncIterator[Stage]:
    suites: tuple[CryptoSuite, ...] = getattr(request, "param", ())
    async with AsyncExitStack() as stack:
        supervisor = EngineSupervisor(EngineOptions(ports=media_ports))
        await supervisor.start()
        stack.push_async_callback(supervisor.stop)
        engine = EngineClient(supervisor.socket)
        await engine.connect()
        stack.push_async_callback(engine.close)
        listeners = (Listener("udp", Transport.UDP, HOST, 0), Listener("tcp", Transport.TCP, HOST, 0))
        srs = SrsServer(SrsConfig(tmp_path / "kept", listeners, free_floor=0), engine, SystemClock(), Ids())
        await srs.start()
        stack.push_async_callback(srs.close)
        phones = [SipPhone("alice", speech=CALLER, srtp=suites), SipPhone("bob", speech=AGENT)]
        for phone in phones:
            await phone.start()
            stack.push_async_callback(phone.close)
        alice, bob = phones
        app = await stack.enter_async_context(WebhookApp(""))
        callback = app.url("/callback")
        numbers = [
            NUMBER.format(number=number, connector=connector, callback=callback, bob=bob.uri)
            for number, connector in (("out", "out"), ("bundled", "Default"))
        ]
        connector = CONNECTOR.format(host=HOST, port=srs.driver.addresses["tcp"][1])
        server = ServerProcess(tmp_path / "server", (), trunk=f"sip:{HOST}:9", extra=connector + "".join(numbers))
        await asyncio.to_thread(server.start)
        yield Stage(server, app, alice, bob, tmp_path / "kept")
        await asyncio.to_thread(server.stop)
        assert server.faults() == []


@pytest.mark.parametrize(
    "stage", [(), (CryptoSuite.AES_CM_128_HMAC_SHA1_80,)], indirect=True, ids=["plain", "one secure leg"]
)
async def test_a_recorded_call_survives_kill_9_without_losing_a_packet(stage: Stage) -> None:
    dialled, answered = await stage.connected("out")
    await stage.restart(dialled, answered)
    assert stage.call()["status"] == "in-progress"
    await stage.talk(dialled, answered)
    dialled.bye()
    assert await answered.ended() is EndCause.REMOTE_BYE
    there, back = dialled.transit_to(answered), answered.transit_to(dialled)
    assert there.sent > 50 * (WRITTEN_S + DEAD_S)
    assert (there.lost, there.duplicates, there.altered) == (0, 0, 0)
    # What a phone with SRTP hears before the answer with our key, it cannot read; what comes later the recording shows.
    assert (back.lost, back.duplicates) == (0, 0)
    stopped = await stage.app.wait_for(lambda one: one.parameter("SiprecEvent") == "siprec-stopped", PATIENCE_S)
    call_sid = str(stage.call()["sid"])
    assert stopped.parameter("CallSid") == call_sid
    call_id = _call_id(stage)
    speech = {"inbound": dialled.sent_samples(), "outbound": answered.sent_samples()}
    kept = await judge_recording(stage.recordings, call_id, speech, 10.0)
    assert kept.problems == []
    assert min(kept.packets.values()) > 50 * (WRITTEN_S + DEAD_S)
    assert all(stream["lost"] == 0 for stream in _manifest(stage)["streams"])
    assert stage.siprec_events() == {"siprec-started": 1, "siprec-stopped": 1}
    assert stage.call()["status"] == "completed"
    assert "= adopted" in stage.server.log


async def test_hold_rest_and_a_second_kill(stage: Stage) -> None:
    dialled, answered = await stage.connected("out")
    await stage.restart(dialled, answered)
    await dialled.hold()
    await answered.peer_offered(1)
    await _senders(stage, 1)
    await dialled.resume()
    await answered.peer_offered(2)
    await _senders(stage, 2)
    await stage.talk(dialled, answered)
    await asyncio.sleep(WRITTEN_S)
    await stage.restart(dialled, answered)
    await stage.talk(dialled, answered)
    path = f"/2010-04-01/Accounts/{stage.server.account_sid}/Calls/{stage.call()['sid']}"
    await asyncio.to_thread(_post, stage, f"{path}/Siprec/all.json", {"Status": "stopped"})
    await stage.app.wait_for(lambda one: one.parameter("SiprecEvent") == "siprec-stopped", PATIENCE_S)
    await asyncio.to_thread(_post, stage, f"{path}.json", {"Status": "completed"})
    assert await dialled.ended() is EndCause.REMOTE_BYE
    assert await answered.ended() is EndCause.REMOTE_BYE
    assert stage.siprec_events() == {"siprec-started": 1, "siprec-stopped": 1}


async def test_the_call_goes_on_when_the_bundled_server_died_too(stage: Stage) -> None:
    dialled, answered = await stage.connected("bundled")
    await stage.restart(dialled, answered)
    await stage.talk(dialled, answered)
    answered.bye()
    assert await dialled.ended() is EndCause.REMOTE_BYE
    assert dialled.transit_to(answered).clean
    await stage.app.wait_for(lambda one: one.parameter("SiprecEvent") == "siprec-stopped", PATIENCE_S)
    assert stage.siprec_events() == {"siprec-started": 1, "siprec-stopped": 1}
    async with asyncio.timeout(PATIENCE_S):
        while len(kept := _finished(stage.server.recordings)) < 2:
            await asyncio.sleep(0.05)
    first, second = sorted(kept, key=lambda one: str(one[1]["started"]))
    assert (first[1]["state"], second[1]["state"]) == ("interrupted", "complete")
    heard = 0
    for folder, manifest in (first, second):
        for channel, said in zip(
            read_channels(folder / manifest["audio"]), (dialled.sent_samples(), answered.sent_samples()), strict=True
        ):
            assert compare(channel, said).whole, (folder, compare(channel, said))
        heard += channel.size
    # The first goes on in the engine while nobody is there: what is missing is only what the next start takes to
    # invite the second, less than it takes to start.
    assert first[1]["duration_ms"] > 1000 * (WRITTEN_S + DEAD_S)
    assert heard > 8000 * (WRITTEN_S + DEAD_S) + 160 * TALK_PACKETS / 2


async def test_a_call_that_was_answered_a_moment_before_goes_on(stage: Stage) -> None:
    dialled = stage.alice.call(f"sip:out@{stage.server.sip_address}")
    answered = await stage.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    await asyncio.sleep(YOUNG_S)
    await asyncio.to_thread(stage.server.kill)
    await asyncio.to_thread(stage.server.start)
    await stage.talk(dialled, answered)
    assert stage.call()["status"] == "in-progress"
    dialled.bye()
    assert await answered.ended() is EndCause.REMOTE_BYE


async def test_a_call_that_rings_is_ended_in_order(stage: Stage) -> None:
    dialled = stage.alice.call(f"sip:out@{stage.server.sip_address}")
    rings = await stage.bob.wait_for_call()
    rings.ring()
    await dialled.ringing()
    await asyncio.sleep(WRITTEN_S)
    await asyncio.to_thread(stage.server.kill)
    await asyncio.to_thread(stage.server.start)
    assert await dialled.ended() is EndCause.REJECTED
    assert dialled.status == 500
    assert await rings.ended() is EndCause.CANCELLED
    assert stage.call()["status"] == "failed"


def _finished(recordings: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Folder and manifest of each recording that is whole."""
    found = [(path.parent, json.loads(path.read_text())) for path in recordings.glob("*/manifest.json")]
    return [one for one in found if one[1]["audio"] is not None]


async def _senders(stage: Stage, count: int) -> None:
    """Wait until the latest metadata say that so many parties send: one while the other is on hold."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            latest = max(_manifest_path(stage).parent.glob("metadata-*.xml"))
            if latest.read_text().count("<send>") == count:
                return
            await asyncio.sleep(0.05)


def _call_id(stage: Stage) -> str:
    return str(_manifest(stage)["sip_call_id"])


def _manifest_path(stage: Stage) -> Path:
    (path,) = stage.recordings.glob("*/manifest.json")
    return path


def _manifest(stage: Stage) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(_manifest_path(stage).read_text())
    return found


def _post(stage: Stage, path: str, form: dict[str, str]) -> None:
    token = b64encode(f"{stage.server.account_sid}:{stage.server.auth_token}".encode()).decode()
    url = f"{stage.server.base_url}{path}"
    request = Request(url, urlencode(form).encode(), {"Authorization": f"Basic {token}"})
    with urlopen(request, timeout=10):
        pass
