"""The published client libraries drive the API with nothing changed but their base URL."""

import asyncio
import json
import os
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.api.routes import create_api
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import CreateCall, StartSiprec
from sidestream.testing.fake_front import START, FakeFront

pytestmark = pytest.mark.interop

NODE_PROJECT = Path(__file__).parent / "node"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sidestream"
INSTALL_SECONDS = 300  # a first `npm ci` on a slow line
ACCOUNT = Account(sid="AC" + "1" * 32, auth_token="t" * 32)


@pytest.fixture
def front() -> FakeFront:
    return FakeFront(Ids(random.Random(11)))


@pytest.fixture
async def base_url(front: FakeFront) -> AsyncIterator[str]:
    """The API behind a real HTTP server on loopback."""
    app = Starlette(routes=create_api(front, AccountBook([ACCOUNT]), clock=SystemClock(), ids=Ids(random.Random(3))))
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


def python_client(base_url: str, token: str = ACCOUNT.auth_token) -> Client:
    client = Client(ACCOUNT.sid, token)
    client.api.base_url = base_url
    return client


async def test_python_starts_and_stops_siprecs(base_url: str, front: FakeFront) -> None:
    call = front.add_call(ACCOUNT)

    def drive() -> None:
        siprecs = python_client(base_url).calls(call.sid).siprec
        created = siprecs.create(
            name="a/b 50%",
            connector_name="Default",
            track="both_tracks",
            status_callback="https://app.example/cb",
            status_callback_method="POST",
            parameter1_name="Role",
            parameter1_value="in bound",
            parameter2_name="Name",
            parameter2_value="Marsh & Söhne",
        )
        assert (created.status, created.name, created.call_sid) == ("in-progress", "a/b 50%", call.sid)
        assert created.date_updated == START
        assert created.uri.endswith(f"/Siprec/{created.sid}.json")
        by_name = python_client(base_url).calls(call.sid).siprec("a/b 50%").update(status="stopped")
        assert (by_name.sid, by_name.status) == (created.sid, "stopped")
        unnamed = siprecs.create()
        assert unnamed.name is None
        by_sid = python_client(base_url).calls(call.sid).siprec(unnamed.sid).update(status="stopped")
        assert (by_sid.sid, by_sid.status) == (unnamed.sid, "stopped")
        again = python_client(base_url).calls(call.sid).siprec(unnamed.sid).update(status="stopped")
        assert again.status == "stopped"

    await asyncio.to_thread(drive)
    assert front.asked[0] == StartSiprec(
        name="a/b 50%",
        connector_name="Default",
        track="both_tracks",
        status_callback="https://app.example/cb",
        status_callback_method="POST",
        parameters=(("Role", "in bound"), ("Name", "Marsh & Söhne")),
    )
    assert front.asked[1] == StartSiprec()


async def test_python_reads_errors(base_url: str, front: FakeFront) -> None:
    call = front.add_call(ACCOUNT)

    def drive() -> None:
        client = python_client(base_url)
        with pytest.raises(TwilioRestException) as caught:
            client.calls(call.sid).siprec.create(connector_name="nowhere")
        assert (caught.value.status, caught.value.code) == (400, 31940)
        with pytest.raises(TwilioRestException) as caught:
            client.calls(call.sid).siprec("nobody").update(status="stopped")
        assert (caught.value.status, caught.value.code) == (404, 20404)
        with pytest.raises(TwilioRestException) as caught:
            python_client(base_url, "wrong").calls(call.sid).fetch()
        assert (caught.value.status, caught.value.code) == (401, 20003)
        with pytest.raises(TwilioRestException) as caught:
            client.calls.create(to="+14155550142", from_="+14155550199")
        assert (caught.value.status, caught.value.code) == (400, 21205)

    await asyncio.to_thread(drive)


