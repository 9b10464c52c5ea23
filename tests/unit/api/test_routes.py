import io
import json
import re

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account import Account
from sidestream.base.logs import configure_logs
from sidestream.testing.fake_front import FakeFront


async def test_every_answer_carries_request_id_duration_and_cors(client: httpx.AsyncClient) -> None:
    for response in (await client.get("/Calls.json"), await client.get("/Nothing.json")):
        assert re.fullmatch("RQ[0-9a-f]{32}", response.headers["twilio-request-id"])
        assert response.headers["twilio-request-duration"] == "0.040"
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["content-type"] == "application/json"
    first, second = await client.get("/Calls.json"), await client.get("/Calls.json")
    assert first.headers["twilio-request-id"] != second.headers["twilio-request-id"]


@pytest.mark.parametrize("path", ["/Calls.json", "/Nothing.json"])
async def test_credentials_come_before_everything_else(client: httpx.AsyncClient, path: str, account: Account) -> None:
    for auth in [("AC" + "9" * 32, "x"), (account.sid, "wrong")]:
        response = await client.request("PUT", path, auth=auth)
        assert (response.status_code, response.json()["code"]) == (401, 20003)
        assert response.headers["www-authenticate"].startswith("Basic")


async def test_another_account_is_unknown(client: httpx.AsyncClient, other_account: Account) -> None:
    response = await client.get(f"http://api.test/2010-04-01/Accounts/{other_account.sid}/Calls.json")
    assert (response.status_code, response.json()["code"]) == (404, 20404)
    assert response.json()["message"].startswith(f"The requested resource /2010-04-01/Accounts/{other_account.sid}")


async def test_another_accounts_call_is_unknown(
    client: httpx.AsyncClient, front: FakeFront, other_account: Account
) -> None:
    call = front.add_call(other_account)
    assert (await client.get(f"/Calls/{call.sid}.json")).status_code == 404
    assert (await client.post(f"/Calls/{call.sid}/Siprec.json")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/Calls/CA12.json", "/Calls/nonsense", f"/Calls/CA{'0' * 32}/Siprec/", "/Calls.xml", "/Calls/", ""]
)
async def test_paths_that_name_nothing(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/Calls.json", "GET, POST, OPTIONS"),
        (f"/Calls/CA{'0' * 32}.json", "GET, POST, DELETE, OPTIONS"),
        (f"/Calls/CA{'0' * 32}/Siprec", "GET, POST, OPTIONS"),
        (f"/Calls/CA{'0' * 32}/Siprec/x.json", "GET, POST, OPTIONS"),
    ],
)
async def test_wrong_methods_and_preflights(client: httpx.AsyncClient, path: str, methods: str) -> None:
    wrong = await client.put(path)
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, 20004, methods)
    preflight = await client.options(path, auth=("nobody", "x"))
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-methods"] == methods
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


async def test_a_preflight_of_nothing_needs_credentials_like_any_other_request(client: httpx.AsyncClient) -> None:
    assert (await client.options("/Nothing.json", auth=("nobody", "x"))).status_code == 401


async def test_head_is_get_without_its_body(client: httpx.AsyncClient, front: FakeFront, account: Account) -> None:
    call = front.add_call(account)
    get, head = await client.get(f"/Calls/{call.sid}.json"), await client.head(f"/Calls/{call.sid}.json")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


async def test_odd_request_headers_of_client_libraries_do_no_harm(client: httpx.AsyncClient) -> None:
    headers = {"Accept-Encoding": "utf-8", "Accept": "application/json", "Accept-Charset": "utf-8"}
    assert (await client.get("/Calls.json", headers=headers)).status_code == 200


async def test_a_bad_query_string_is_a_clear_error(client: httpx.AsyncClient) -> None:
    response = await client.get("/Calls.json?To=%FF")
    assert (response.status_code, response.json()["code"]) == (400, 20001)


async def test_what_fails_unexpectedly_is_logged_and_not_shown(
    client: httpx.AsyncClient, front: FakeFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(front, "list_calls", broken)
    stream = io.StringIO()
    configure_logs(json=True, stream=stream)
    response = await client.get("/Calls.json")
    configure_logs()
    assert response.status_code == 500
    assert response.json() == {
        "code": 20500,
        "message": "An internal server error has occurred",
        "more_info": "https://www.twilio.com/docs/errors/20500",
        "status": 500,
    }
    (line,) = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert line["level"] == "error"
    assert "ZeroDivisionError: secret detail" in line["exception"]


async def test_paths_outside_the_prefix_are_left_to_others(app: Starlette) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api.test") as client:
        response = await client.get("/console")
    assert response.status_code == 404
    assert "twilio-request-id" not in response.headers


async def test_a_line_break_in_the_path_still_meets_the_api(client: httpx.AsyncClient) -> None:
    response = await client.get(f"/Calls/CA{'0' * 32}/Siprec/a%0Ab.json")
    assert json.loads(response.content)["code"] == 20404
