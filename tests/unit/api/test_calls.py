from datetime import UTC, datetime

import httpx
import pytest

from sidestream.accounts.account import Account
from sidestream.api.calls import call_filter, create_call, update_call
from sidestream.api.forms import Form, parse_form
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import CreateCall, Instructions, UpdateCall
from sidestream.testing.fake_front import FakeFront

MINIMAL = (("To", "+14155550142"), ("From", "+14155550199"), ("Url", "https://app.example/voice"))


def code_of(*pairs: tuple[str, str]) -> int:
    with pytest.raises(Refusal) as caught:
        create_call(Form(MINIMAL + pairs))
    assert caught.value.status == 400
    return caught.value.code


def test_minimal_create_form_gets_the_documented_defaults() -> None:
    assert create_call(Form(MINIMAL)) == CreateCall(
        to="+14155550142",
        from_="+14155550199",
        instructions=Instructions(url="https://app.example/voice", method="POST", fallback_method="POST"),
        timeout=60,
        status_callback_method="POST",
        status_callback_events=("completed",),
    )


def test_full_create_form() -> None:
    more = (
        ("Method", "get"),
        ("FallbackUrl", "https://app.example/fallback"),
        ("FallbackMethod", "GET"),
        ("Twiml", "<Response/>"),
        ("Timeout", "20"),
        ("TimeLimit", "3600"),
        ("StatusCallback", "https://app.example/status"),
        ("StatusCallbackMethod", "GET"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "initiated ringing"),
        ("StatusCallbackEvent", "exploded"),
        ("CallerId", "+14155550111"),
        ("SendDigits", "ww1234#"),
        ("SipAuthUsername", "ada"),
        ("SipAuthPassword", "secret"),
        ("Unknown", "ignored"),
    )
    assert create_call(Form(MINIMAL + more)) == CreateCall(
        to="+14155550142",
        from_="+14155550199",
        instructions=Instructions(
            url="https://app.example/voice",
            method="GET",
            fallback_url="https://app.example/fallback",
            fallback_method="GET",
            twiml="<Response/>",
            digits="ww1234#",
        ),
        caller_id="+14155550111",
        timeout=20,
        time_limit=3600,
        status_callback="https://app.example/status",
        status_callback_method="GET",
        status_callback_events=("initiated", "ringing", "answered"),
        sip_auth_username="ada",
        sip_auth_password="secret",
    )


def test_only_unknown_events_leave_the_default() -> None:
    wanted = create_call(Form((*MINIMAL, ("StatusCallbackEvent", "exploded"))))
    assert wanted.status_callback_events == ("completed",)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Url", "app.example", 21205),
        ("FallbackUrl", "app.example", 21205),
        ("StatusCallback", "mailto:a@b", 21205),
        ("Method", "PUT", 21209),
        ("FallbackMethod", "PUT", 21209),
        ("StatusCallbackMethod", "PUT", 21209),
        ("Timeout", "601", 20001),
        ("Timeout", "0", 20001),
        ("TimeLimit", "86401", 20001),
        ("SendDigits", "1" * 33, 21206),
        ("SendDigits", "12x", 21206),
        ("SendDigits", "1,2", 21206),
        ("To", "nobody", 21211),
        ("From", "nobody", 21212),
    ],
)
def test_each_bad_field_has_its_code(field: str, value: str, code: int) -> None:
    assert code_of((field, value)) == code


def test_instructions_are_required() -> None:
    with pytest.raises(Refusal) as caught:
        create_call(Form(MINIMAL[:2]))
    assert caught.value.code == 21205
    with pytest.raises(Refusal) as caught:
        create_call(Form((*MINIMAL[:2], ("ApplicationSid", "AP" + "0" * 32))))
    assert caught.value.code == 21218