async def test_python_places_pages_updates_and_deletes_calls(base_url: str, front: FakeFront) -> None:
    older = [front.add_call(ACCOUNT).sid for _ in range(6)]

    def drive() -> None:
        client = python_client(base_url)
        placed = client.calls.create(
            to="+14155550142",
            from_="+14155550199",
            twiml="<Response><Pause/></Response>",
            status_callback="https://app.example/status",
            status_callback_event=["initiated", "completed"],
            timeout=20,
        )
        assert (placed.status, placed.direction, placed.from_formatted) == ("queued", "outbound-api", "(415) 555-0199")
        assert [one.sid for one in client.calls.list(page_size=3)] == [placed.sid, *older[::-1]]
        assert [one.sid for one in client.calls.stream(page_size=2, limit=5)] == [placed.sid, *older[:1:-1]]
        client.calls.list(
            status="queued",
            start_time_after=datetime(2026, 3, 1, tzinfo=UTC),
            start_time_before=datetime(2026, 3, 3, 12, tzinfo=UTC),
        )
        first = client.calls(older[0])
        fetched = first.fetch()
        assert fetched.start_time == START
        assert fetched.subresource_uris["siprec"].endswith(f"/Calls/{older[0]}/Siprec.json")
        assert fetched.update(status="completed").status == "completed"
        assert first.fetch().duration == "0"
        assert first.delete() is True

    await asyncio.to_thread(drive)
    assert isinstance(front.asked[0], CreateCall)
    assert front.asked[0].status_callback_events == ("initiated", "completed")
    assert front.asked[0].timeout == 20
    assert (
        CallFilter(
            status=CallStatus.QUEUED,
            started_after=datetime(2026, 3, 1, tzinfo=UTC),
            started_before=datetime(2026, 3, 3, 12, tzinfo=UTC),
        )
        in front.asked
    )
    assert older[0] not in front.calls


@pytest.fixture
async def node_modules() -> Path:
    """The Node library as the lock file names it, installed once per lock file into the user's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    lock = (NODE_PROJECT / "package-lock.json").read_bytes()
    home = CACHE / f"node-{sha256(lock).hexdigest()[:16]}"
    if not (home / "complete").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(NODE_PROJECT / name, home / name)
        npm = await asyncio.create_subprocess_exec(
            *("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
            cwd=home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(npm.communicate(), INSTALL_SECONDS)
        if npm.returncode != 0:
            pytest.skip(f"npm could not install the client library: {output.decode()[-300:]}")
        (home / "complete").touch()
    return home / "node_modules"


@pytest.fixture
async def seen_by_node(base_url: str, front: FakeFront, node_modules: Path) -> dict[str, Any]:
    """What drive.js printed of its run against a call in progress, beside six older ones."""
    for _ in range(5):
        front.add_call(ACCOUNT)
    call = front.add_call(ACCOUNT)
    node = await asyncio.create_subprocess_exec(
        *("node", str(NODE_PROJECT / "drive.js"), base_url, ACCOUNT.sid, ACCOUNT.auth_token, call.sid),
        env={**os.environ, "NODE_PATH": str(node_modules)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(node.communicate(), 50)
    assert node.returncode == 0, errors.decode()
    seen: dict[str, Any] = json.loads(output)
    return seen


@pytest.mark.timeout(INSTALL_SECONDS + 60)
async def test_node_drives_calls_and_siprecs(seen_by_node: dict[str, Any], front: FakeFront) -> None:
    seen = seen_by_node
    assert (seen["created"]["status"], seen["created"]["name"]) == ("in-progress", "two words")
    assert seen["created"]["dateUpdated"] == "2026-03-02T09:15:04.000Z"
    assert front.asked[0] == StartSiprec(
        name="two words",
        connector_name="Default",
        track="inbound_track",
        status_callback="https://app.example/cb?x=1",
        status_callback_method="GET",
        parameters=(("Role", "inbound side"), ("Last", "é&=")),
    )
    assert (seen["stoppedByName"]["sid"], seen["stoppedByName"]["status"]) == (seen["created"]["sid"], "stopped")
    assert seen["stoppedBySid"]["status"] == "stopped"
    codes = {name: (error["status"], error["code"]) for name, error in seen["errors"].items()}
    assert codes == {
        "connector": (400, 31940),
        "track": (400, 31941),
        "unknown": (404, 20404),
        "credentials": (401, 20003),
        "to": (400, 21211),
    }
    assert seen["errors"]["track"]["moreInfo"].endswith("/31941")
    assert seen["fetched"]["startTime"] == "2026-03-02T09:15:04.000Z"
    assert seen["placed"]["to"] == "sip:desk@example.org"
    assert len(seen["paged"]) == 7
    assert seen["paged"][0] == seen["placed"]["sid"]
    assert seen["filtered"] == [seen["placed"]["sid"]]
    assert seen["ended"]["status"] == "completed"
    assert (seen["redirectEnded"]["status"], seen["redirectEnded"]["code"]) == (400, 21220)
    assert seen["removed"] is True
