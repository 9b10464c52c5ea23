"""Texts of attributes as values."""

import pytest

from sidestream.twiml.schema import Attribute, Kind
from sidestream.twiml.value import BadValue, Value, read_value

NUMBER = Attribute("n", "", Kind.INTEGER, 1, low=1, high=5)
SOME = Attribute("s", "", Kind.CHOICES, choices=("a", "b"))


@pytest.mark.parametrize(
    ("attribute", "text", "value"),
    [
        (Attribute("t", ""), " as is ", " as is "),
        (Attribute("u", "", Kind.URL), " /x ", "/x"),
        (Attribute("m", "", Kind.METHOD), "post", "POST"),
        (NUMBER, "5", 5),
        (NUMBER, "01", 1),
        (Attribute("b", "", Kind.BOOLEAN), "False", False),
        (Attribute("c", "", Kind.CHOICE, choices=("a", "b")), "b", "b"),
        (SOME, "b a b", ("b", "a")),
        (Attribute("d", "", Kind.DIGITS), "0*#Aw", "0*#Aw"),
    ],
)
def test_values_that_fit(attribute: Attribute, text: str, value: Value) -> None:
    assert read_value(attribute, text) == value


@pytest.mark.parametrize(
    ("attribute", "text", "expected"),
    [
        (NUMBER, "6", "expected a whole number from 1 to 5"),
        (NUMBER, "0", "expected a whole number from 1 to 5"),
        (NUMBER, "1.0", "expected a whole number from 1 to 5"),
        (NUMBER, "", "expected a whole number from 1 to 5"),
        (Attribute("m", "", Kind.METHOD), "PUT", "expected GET or POST"),
        (Attribute("b", "", Kind.BOOLEAN), "1", "expected true or false"),
        (Attribute("c", "", Kind.CHOICE, choices=("a", "b")), "B", "expected a or b"),
        (SOME, " ", "expected some of a, b"),
        (SOME, "a c", "expected some of a, b"),
        (Attribute("d", "", Kind.DIGITS), "", "expected 1 to 32 of 0-9, *, #, A-D, w and W"),
    ],
)
def test_values_that_do_not_fit_say_what_would(attribute: Attribute, text: str, expected: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_value(attribute, text)
    assert str(caught.value) == expected
