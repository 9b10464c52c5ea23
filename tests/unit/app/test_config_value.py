"""One value against its key."""

from pathlib import Path

import pytest

from sidestream.app.config_schema import Key, Kind
from sidestream.app.config_value import BadValue, Value, from_environment, read_value

PORT = Key("port", Kind.INTEGER, "", low=1, high=9)
SECONDS = Key("s", Kind.NUMBER, "", low=1, high=9)
FLAG = Key("f", Kind.BOOLEAN, "")
LEVEL = Key("l", Kind.CHOICE, "", choices=("a", "b"))
EVENTS = Key("e", Kind.CHOICES, "", choices=("a", "b"))
TEXTS = Key("t", Kind.TEXTS, "")
TEXT = Key("t", Kind.TEXT, "")
HOST = Key("h", Kind.HOST, "")
ADDRESS = Key("a", Kind.ADDRESS, "")
URL = Key("u", Kind.URL, "")
PATH = Key("p", Kind.PATH, "")
TOKEN = Key("k", Kind.SECRET, "", required=True)


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        (PORT, 9, 9),
        (SECONDS, 1, 1),
        (SECONDS, 2.5, 2.5),
        (FLAG, False, False),
        (LEVEL, "b", "b"),
        (EVENTS, ["b", "a"], ("b", "a")),
        (EVENTS, "a", ("a",)),
        (TEXTS, [], ()),
        (TEXT, "", ""),
        (HOST, "sip-1.example_x.com", "sip-1.example_x.com"),
        (HOST, "10.0.0.1", "10.0.0.1"),
        (HOST, "::1", "::1"),
        (ADDRESS, "2001:db8::1", "2001:db8::1"),
        (URL, "https://u:p@a.example:8/x?y#rc=2", "https://u:p@a.example:8/x?y#rc=2"),
        (PATH, "/a/b", Path("/a/b")),
        (TOKEN, "x", "x"),
    ],
)
def test_values_that_fit(key: Key, raw: object, value: Value) -> None:
    assert read_value(key, raw) == value


@pytest.mark.parametrize(
    ("key", "raw", "message"),
    [
        (PORT, 0, "must be from 1 to 9"),
        (PORT, 10, "must be from 1 to 9"),
        (PORT, 1.0, "must be a whole number"),
        (PORT, True, "must be a whole number"),
        (SECONDS, "1", "must be a number"),
        (SECONDS, float("nan"), "must be from 1 to 9"),
        (FLAG, 1, "must be true or false"),
        (LEVEL, "c", "'c' is not one of a, b"),
        (EVENTS, ["c"], "'c' is not one of a, b"),
        (TEXTS, [1], "must be a list of texts"),
        (TEXTS, {}, "must be a list of texts"),
        (TEXT, 1, "must be a text in quotes"),
        (HOST, " ", "must not be empty"),
        (HOST, "a b", "'a b' is neither a host name nor an IP address"),
        (HOST, "a" * 254, f"'{'a' * 254}' is neither a host name nor an IP address"),
        (HOST, "a:5060", "'a:5060' is not an IP address"),
        (ADDRESS, "localhost", "'localhost' is not an IP address"),
        (URL, "a.example/x", "'a.example/x' is not an absolute http or https URL"),
        (URL, "ftp://a.example", "'ftp://a.example' is not an absolute http or https URL"),
        (URL, "http://", "'http://' is not an absolute http or https URL"),
        (URL, "http://a:99999/", "'http://a:99999/' is not an absolute http or https URL"),
        (URL, "http://a/b c", "'http://a/b c' is not an absolute http or https URL"),
        (PATH, "", "must not be empty"),
        (TOKEN, "", "must not be empty"),
        (TOKEN, 12345, "must be a text in quotes"),
    ],
)
def test_values_that_do_not_fit(key: Key, raw: object, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_value(key, raw)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "text", "raw"),
    [
        (FLAG, "On", True),
        (FLAG, "0", False),
        (FLAG, "maybe", "maybe"),
        (PORT, " 5 ", 5),
        (PORT, "5.0", "5.0"),
        (SECONDS, "2.5", 2.5),
        (SECONDS, "nan", "nan"),
        (TEXTS, "a, b,,", ["a", "b"]),
        (TEXT, " a ", " a "),
    ],
)
def test_texts_of_the_environment(key: Key, text: str, raw: object) -> None:
    assert from_environment(key, text) == raw
