"""The published Python library and a live call, both against the real process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from sidestream.testing.webhook_app import Received, WebhookApp

from .conftest import DIAL, Stage
from .server_process import CALLEE_USER, HOST
from .sipp_process import Sipp

pytestmark = pytest.mark.interop


@pytest.fixture
def client(stage: Stage) -> Client:
    client = Client(stage.server.account_sid, stage.server.auth_token)
    client.api.base_url = stage.server.base_url
    return client


@pytest.fixture
async def app(stage: Stage) -> AsyncIterator[WebhookApp]:
    async with WebhookApp(stage.server.auth_token) as app:
        yield app


async def _live_call(client: Client, stage: Stage) -> str:
    """The SID of the call that is being talked on."""
    for _ in range(100):
        for call in await asyncio.to_thread(client.calls.list, status="in-progress"):
            if call.direction == "inbound":
                return str(call.sid)
        await asyncio.sleep(0.05)
    raise AssertionError(f"no live call:\n{stage.server.log[-6000:]}")


async def _event(app: WebhookApp, sid: str, event: str) -> Received:
    return await app.wait_for(
        lambda one: (one.parameter("SiprecSid"), one.parameter("SiprecEvent")) == (sid, event), 10
    )


async def test_siprecs_of_a_live_call(stage: Stage, client: Client, app: WebhookApp) -> None:
    async with AsyncExitStack() as peers:
        await _enter(peers, stage.play("callee_answers", stage.callee))
        await _enter(peers, stage.call("caller_is_hung_up", DIAL))
        sid = await _live_call(client, stage)
        siprecs = client.calls(sid).siprec

        named = await asyncio.to_thread(
            siprecs.create,
            name="audit",
            connector_name="Default",
            track="both_tracks",
            status_callback=app.url("/siprec"),
            parameter1_name="Role",
            parameter1_value="inbound",
        )
        assert (named.status, named.name, named.call_sid) == ("in-progress", "audit", sid)
        unnamed = await asyncio.to_thread(siprecs.create, status_callback=app.url("/siprec"), track="inbound_track")
        started = [await _event(app, one.sid, "siprec-started") for one in (named, unnamed)]

        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(siprecs.create, name="audit")
        assert refused.value.status == 400
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(siprecs.create, connector_name="nowhere")
        assert (refused.value.status, refused.value.code) == (400, 31940)

        stopped = await asyncio.to_thread(client.calls(sid).siprec("audit").update, status="stopped")
        assert (stopped.sid, stopped.status) == (named.sid, "stopped")
        ended = [await _event(app, named.sid, "siprec-stopped")]
        hung_up = await asyncio.to_thread(client.calls(sid).update, status="completed")
        assert hung_up.status == "completed"
        ended.append(await _event(app, unnamed.sid, "siprec-stopped"))
        assert all(one.signature_valid for one in (*started, *ended))
    again = await asyncio.to_thread(client.calls(sid).siprec(unnamed.sid).update, status="stopped")
    assert again.status == "stopped"


async def test_call_placed_by_the_library(stage: Stage, client: Client, app: WebhookApp) -> None:
    async with AsyncExitStack() as peers:
        await _enter(peers, stage.play("callee_answers", stage.callee))
        placed = await asyncio.to_thread(
            client.calls.create,
            to=f"sip:{CALLEE_USER}@{HOST}:{stage.callee}",
            from_="+14155550199",
            twiml="<Response><Pause length='1'/></Response>",
            status_callback=app.url("/call"),
            status_callback_event=["initiated", "ringing", "answered", "completed"],
        )
        told = [one.parameter("CallStatus") for one in await app.wait_for_count("/call", 4, 10)]
    assert told == ["initiated", "ringing", "in-progress", "completed"]
    assert all(one.signature_valid for one in app.to("/call"))
    fetched = await asyncio.to_thread(client.calls(placed.sid).fetch)
    assert (fetched.status, fetched.direction, fetched.duration) == ("completed", "outbound-api", "1")


async def test_calls_are_listed_in_pages(stage: Stage, client: Client) -> None:
    with stage.play("callee_is_busy", stage.callee, calls=5):
        await asyncio.to_thread(stage.call("caller_hears_busy", DIAL, calls=5).run)
    busy = await asyncio.to_thread(client.calls.list, status="busy", page_size=3)
    inbound = [call for call in busy if call.direction == "inbound"]
    assert len(inbound) >= 5
    assert len({call.sid for call in busy}) == len(busy)


async def _enter(peers: AsyncExitStack, sipp: Sipp) -> None:
    """Start a SIPp; its end is waited for in a thread, so that the application goes on to answer."""
    await asyncio.to_thread(sipp.__enter__)
    peers.push_async_exit(lambda *error: asyncio.to_thread(sipp.__exit__, *error))
