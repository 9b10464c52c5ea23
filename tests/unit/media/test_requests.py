from types import NoneType

import msgspec
import pytest

from sidestream.media.engine import MediaEngineError
from sidestream.media.protocol import Answer, ProtocolError, Refusal
from sidestream.media.requests import LOST, TIMEOUT, Requests


@pytest.fixture
async def requests():
    return Requests()


def ok(number: int, value: bytes = b"{}") -> Answer:
    return Answer(number, msgspec.Raw(value), None)


def code(request) -> str:
    error = request.done.exception()
    assert isinstance(error, MediaEngineError)
    return error.code


async def test_answers_are_matched_by_number(requests) -> None:
    first = requests.add("list", dict[str, int], 3.0, {"session": "s"})
    second = requests.add("open", NoneType, 3.0, {})
    assert [request.operation for request in requests] == ["list", "open"]
    assert (first.session, second.session) == ("s", None)
    assert msgspec.json.decode(first.line) == {"id": 1, "op": "list", "session": "s"}
    requests.answered(ok(2))
    requests.answered(ok(1, b'{"n": 1}'))
    requests.answered(ok(1))
    requests.answered(ok(7))
    assert (first.done.result(), second.done.result(), list(requests)) == ({"n": 1}, None, [])


async def test_a_refusal_is_the_requests_own(requests) -> None:
    request = requests.add("open", NoneType, 3.0, {})
    requests.answered(Answer(1, None, Refusal("limit", "no more")))
    assert code(request) == "limit"


async def test_an_answer_of_another_shape_is_nobodys_answer(requests) -> None:
    request = requests.add("list", dict[str, int], 3.0, {})
    with pytest.raises(ProtocolError, match="answer to list"):
        requests.answered(ok(1, b"[]"))
    assert code(request) == LOST


async def test_what_breaks_with_its_connection_is_what_does_not_last(requests) -> None:
    lasting = requests.add("open", NoneType, 3.0, {}, lasting=True)
    other = requests.add("list", dict, 3.0, {})
    requests.interrupt("cut")
    assert (code(other), lasting.done.done(), list(requests)) == (LOST, False, [lasting])
    requests.give_up("no more")
    assert (code(lasting), list(requests)) == (LOST, [])


async def test_one_that_was_given_up_stays_so(requests) -> None:
    given_up = requests.add("list", dict, 3.0, {})
    given_up.done.cancel()
    requests.answered(ok(1))
    again = requests.add("list", dict, 3.0, {})
    again.done.cancel()
    requests.give_up("no more")
    assert given_up.done.cancelled()
    assert again.done.cancelled()


async def test_each_has_its_own_time_with_or_without_a_connection(requests) -> None:
    long = requests.add("long", dict, 3.0, {}, lasting=True)
    short = requests.add("short", dict, 0.0, {}, lasting=True)
    middle = requests.add("middle", dict, 0.002, {})
    for late in (short, middle):
        with pytest.raises(MediaEngineError, match=TIMEOUT):
            await late.done
    assert list(requests) == [long]
    requests.give_up("the end")
    assert code(long) == LOST