def test_inline_twiml_has_a_limit_unless_url_makes_it_moot() -> None:
    assert create_call(Form((*MINIMAL[:2], ("Twiml", "é" * 4000)))).instructions.twiml == "é" * 4000
    with pytest.raises(Refusal) as caught:
        create_call(Form((*MINIMAL[:2], ("Twiml", "x" * 4001))))
    assert caught.value.code == 32018
    assert create_call(Form((*MINIMAL, ("Twiml", "x" * 4001)))).instructions.url == "https://app.example/voice"


def test_update_form() -> None:
    assert update_call(Form()) == UpdateCall()
    assert update_call(Form((("Status", "completed"), ("TimeLimit", "5")))) == UpdateCall(
        status=CallStatus.COMPLETED, time_limit=5
    )
    assert update_call(Form((("Url", "http://a/"), ("Method", "GET")))) == UpdateCall(
        instructions=Instructions(url="http://a/", method="GET")
    )
    with pytest.raises(Refusal) as caught:
        update_call(Form((("Status", "busy"),)))
    assert caught.value.code == 20001


def test_list_filters() -> None:
    query = parse_form(
        b"To=%2B1&From=sip:a@b&ParentCallSid=CA1&Status=busy&StartTime%3C=2026-03-02&EndTime>=2026-03-01", ""
    )
    assert call_filter(query) == CallFilter(
        to="+1",
        from_="sip:a@b",
        parent_call_sid="CA1",
        status=CallStatus.BUSY,
        started_before=datetime(2026, 3, 2, tzinfo=UTC),
        ended_after=datetime(2026, 3, 1, tzinfo=UTC),
    )
    assert call_filter(Form()) == CallFilter()
    with pytest.raises(Refusal):
        call_filter(Form((("Status", "gone"),)))


async def test_create_answers_201_with_the_call(client: httpx.AsyncClient, front: FakeFront) -> None:
    response = await client.post("/Calls.json", data=dict(MINIMAL))
    assert response.status_code == 201
    body = response.json()
    assert front.calls[body["sid"]].to == "+14155550142"
    assert (body["status"], body["direction"], body["start_time"]) == ("queued", "outbound-api", None)


async def test_list_pages_through_all_calls_newest_first(
    client: httpx.AsyncClient, front: FakeFront, account: Account, other_account: Account
) -> None:
    sids = [front.add_call(account).sid for _ in range(5)]
    front.add_call(other_account)
    seen, uri = [], "/Calls.json?PageSize=2"
    response = await client.get(uri)
    while True:
        assert response.status_code == 200
        body = response.json()
        seen += [call["sid"] for call in body["calls"]]
        if body["next_page_uri"] is None:
            break
        response = await client.get(httpx.URL("http://api.test").join(body["next_page_uri"]))
    assert seen == sids[::-1]
    assert body["page"] == 2
    assert body["previous_page_uri"].endswith("/Calls.json?PageSize=2&Page=1")


async def test_fetch_update_and_delete(client: httpx.AsyncClient, front: FakeFront, account: Account) -> None:
    call = front.add_call(account)
    assert (await client.get(f"/Calls/{call.sid}.json")).json()["status"] == "in-progress"
    unfinished = await client.delete(f"/Calls/{call.sid}.json")
    assert (unfinished.status_code, unfinished.json()["code"]) == (400, 20009)
    ended = await client.post(f"/Calls/{call.sid}.json", data={"Status": "completed"})
    assert (ended.status_code, ended.json()["status"]) == (200, "completed")
    again = await client.post(f"/Calls/{call.sid}.json", data={"Url": "http://a/"})
    assert (again.status_code, again.json()["code"]) == (400, 21220)
    gone = await client.delete(f"/Calls/{call.sid}.json")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get(f"/Calls/{call.sid}.json")).status_code == 404


async def test_an_unknown_call_comes_before_a_bad_form(client: httpx.AsyncClient) -> None:
    response = await client.post(f"/Calls/CA{'0' * 32}.json", data={"Status": "busy"})
    assert (response.status_code, response.json()["code"]) == (404, 20404)
