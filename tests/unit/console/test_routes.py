from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account_book import AccountBook
from sidestream.calls.record import CallRecord, CallStatus
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.console import routes
from sidestream.console.routes import create_console
from sidestream.storage.stores import Stores

from .conftest import ACCOUNT, EVIL, OTHER, call_record


async def test_the_root_leads_to_the_console(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/console")


@pytest.mark.parametrize("path", ["/console", "/console/calls/CA1", "/console/connectors"])
async def test_signing_in_is_needed(client: httpx.AsyncClient, path: str) -> None:
    for auth in [("AC" + "9" * 32, "x"), (ACCOUNT.sid, "wrong")]:
        response = await client.get(path, auth=auth)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic")
        assert ACCOUNT.sid not in response.text


async def test_an_account_without_calls(client: httpx.AsyncClient) -> None:
    page = (await client.get("/console")).text
    assert "No call has come in yet" in page
    assert "Marsh &amp; Sons" in page
    assert "no calls this far back" in (await client.get("/console?page=7")).text


async def test_the_list_shows_calls_siprecs_and_alerts(client: httpx.AsyncClient, full_call: CallRecord) -> None:
    page = (await client.get("/console")).text
    assert f'href="/console/calls/{full_call.sid}"' in page
    assert "1:03" in page
    assert "error 32011" in page
    assert "first" in page
    assert "Latest alerts" in page


async def test_connectors_are_shown_as_they_work_and_without_their_secrets(client: httpx.AsyncClient) -> None:
    page = (await client.get("/console/connectors")).text
    for expected in (
        *("<h2>primary</h2>", "sip:srs@srs.example.com;secure=true", "sip:srs@192.0.2.20;transport=tcp", "SRTP"),
        *(
            "<code>X-Key</code>",
            "<strong>80</strong>",
            "<dt>dtmf</dt><dd><strong>no</strong>",
            "AES_CM_128_HMAC_SHA1_80",
        ),
        *("For every account", "<dt>answer_timeout_s</dt><dd>10.0</dd>"),
    ):
        assert expected in page, expected
    assert "hunter" not in page
    assert EVIL not in page
    others = (await client.get("/console/connectors", auth=(OTHER.sid, OTHER.auth_token))).text
    assert "primary" not in others
    assert "192.0.2.21" in others


async def test_a_platform_without_connectors_says_where_they_are_made(stores: Stores) -> None:
    app = Starlette(routes=create_console(stores, AccountBook([ACCOUNT]), ConnectorBook()))
    transport = httpx.ASGITransport(app)
    auth = (ACCOUNT.sid, ACCOUNT.auth_token)
    async with httpx.AsyncClient(transport=transport, base_url="http://console.test", auth=auth) as client:
        assert "[[connectors]]" in (await client.get("/console/connectors")).text


async def test_a_call_shows_everything_it_did(client: httpx.AsyncClient, full_call: CallRecord) -> None:
    page = (await client.get(f"/console/calls/{full_call.sid}")).text
    for expected in (
        *("twiml.fetched", "+0.250 s", "siprec-started", "siprec-stopped", ">204<", ">pending<", "32011"),
        *('href="/recordings/RE1"', "12.3 ms", "5.7 ms", "inbound 9, outbound 7", "sip:srs@127.0.0.1:5070"),
        *("https://app.example:8443/cb?…", full_call.parent_call_sid or "", "by rest"),
    ):
        assert expected in page, expected
    assert page.index("first") < page.index("error 32011")


@pytest.mark.parametrize("path", ["/console", "/console/calls/{sid}"])
async def test_pages_escape_and_keep_secrets(client: httpx.AsyncClient, full_call: CallRecord, path: str) -> None:
    response = await client.get(path.format(sid=full_call.sid))
    assert EVIL not in response.text
    assert "&lt;script&gt;" in response.text
    for secret in ("hunter2", "hunter3", ACCOUNT.auth_token):
        assert secret not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "private, no-store"


async def test_another_accounts_call_is_not_there(client: httpx.AsyncClient, full_call: CallRecord) -> None:
    stranger = (OTHER.sid, OTHER.auth_token)
    assert (await client.get(f"/console/calls/{full_call.sid}", auth=stranger)).status_code == 404
    assert full_call.sid not in (await client.get("/console", auth=stranger)).text


async def test_what_is_in_progress_is_kept_up_to_date(
    client: httpx.AsyncClient, stores: Stores, full_call: CallRecord
) -> None:
    live, done = call_record(2), call_record(3, status=CallStatus.BUSY)
    stores.calls.save(live)
    stores.calls.save(done)
    assert "data-refresh" in (await client.get(f"/console/calls/{live.sid}")).text
    assert "data-refresh" not in (await client.get(f"/console/calls/{done.sid}")).text
    assert "data-refresh" in (await client.get(f"/console/calls/{full_call.sid}")).text  # a callback is pending
    assert "data-refresh" in (await client.get("/console")).text
    assert "data-refresh" not in (await client.get("/console?page=1")).text


async def test_the_list_has_pages(client: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "PAGE_SIZE", 2)
    for number in range(1, 4):
        stores.calls.save(call_record(number))
    first = (await client.get("/console?page=nonsense")).text
    assert [call_record(n).sid in first for n in (1, 2, 3)] == [False, True, True]
    assert 'href="/console?page=1"' in first
    second = (await client.get("/console?page=1")).text
    assert [call_record(n).sid in second for n in (1, 2, 3)] == [True, False, False]
    assert 'href="/console?page=0"' in second
    assert 'href="/console?page=2"' not in second


async def test_a_call_without_anything(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.calls.save(call_record(5))
    page = (await client.get(f"/console/calls/{call_record(5).sid}")).text
    for expected in ("No Siprec was started", "Nothing has happened yet", "no status callbacks", "None."):
        assert expected in page


async def test_without_a_recording_server_there_are_no_links(stores: Stores, full_call: CallRecord) -> None:
    app = Starlette(routes=create_console(stores, AccountBook([ACCOUNT]), ConnectorBook()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://c.test", auth=(ACCOUNT.sid, ACCOUNT.auth_token)
    ) as client:
        assert "/recordings/" not in (await client.get(f"/console/calls/{full_call.sid}")).text


@pytest.mark.parametrize(("name", "kind"), [("style.css", "text/css"), ("refresh.js", "text/javascript")])
async def test_static_files(client: httpx.AsyncClient, name: str, kind: str) -> None:
    response = await client.get(f"/console/static/{name}")
    assert response.headers["content-type"].startswith(kind)
    assert response.content == (Path(routes.__file__).parent / "static" / name).read_bytes()


async def test_other_files_are_not_served(client: httpx.AsyncClient) -> None:
    for name in ("routes.py", "..%2froutes.py", "none.css"):
        assert (await client.get(f"/console/static/{name}")).status_code == 404


def test_times_are_shown_in_utc() -> None:
    assert routes._clock(datetime(2026, 3, 2, 9, 15, 2, tzinfo=UTC)) == "2026-03-02 09:15:02"
    assert routes._clock(None) == ""
