from urllib.parse import quote

import httpx
import pytest

from sidestream.accounts.account import Account
from sidestream.api.forms import Form
from sidestream.api.siprecs import start_siprec
from sidestream.calls.record import CallRecord, CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import StartSiprec
from sidestream.testing.fake_front import FakeFront

SIPREC_KEYS = {"sid", "account_sid", "call_sid", "name", "status", "date_updated", "uri"}


@pytest.fixture
def call(front: FakeFront, account: Account) -> CallRecord:
    return front.add_call(account)


def test_no_field_is_required() -> None:
    assert start_siprec(Form()) == StartSiprec()


def test_full_form() -> None:
    pairs = (
        ("Name", "a/b?c é"),
        ("ConnectorName", "srs1"),
        ("Track", "inbound_track"),
        ("StatusCallback", "https://app.example/cb"),
        ("StatusCallbackMethod", "get"),
        ("Parameter1.Name", "Role"),
        ("Parameter1.Value", "inbound"),
        ("Sequence", "ignored"),
    )
    assert start_siprec(Form(pairs)) == StartSiprec(
        name="a/b?c é",
        connector_name="srs1",
        track="inbound_track",
        status_callback="https://app.example/cb",
        status_callback_method="GET",
        parameters=(("Role", "inbound"),),
    )


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Track", "both", 31941),
        ("StatusCallback", "nowhere", 21205),
        ("StatusCallbackMethod", "PUT", 21209),
        ("Name", "a\nb", 20001),
        ("Name", "x" * 257, 20001),
    ],
)
def test_each_bad_field_has_its_code(field: str, value: str, code: int) -> None:
    with pytest.raises(Refusal) as caught:
        start_siprec(Form(((field, value),)))
    assert (caught.value.status, caught.value.code) == (400, code)
    assert caught.value.message.startswith(field)


async def test_create_with_an_empty_body(client: httpx.AsyncClient, call: CallRecord) -> None:
    response = await client.post(f"/Calls/{call.sid}/Siprec.json")
    assert response.status_code == 200
    body = response.json()
    assert set(body) == SIPREC_KEYS
    assert (body["status"], body["name"], body["call_sid"]) == ("in-progress", None, call.sid)
    assert body["uri"].endswith(f"/Calls/{call.sid}/Siprec/{body['sid']}.json")


@pytest.mark.parametrize(
    ("form", "code"),
    [({"ConnectorName": "nowhere"}, 31940), ({"Track": "left"}, 31941), ({"Name": "taken"}, 20001)],
)
async def test_create_refusals(client: httpx.AsyncClient, call: CallRecord, form: dict[str, str], code: int) -> None:
    await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Name": "taken"})
    response = await client.post(f"/Calls/{call.sid}/Siprec.json", data=form)
    assert (response.status_code, response.json()["code"], response.json()["status"]) == (400, code, 400)


async def test_a_fifth_fork_and_a_call_not_in_progress(
    client: httpx.AsyncClient, call: CallRecord, front: FakeFront, account: Account
) -> None:
    for _ in range(2):
        assert (await client.post(f"/Calls/{call.sid}/Siprec.json")).status_code == 200
    response = await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Track": "inbound_track"})
    assert (response.status_code, response.json()["code"]) == (400, 31960)
    ringing = front.add_call(account, CallStatus.RINGING)
    response = await client.post(f"/Calls/{ringing.sid}/Siprec.json")
    assert (response.status_code, response.json()["code"]) == (400, 21220)


async def test_the_call_is_looked_for_before_the_form_is_judged(client: httpx.AsyncClient) -> None:
    response = await client.post(f"/Calls/CA{'0' * 32}/Siprec.json", data={"Track": "left"})
    assert (response.status_code, response.json()["code"]) == (404, 20404)


async def test_the_siprec_is_looked_for_before_the_form_is_judged(client: httpx.AsyncClient, call: CallRecord) -> None:
    response = await client.post(f"/Calls/{call.sid}/Siprec/nobody.json")
    assert (response.status_code, response.json()["code"]) == (404, 20404)


