import pytest

from sidestream.api.forms import Form
from sidestream.api.pages import page, page_request
from sidestream.calls.refusal import Refusal

KEYS = {
    "end",
    "first_page_uri",
    "next_page_uri",
    "page",
    "page_size",
    "previous_page_uri",
    "calls",
    "start",
    "uri",
}
PATH = "/2010-04-01/Accounts/AC1/Calls.json"


def items(count: int) -> list[dict[str, object]]:
    return [{"sid": number} for number in range(count)]


def test_defaults() -> None:
    request = page_request(Form())
    assert (request.number, request.size, request.offset, request.limit) == (0, 50, 0, 51)


def test_the_only_page() -> None:
    body = page("calls", PATH, page_request(Form()), items(2))
    assert set(body) == KEYS
    assert body["calls"] == items(2)
    assert (body["page"], body["page_size"], body["start"], body["end"]) == (0, 50, 0, 1)
    assert body["next_page_uri"] is None
    assert body["previous_page_uri"] is None
    assert body["uri"] == body["first_page_uri"] == f"{PATH}?PageSize=50&Page=0"


def test_a_page_in_the_middle_shows_one_less_than_was_found() -> None:
    request = page_request(Form((("PageSize", "2"), ("Page", "3"), ("PageToken", "PAx"))))
    assert (request.offset, request.limit) == (6, 3)
    body = page("calls", PATH, request, items(3))
    assert body["calls"] == items(2)
    assert (body["start"], body["end"]) == (6, 7)
    assert body["next_page_uri"] == f"{PATH}?PageSize=2&Page=4"
    assert body["previous_page_uri"] == f"{PATH}?PageSize=2&Page=2"
    assert body["first_page_uri"] == f"{PATH}?PageSize=2&Page=0"


def test_an_empty_page_starts_and_ends_at_its_offset() -> None:
    body = page("calls", PATH, page_request(Form((("Page", "1"),))), [])
    assert (body["start"], body["end"], body["calls"]) == (50, 50, [])


def test_uris_repeat_the_filters_percent_encoded() -> None:
    query = Form((("StartTime<", "2026-03-02"), ("To", "+1 4"), ("PageSize", "5")))
    body = page("calls", PATH, page_request(query), [])
    assert body["uri"] == f"{PATH}?StartTime%3C=2026-03-02&To=%2B1%204&PageSize=5&Page=0"


@pytest.mark.parametrize("size", ["1001", "99999999999999999999999"])
def test_a_page_size_over_1000_is_20007(size: str) -> None:
    with pytest.raises(Refusal) as caught:
        page_request(Form((("PageSize", size),)))
    assert (caught.value.status, caught.value.code) == (400, 20007)


@pytest.mark.parametrize(("name", "value"), [("PageSize", "0"), ("PageSize", ""), ("PageSize", "x"), ("Page", "-1")])
def test_other_bad_page_fields_are_20001(name: str, value: str) -> None:
    with pytest.raises(Refusal) as caught:
        page_request(Form(((name, value),)))
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert caught.value.message.startswith(name)
