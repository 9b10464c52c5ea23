import pytest

from sidestream.base.redaction import Redacted, redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:alice@192.0.2.7:5060", "sip:…@192.0.x.x:5060"),
        ("<SIPS:Bob.B@example.com>;tag=1", "<SIPS:…@example.com>;tag=1"),
        ("tel:+14155550142", "tel:…0142"),
        ("called +14155550142", "called …0142"),
        ("sip:+14155550142@carrier.example", "sip:…0142@carrier.example"),
        ("listening on 127.0.0.1:5060", "listening on 127.0.0.1:5060"),
        ("1234567 in a row", "… in a row"),
        ("no number 123456", "no number 123456"),
        ("/Calls/CA342f1102ab9d8526716c9aedb3adb4ed.json", "/Calls/CA342f1102ab9d8526716c9aedb3adb4ed.json"),
        ("to=+14155550142;x", "to=…0142;x"),
    ],
)
def test_what_a_log_may_show(text, expected):
    assert redact(text) == expected


def test_a_redacted_value_shows_itself_only_when_asked():
    value = Redacted("sip:alice@example.com")
    assert "alice" not in f"{value} {value!r}"
    assert value.reveal() == "sip:alice@example.com"