@pytest.mark.parametrize("form", [{}, {"Status": "Stopped"}, {"Status": "in-progress"}])
async def test_status_stopped_is_required(client: httpx.AsyncClient, call: CallRecord, form: dict[str, str]) -> None:
    sid = (await client.post(f"/Calls/{call.sid}/Siprec.json")).json()["sid"]
    response = await client.post(f"/Calls/{call.sid}/Siprec/{sid}.json", data=form)
    assert (response.status_code, response.json()["code"]) == (400, 20001)
    assert "Status" in response.json()["message"]


@pytest.mark.parametrize(
    "name", ["plain", "two words", "a/b", "50%", "a+b", "c.json", "dé", "e?f", "g#h", "../x", "i//j"]
)
async def test_stop_by_name_with_whatever_the_name_holds(
    client: httpx.AsyncClient, call: CallRecord, name: str
) -> None:
    created = (await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Name": name})).json()
    response = await client.post(f"/Calls/{call.sid}/Siprec/{quote(name, safe='')}.json", data={"Status": "stopped"})
    assert response.status_code == 200
    body = response.json()
    assert (body["sid"], body["name"], body["status"]) == (created["sid"], name, "stopped")
    assert body["uri"].endswith(f"/Siprec/{created['sid']}.json")


async def test_the_suffix_may_be_left_out(client: httpx.AsyncClient, call: CallRecord) -> None:
    await client.post(f"/Calls/{call.sid}/Siprec", data={"Name": "n"})
    assert (await client.get(f"/Calls/{call.sid}/Siprec/n")).json()["name"] == "n"
    assert (await client.get(f"/Calls/{call.sid}")).json()["sid"] == call.sid


async def test_a_slash_may_arrive_unescaped(client: httpx.AsyncClient, call: CallRecord) -> None:
    await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Name": "a/b"})
    response = await client.post(f"/Calls/{call.sid}/Siprec/a/b.json", data={"Status": "stopped"})
    assert (response.status_code, response.json()["name"]) == (200, "a/b")


async def test_the_path_is_decoded_once(client: httpx.AsyncClient, call: CallRecord) -> None:
    await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Name": "%41"})
    assert (await client.get(f"/Calls/{call.sid}/Siprec/%2541.json")).json()["name"] == "%41"
    assert (await client.get(f"/Calls/{call.sid}/Siprec/%41.json")).status_code == 404


async def test_stopping_twice_answers_the_same(client: httpx.AsyncClient, call: CallRecord) -> None:
    sid = (await client.post(f"/Calls/{call.sid}/Siprec.json", data={"Name": "n"})).json()["sid"]
    first = await client.post(f"/Calls/{call.sid}/Siprec/n.json", data={"Status": "stopped"})
    second = await client.post(f"/Calls/{call.sid}/Siprec/n.json", data={"Status": "stopped"})
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert (await client.get(f"/Calls/{call.sid}/Siprec/{sid}.json")).json() == second.json()


async def test_list_has_the_page_keys_and_newest_first(client: httpx.AsyncClient, call: CallRecord) -> None:
    sids = [
        (await client.post(f"/Calls/{call.sid}/Siprec", data={"Track": "inbound_track"})).json()["sid"]
        for _ in range(3)
    ]
    body = (await client.get(f"/Calls/{call.sid}/Siprec.json?PageSize=2")).json()
    assert set(body) == {
        *("end", "first_page_uri", "next_page_uri", "page", "page_size", "previous_page_uri", "siprecs", "start", "uri")
    }
    assert [siprec["sid"] for siprec in body["siprecs"]] == sids[:0:-1]
    assert all(set(siprec) == SIPREC_KEYS for siprec in body["siprecs"])
    assert body["next_page_uri"].endswith(f"/Calls/{call.sid}/Siprec.json?PageSize=2&Page=1")


async def test_the_list_of_an_unknown_call_is_404(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/Calls/CA{'0' * 32}/Siprec.json")).status_code == 404
