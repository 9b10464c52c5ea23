import pytest

from sidestream.sdp.direction import Direction
from sidestream.sdp.error import SdpError
from sidestream.sdp.lines import (
    Connection,
    Line,
    Origin,
    attribute_values,
    connection_in,
    direction_in,
    without_attributes,
)


def test_an_origin_reads_back() -> None:
    origin = Origin.parse("- 3981438904 1 IN IP4 192.0.2.20")
    assert origin == Origin("-", 3981438904, 1, "192.0.2.20")
    assert str(origin) == "- 3981438904 1 IN IP4 192.0.2.20"
    assert str(origin.with_version(2)) == "- 3981438904 2 IN IP4 192.0.2.20"


@pytest.mark.parametrize("value", ["", "- 1 1 IN IP4", "- x 1 IN IP4 host", "- 1 -1 IN IP4 host", "- 1 " + "9" * 21])
def test_a_malformed_origin_is_an_error(value: str) -> None:
    with pytest.raises(SdpError, match="o="):
        Origin.parse(value, 2)


@pytest.mark.parametrize(
    ("value", "address", "is_hold"),
    [
        ("IN IP4 192.0.2.20", "192.0.2.20", False),
        ("IN IP4 224.2.1.1/127", "224.2.1.1", False),
        ("IN IP4 0.0.0.0", "0.0.0.0", True),
        ("IN IP6 ::", "::", True),
        ("IN IP6 2001:db8::1", "2001:db8::1", False),
    ],
)
def test_connections(value: str, address: str, is_hold: bool) -> None:
    connection = Connection.parse(value)
    assert (connection.address, connection.is_hold) == (address, is_hold)


def test_a_connection_writes_its_address_type() -> None:
    assert str(Connection("2001:db8::1")) == "IN IP6 2001:db8::1"
    assert str(Connection("192.0.2.1")) == "IN IP4 192.0.2.1"


@pytest.mark.parametrize("value", ["", "IN IP4", "ATM NSAP 47"])
def test_a_malformed_connection_is_an_error(value: str) -> None:
    with pytest.raises(SdpError) as caught:
        Connection.parse(value, 7)
    assert caught.value.line == 7


LINES = (Line("i", "a=sendonly"), Line("a", "ptime:20"), Line("a", "inactive "), Line("a", "ptime:30"))


def test_attributes_are_found_by_name() -> None:
    assert attribute_values(LINES, "ptime") == ("20", "30")
    assert attribute_values(LINES, "PTIME") == ()
    assert without_attributes(LINES, frozenset({"ptime"})) == (LINES[0], LINES[2])
    assert Line("i", "text").attribute_name is None


def test_direction_and_connection_of_a_section() -> None:
    assert direction_in(LINES) is Direction.INACTIVE
    assert direction_in(LINES[:2]) is None
    assert connection_in(LINES) is None
    assert connection_in((*LINES, Line("c", "IN IP4 192.0.2.1"))) == Connection("192.0.2.1")
