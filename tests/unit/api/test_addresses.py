import pytest

from sidestream.api.addresses import caller, destination
from sidestream.api.forms import Form
from sidestream.calls.refusal import Refusal


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+14155550142", "+14155550142"),
        ("(415) 555-0142", "4155550142"),
        (" 100 ", "100"),
        ("sip:desk@marsh.example.org;transport=tcp", "sip:desk@marsh.example.org;transport=tcp"),
        ("SIPS:a@[2001:db8::1]:5061", "SIPS:a@[2001:db8::1]:5061"),
    ],
)
def test_numbers_and_sip_uris(value: str, expected: str) -> None:
    assert destination(Form((("To", value),))) == expected
    assert caller(Form((("From", value),))) == expected


@pytest.mark.parametrize(
    "value", ["x", "1", "++1415", "sip:", "sip:a b@c", "sip:" + "a" * 300 + "@b", "client:joe", "٣٣٣"]
)
def test_anything_else_is_invalid(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        destination(Form((("To", value),)))
    assert (caught.value.status, caught.value.code) == (400, 21211)
    with pytest.raises(Refusal) as caught:
        caller(Form((("From", value),)))
    assert (caught.value.status, caught.value.code) == (400, 21212)


def test_both_are_required() -> None:
    with pytest.raises(Refusal) as caught:
        destination(Form())
    assert (caught.value.status, caught.value.code) == (400, 21201)
    with pytest.raises(Refusal) as caught:
        caller(Form())
    assert (caught.value.status, caught.value.code) == (400, 21213)
