"""Every spelling of a recording server's address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.connectors.srs_uri import ConnectorError, parse_srs_uri


@pytest.mark.parametrize(
    ("text", "uri", "transport", "secure", "edge"),
    [
        ("sip:srs@127.0.0.1:5070", "sip:srs@127.0.0.1:5070", "udp", False, None),
        ("sip:name@example.com:5060", "sip:name@example.com:5060", "udp", False, None),
        ("sip:srs@foo.com:5060;edge=dublin", "sip:srs@foo.com:5060", "udp", False, "dublin"),
        ("sip:alice@example.com;secure=true", "sip:alice@example.com;transport=tls", "tls", True, None),
        ("sip:example.com;secure=true&edge=ashburn", "sip:example.com;transport=tls", "tls", True, "ashburn"),
        (
            "sip:+15551234567@216.239.36.145:5672;transport=tls;secure=true;edge=umatilla",
            "sip:+15551234567@216.239.36.145:5672;transport=tls",
            "tls",
            True,
            "umatilla",
        ),
        (
            "sip:SRS@media.example.com:5061;secure=true",
            "sip:SRS@media.example.com:5061;transport=tls",
            "tls",
            True,
            None,
        ),
        ("  sip:a@b;transport=TCP&secure=FALSE ", "sip:a@b;transport=TCP", "tcp", False, None),
        ("sip:a&b;c=d@example.com", "sip:a&b;c=d@example.com", "udp", False, None),
        ("sip:a@[2001:db8::1]:5062;lr", "sip:a@[2001:db8::1]:5062;lr", "udp", False, None),
        ("sips:a@b", "sips:a@b", "tls", False, None),
        ("SIP:a@b;edge;secure", "sip:a@b", "udp", False, None),
    ],
)
def test_public_spellings(text: str, uri: str, transport: str, secure: bool, edge: str | None) -> None:
    target = parse_srs_uri(text)
    assert (str(target.uri), target.transport, target.secure, target.edge) == (uri, transport, secure, edge)
    assert target.text == text.strip()
    assert target.warnings == ()
    assert target.uses_tls == (transport == "tls" or uri.startswith("sips"))


def test_the_region_is_kept() -> None:
    assert parse_srs_uri("sip:a@b;region=ie1").region == "ie1"


def test_another_value_of_secure_counts_as_false_with_a_warning() -> None:
    target = parse_srs_uri("sip:a@b;secure=yes")
    assert not target.secure
    assert [code for code, _ in target.warnings] == [32114]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 32110),
        ("example.com", 32110),
        ("srs@example.com:5060", 32110),
        ("tel:+15551234567", 32110),
        ("https://example.com", 32110),
        ("sip:a b@example.com", 32110),
        ("sip:a@example.com:99999", 32110),
        ("sip:a@example.com;x=" + "y" * 235, 32110),
        ("sip:a@b;transport=sctp", 31942),
        ("sip:a@b?x-token=1", 31942),
        ("sip:a:secret@b", 31942),
    ],
)
def test_addresses_that_cannot_be_used(text: str, code: int) -> None:
    with pytest.raises(ConnectorError) as caught:
        parse_srs_uri(text)
    assert caught.value.code == code
    assert str(caught.value) == f"{code}: {caught.value.message}"
    assert "secret" not in str(caught.value)


def test_the_longest_address_allowed_is_accepted() -> None:
    text = "sip:a@example.com;x="
    assert parse_srs_uri(text + "y" * (254 - len(text))).uri.host == "example.com"


@given(st.text(alphabet="sip:SIPS@;&?=.[]%a1 -\n\x00é", max_size=60))
def test_any_text_is_an_address_or_a_connector_error(text: str) -> None:
    codes = []
    try:
        codes = [code for code, _ in parse_srs_uri("sip:" + text).warnings]
    except ConnectorError as refused:
        codes = [refused.code]
    assert set(codes) <= {32110, 31942, 32114}
