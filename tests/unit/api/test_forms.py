from collections.abc import AsyncIterator

import pytest

from sidestream.api.forms import BODY_LIMIT, FIELD_LIMIT, FORM_TYPE, Form, parse_form, read_form
from sidestream.calls.refusal import Refusal


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_blanks_arrive_as_plus_or_percent_20() -> None:
    form = parse_form(b"Name=first+try&Other=first%20try&Plus=%2B1", "body")
    assert form.pairs == (("Name", "first try"), ("Other", "first try"), ("Plus", "+1"))


def test_empty_and_absent_fields_are_none() -> None:
    form = parse_form(b"Name=&Track", "body")
    assert form.text("Name") is None
    assert form.text("Absent") is None
    assert "Name" in form
    assert "Absent" not in form


def test_the_last_of_two_counts_and_all_gives_both() -> None:
    form = parse_form(b"E=a&E=&E=b", "body")
    assert form.text("E") == "b"
    assert form.all("E") == ("a", "b")


def test_utf8_escaped_or_not() -> None:
    assert parse_form("N=%C3%A9&M=é".encode(), "body").pairs == (("N", "é"), ("M", "é"))


@pytest.mark.parametrize("data", [b"N=%FF", b"N=\xff", b"%ED%A0%80=1"])
def test_what_is_not_utf8_is_a_clear_error(data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_form(data, "query string")
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert caught.value.message == "The query string is not in UTF-8"


def test_too_many_fields_are_refused() -> None:
    assert len(parse_form(b"&".join([b"a=1"] * FIELD_LIMIT), "body").pairs) == FIELD_LIMIT
    with pytest.raises(Refusal) as caught:
        parse_form(b"&".join([b"a=1"] * (FIELD_LIMIT + 1)), "body")
    assert (caught.value.status, caught.value.code) == (400, 20001)


@pytest.mark.parametrize("content_type", [None, FORM_TYPE, "Application/X-WWW-Form-URLencoded; charset=utf-8"])
async def test_body_in_pieces(content_type: str | None) -> None:
    assert await read_form(content_type, chunks(b"Na", b"me=a", b"")) == Form((("Name", "a"),))


async def test_an_empty_body_is_an_empty_form_whatever_its_type() -> None:
    assert await read_form("application/json", chunks(b"")) == Form()


async def test_another_media_type_is_refused_by_name() -> None:
    with pytest.raises(Refusal) as caught:
        await read_form("application/json", chunks(b'{"To": "+1"}'))
    assert (caught.value.status, caught.value.code) == (400, 20001)
    assert "application/json" in caught.value.message


async def test_a_body_over_the_limit_is_refused_before_it_is_read_to_its_end() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    with pytest.raises(Refusal) as caught:
        await read_form(FORM_TYPE, endless())
    assert (caught.value.status, caught.value.code) == (413, 20001)
    assert str(BODY_LIMIT) in caught.value.message
