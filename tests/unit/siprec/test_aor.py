import pytest

from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec.aor import ANONYMOUS, clean_aor


@pytest.mark.parametrize(
    ("address", "aor"),
    [
        ("sip:ada@pbx.example.com", "sip:ada@pbx.example.com"),
        ("sip:+4930123;noa=national@gw.example.com;user=phone", "sip:+4930123@gw.example.com"),
        ("sips:ada:secret@pbx.example.com:5071?subject=x", "sips:ada@pbx.example.com:5071"),
        ("tel:+14155550142;phone-context=x", "tel:+14155550142"),
        ("sip:pbx.example.com", "sip:pbx.example.com"),
        ("sip:whoever@Anonymous.invalid", ANONYMOUS),
        ("+14155550142", ANONYMOUS),
        ("urn:service:sos", ANONYMOUS),
        ("", ANONYMOUS),
    ],
)
def test_an_aor_is_a_bare_uri_of_a_known_scheme(address: str, aor: str) -> None:
    """X7: the schema would take any text."""
    assert clean_aor(address) == aor


def test_an_aor_comes_from_a_header_value_or_a_uri() -> None:
    address = NameAddr.parse('"Ada" <sip:ada@pbx.example.com;transport=tcp>;tag=88')
    assert clean_aor(address) == "sip:ada@pbx.example.com"
    assert clean_aor(address.uri) == "sip:ada@pbx.example.com"
    assert clean_aor(Uri("tel")) == ANONYMOUS
