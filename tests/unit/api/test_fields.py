from datetime import UTC, datetime

import pytest

from sidestream.api import fields
from sidestream.api.forms import Form
from sidestream.calls.refusal import Refusal


def form(**pairs: str) -> Form:
    return Form(tuple(pairs.items()))


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example/cb",
        "HTTP://app.example",
        "http://127.0.0.1:8080/x?y=1#rc=2&rp=all",
        "https://user:pw@[::1]:8443/",
        "http://bücher.example/ü",
    ],
)
def test_absolute_urls_are_taken_as_they_are(value: str) -> None:
    assert fields.url(form(Url=value), "Url") == value


@pytest.mark.parametrize(
    "value",
    [
        "app.example/cb",
        "/cb",
        "ftp://app.example/",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://[::1",
        "http://a:99999/",
        "http://a:0/",
        "http://" + "a" * 5000,
    ],
)
def test_other_urls_are_21205(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        fields.url(form(StatusCallback=value), "StatusCallback")
    assert (caught.value.status, caught.value.code) == (400, 21205)
    assert caught.value.message.startswith("StatusCallback")


@pytest.mark.parametrize(("value", "expected"), [("GET", "GET"), ("post", "POST"), ("", None)])
def test_methods(value: str, expected: str | None) -> None:
    assert fields.method(form(Method=value), "Method") == expected


@pytest.mark.parametrize("value", ["PUT", "GET ", "ＧＥＴ"])
def test_other_methods_are_21209(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        fields.method(form(Method=value), "Method")
    assert (caught.value.status, caught.value.code) == (400, 21209)


def test_integers() -> None:
    assert fields.integer(form(Timeout="600"), "Timeout", 1, 600) == 600
    assert fields.integer(form(), "Timeout", 1, 600) is None


@pytest.mark.parametrize("value", ["0", "601", "-1", "1.5", "x", "²", "9" * 5000])
def test_integers_out_of_range(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        fields.integer(form(Timeout=value), "Timeout", 1, 600)
    assert (caught.value.code, caught.value.message) == (20001, "Timeout must be a whole number from 1 to 600")


def test_parameters_in_the_order_of_their_numbers_up_to_99() -> None:
    pairs = [("Parameter100.Name", "ignored"), ("Parameter99.Name", "last"), ("Parameter99.Value", "z")]
    pairs += [("Parameter2.Name", "Role"), ("Parameter2.Value", "in & out"), ("Parameter10.Name", "no value")]
    assert fields.parameters(Form(tuple(pairs))) == (("Role", "in & out"), ("no value", ""), ("last", "z"))


def test_a_parameter_value_without_name_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        fields.parameters(Form((("Parameter3.Value", "x"),)))
    assert caught.value.message == "Parameter3.Value is given without Parameter3.Name"


def test_a_day_is_the_whole_day() -> None:
    assert fields.moments(form(StartTime="2026-03-02"), "StartTime") == (
        datetime(2026, 3, 2, 23, 59, 59, 999999, UTC),
        datetime(2026, 3, 2, tzinfo=UTC),
    )


def test_an_exact_time_is_its_second() -> None:
    assert fields.moments(form(StartTime="2026-03-02T10:00:00+01:00"), "StartTime") == (
        datetime(2026, 3, 2, 9, 0, 0, 999999, UTC),
        datetime(2026, 3, 2, 9, tzinfo=UTC),
    )


def test_bounds_may_be_given_alone_or_together() -> None:
    pairs = (("EndTime<", "2026-03-03"), ("EndTime>", "2026-03-01T12:00:00Z"))
    assert fields.moments(Form(pairs), "EndTime") == (
        datetime(2026, 3, 3, tzinfo=UTC),
        datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    assert fields.moments(Form(pairs[:1]), "EndTime") == (datetime(2026, 3, 3, tzinfo=UTC), None)
    assert fields.moments(Form(), "EndTime") == (None, None)


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00"])
def test_other_times_are_refused(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        fields.moments(form(StartTime=value), "StartTime")
    assert caught.value.code == 20001
