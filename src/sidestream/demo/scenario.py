"""The demo's call, step by step: dial, fork, stop by REST, fork again by REST, hang up, judge what was recorded."""

import asyncio
import platform as machine
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import aiohttp

from sidestream import __version__
from sidestream.base.ids import Ids
from sidestream.demo.judgement import judge_callbacks, judge_recording
from sidestream.demo.report import LABELS, CallbackReport, RelayReport, Report, SiprecReport
from sidestream.demo.server import DemoServer
from sidestream.testing.phone.call import PhoneCall
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER
from sidestream.testing.webhook_app import Received, WebhookApp

FIRST = "first"  # the Siprec that TwiML starts
SECOND = "second"  # the one that the API starts
TALK_S = 3.0  # of speech in each recording: long enough to hear, short enough to wait for
RING_S = 0.3
SETTLE_S = 10.0  # the longest wait for a callback or a finished recording on a loaded machine

_CONNECTOR = "Default"
_VOICE_PATH = "/voice"
_SIPREC_PATH = "/siprec"


class StepFailed(Exception):
    """The demo could not go on. `step` says at what."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(step, reason)
        self.step = step
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.step}: {self.reason}"


class Demo:
    """One run in `directory`. `run` makes the call and returns the report; the server stays up until `close`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ids = Ids()
        self._token = self._ids.auth_token()
        self._app = WebhookApp(self._token)
        self._caller = SipPhone("alice", speech=CALLER)
        self._agent = SipPhone("desk", speech=AGENT)
        self._server: DemoServer | None = None
        self._problems: list[str] = []

    async def run(self) -> Report:
        """Never raises for what goes wrong in the demo itself: the report's problems say it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        await self._app.start()
        await self._caller.start()
        await self._agent.start()
        server = DemoServer(
            self._directory.absolute(), self._ids, voice_url=self._app.url(_VOICE_PATH), auth_token=self._token
        )
        self._server = server
        await server.start()
        self._app.answer(_VOICE_PATH, self._twiml())
        basic = aiohttp.BasicAuth(server.account_sid, server.auth_token)
        async with aiohttp.ClientSession(auth=basic) as http:
            try:
                return await self._call(server, http)
            except (StepFailed, TimeoutError, aiohttp.ClientError, OSError) as error:
                self._problems.append(str(error) or type(error).__name__)
                return Report(
                    None, (), self._callbacks(), None, _versions(), server.console_url, server.api_url, self._found()
                )

    async def close(self) -> None:
        """End everything that the run started. Idempotent."""
        await self._caller.close()
        await self._agent.close()
        if self._server is not None:
            await self._server.stop()
        await self._app.close()

    def _twiml(self) -> str:
        # answerOnBridge: both phones then speak from the first sample on, with no ringing tone of ours in between.
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <Start>
    <Siprec name="{FIRST}" connectorName="{_CONNECTOR}" track="both_tracks" statusCallback="{_SIPREC_PATH}">
      <Parameter name="Role" value="inbound"/>
      <Parameter name="CallerDisplayName" value="Alice &amp; Sons"/>
    </Siprec>
  </Start>
  <Dial answerOnBridge="true"><Sip>{self._agent.uri}</Sip></Dial>
</Response>"""

    async def _call(self, server: DemoServer, http: aiohttp.ClientSession) -> Report:
        dialled = self._caller.call(server.sip_uri("1000"))
        answered = await self._agent.wait_for_call()
        answered.ring()
        await asyncio.sleep(RING_S)
        answered.answer()
        await dialled.answered()
        started = await self._callback(FIRST, "siprec-started")
        call_sid, first_sid = started.parameter("CallSid") or "", started.parameter("SiprecSid") or ""
        await asyncio.sleep(TALK_S)

        siprec_url = f"{server.api_url}/2010-04-01/Accounts/{server.account_sid}/Calls/{call_sid}/Siprec"
        await _post(http, f"{siprec_url}/{first_sid}.json", {"Status": "stopped"}, "stop the first Siprec by its SID")
        await self._callback(FIRST, "siprec-stopped")
        form = {
            "Name": SECOND,
            "ConnectorName": _CONNECTOR,
            "Track": "both_tracks",
            "StatusCallback": self._app.url(_SIPREC_PATH),
            "Parameter1.Name": "Role",
            "Parameter1.Value": "inbound",
        }
        created = await _post(http, f"{siprec_url}.json", form, "start a second Siprec by name")
        await self._callback(SECOND, "siprec-started")
        await asyncio.sleep(TALK_S)
        dialled.bye()
        await asyncio.wait_for(answered.ended(), SETTLE_S)
        await self._callback(SECOND, "siprec-stopped")
        return await self._judge(server, http, call_sid, [first_sid, created["sid"]], dialled, answered)

    async def _callback(self, name: str, event: str) -> Received:
        def is_it(received: Received) -> bool:
            return received.parameter("SiprecName") == name and received.parameter("SiprecEvent") == event

        try:
            return await self._app.wait_for(is_it, SETTLE_S)
        except TimeoutError:
            raise StepFailed(f"callback {event} of '{name}'", f"did not come within {SETTLE_S:.0f} s") from None

    async def _judge(
        self,
        server: DemoServer,
        http: aiohttp.ClientSession,
        call_sid: str,
        sids: list[str],
        dialled: PhoneCall,
        answered: PhoneCall,
    ) -> Report:
        detail = await _get(http, f"{server.api_url}/sidestream/v1/Calls/{call_sid}", "read the call")
        engine = await _get(http, f"{server.api_url}/sidestream/v1/Media", "read the media engine's statistics")
        by_sid = {siprec["sid"]: siprec for siprec in detail["siprecs"]}
        speech = {"inbound": dialled.sent_samples(), "outbound": answered.sent_samples()}
        reports = []
        for sid in sids:
            siprec = by_sid[sid]
            recording = await judge_recording(server.recordings, siprec["sip_call_id"], speech, SETTLE_S)
            self._problems += [f"{siprec['name']}: {problem}" for problem in recording.problems]
            report = SiprecReport(
                sid=sid,
                name=siprec["name"],
                started_by=siprec["started_by"],
                stopped_by=siprec["stopped_by"],
                packets_sent=siprec["packets_sent"],
                packets_recorded=recording.packets,
                invite_ms=siprec["invite_ms"],
                first_packet_ms=siprec["first_packet_ms"],
                wav=recording.wav,
                metadata=recording.metadata,
                manifest=recording.manifest,
            )
            for label in LABELS:
                sent, kept = report.packets_sent.get(label, 0), report.packets_recorded.get(label, 0)
                if not sent or sent != kept:
                    self._problems.append(f"{report.name}: {sent} packets sent for {label}, {kept} recorded")
            reports.append(report)
        callbacks = self._callbacks()
        self._problems += judge_callbacks(callbacks, {FIRST: sids[0], SECOND: sids[1]}, call_sid, server.account_sid)
        there, back = dialled.transit_to(answered), answered.transit_to(dialled)
        relay = RelayReport(
            packets=there.sent + back.sent,
            loss=there.lost + back.lost,
            added_latency_p50_ms=round(engine["latency_p50_us"] / 1000, 3),
            added_latency_p99_ms=round(engine["latency_p99_us"] / 1000, 3),
        )
        if not (there.clean and back.clean):
            self._problems.append(f"the call's own audio was harmed: {there}, {back}")
        return Report(
            call_sid=call_sid,
            siprecs=tuple(reports),
            callbacks=callbacks,
            relay=relay,
            versions=_versions(),
            console=server.console_url,
            api=server.api_url,
            problems=self._found(),
        )

    def _callbacks(self) -> tuple[CallbackReport, ...]:
        return tuple(
            CallbackReport(
                event=received.parameter("SiprecEvent") or "",
                sequence=int(received.parameter("SequenceNumber") or -1),
                signature_valid=received.signature_valid,
                parameters=dict(received.parameters),
            )
            for received in self._app.to(_SIPREC_PATH)
        )

    def _found(self) -> tuple[str, ...]:
        return tuple(self._problems)


async def _post(http: aiohttp.ClientSession, url: str, form: dict[str, str], step: str) -> dict[str, Any]:
    async with http.post(url, data=form) as response:
        return await _json(response, step)


async def _get(http: aiohttp.ClientSession, url: str, step: str) -> dict[str, Any]:
    async with http.get(url) as response:
        return await _json(response, step)


async def _json(response: aiohttp.ClientResponse, step: str) -> dict[str, Any]:
    body: dict[str, Any] = await response.json(content_type=None)
    if response.status != 200:
        raise StepFailed(step, f"HTTP {response.status}: {body}")
    return body


def _versions() -> dict[str, str]:
    return {
        "sidestream": __version__,
        "python": machine.python_version(),
        "kernel": machine.release(),
        "uvloop": installed_version("uvloop"),
    }
