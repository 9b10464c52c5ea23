from dataclasses import replace
from datetime import timedelta

import pytest

from sidestream.accounts.account import Account
from sidestream.api.shapes import call_shape, calls_path, formatted, siprec_shape, siprecs_path
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import StartSiprec
from sidestream.testing.fake_front import START, FakeFront

CALL_KEYS = {
    *("sid", "date_created", "date_updated", "parent_call_sid", "account_sid", "to", "to_formatted", "from"),
    *("from_formatted", "phone_number_sid", "status", "start_time", "end_time", "duration", "price", "price_unit"),
    *("direction", "answered_by", "api_version", "forwarded_from", "group_sid", "caller_name", "queue_time"),
    *("trunk_sid", "uri", "subresource_uris"),
}
SUBRESOURCES = {
    *("notifications", "recordings", "payments", "events", "siprec", "streams", "transcriptions"),
    *("user_defined_message_subscriptions", "user_defined_messages"),
}


def test_live_call(front: FakeFront, account: Account) -> None:
    call = front.add_call(account)
    shape = call_shape(call)
    assert set(shape) == CALL_KEYS
    assert set(shape["subresource_uris"]) == SUBRESOURCES
    base = f"/2010-04-01/Accounts/{account.sid}/Calls/{call.sid}"
    assert shape["uri"] == f"{base}.json"
    assert shape["subresource_uris"]["siprec"] == f"{base}/Siprec.json"
    assert shape["date_created"] == shape["start_time"] == "Mon, 02 Mar 2026 09:15:04 +0000"
    assert (shape["status"], shape["direction"], shape["api_version"]) == ("in-progress", "inbound", "2010-04-01")
    assert (shape["to"], shape["to_formatted"]) == ("+14155550142", "(415) 555-0142")
    assert shape["duration"] is shape["end_time"] is shape["price"] is None


def test_duration_of_an_ended_call_is_text(front: FakeFront, account: Account) -> None:
    ended = replace(front.add_call(account), status=CallStatus.COMPLETED, end_time=START + timedelta(seconds=61.9))
    assert call_shape(ended)["duration"] == "61"


async def test_siprec(front: FakeFront, account: Account) -> None:
    call = front.add_call(account)
    siprec = await front.start_siprec(account, call.sid, StartSiprec())
    assert siprec_shape(siprec) == {
        "sid": siprec.sid,
        "account_sid": account.sid,
        "call_sid": call.sid,
        "name": None,
        "status": "in-progress",
        "date_updated": "Mon, 02 Mar 2026 09:15:04 +0000",
        "uri": f"/2010-04-01/Accounts/{account.sid}/Calls/{call.sid}/Siprec/{siprec.sid}.json",
    }


def test_list_paths() -> None:
    assert calls_path("AC1") == "/2010-04-01/Accounts/AC1/Calls.json"
    assert siprecs_path("AC1", "CA2") == "/2010-04-01/Accounts/AC1/Calls/CA2/Siprec.json"


@pytest.mark.parametrize("address", ["+4930123456", "sip:a@b", "+1415555", "4155550142"])
def test_other_addresses_are_not_formatted(address: str) -> None:
    assert formatted(address) == address
