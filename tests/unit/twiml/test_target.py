"""Whom a Dial calls."""

import pytest

from sidestream.base.secret import Secret
from sidestream.sip.uri import Uri
from sidestream.twiml.document import Dial, DialNumber, DialSip, DialTarget, LegCallbacks
from sidestream.twiml.parser import parse_twiml


def dial(inner: str) -> tuple[tuple[DialTarget, ...], list[int]]:
    document, problems = parse_twiml(f"<Response><Dial>{inner}</Dial></Response>".encode())
    assert document is not None
    (verb,) = document.verbs
    assert isinstance(verb, Dial)
    return verb.targets, [p.code for p in problems]


def sip(text: str) -> tuple[DialSip, list[int]]:
    targets, codes = dial(f"<Sip>{text.replace('&', '&amp;')}</Sip>")
    (target,) = targets
    assert isinstance(target, DialSip)
    return target, codes


@pytest.mark.parametrize(
    ("text", "number"),
    [("+15551234567", "+15551234567"), ("+1 (555) 123-45.67", "+15551234567"), ("\n 100 ", "100"), ("*97#", "*97#")],
)
def test_numbers_lose_their_visual_separators(text: str, number: str) -> None:
    assert dial(text) == ((DialNumber(number),), [])
    assert dial(f"<Number>{text}</Number>") == ((DialNumber(number),), [])


@pytest.mark.parametrize("text", ["bob", "++1", "+", "1" * 33, "١٢٣"])
def test_what_has_not_the_form_of_a_number_is_not_dialled(text: str) -> None:
    assert dial(text) == ((), [13223])
    assert dial(f"<Number>{text}</Number><Number>1</Number>") == ((DialNumber("1"),), [13223])


def test_text_beside_nouns_is_not_dialled() -> None:
    assert dial("+1555<Number>100</Number>") == ((DialNumber("100"),), [12200])


def test_nouns_keep_their_order() -> None:
    targets, codes = dial("<Sip>sip:a@b</Sip><Number>1</Number>")
    assert targets == (DialSip(Uri.parse("sip:a@b")), DialNumber("1"))
    assert codes == []


def test_the_callbacks_of_a_noun() -> None:
    targets, codes = dial(
        '<Number statusCallback="/s" statusCallbackMethod="GET" statusCallbackEvent="ringing answered ringing">1'
        "</Number>"
        '<Number statusCallback="/s" statusCallbackEvent="sneezed">2</Number>'
    )
    assert targets == (
        DialNumber("1", LegCallbacks("/s", "GET", ("ringing", "answered"))),
        DialNumber("2", LegCallbacks("/s", "POST", ("completed",))),
    )
    assert codes == [12200]


def test_credentials_stay_out_of_sight() -> None:
    targets, _ = dial('<Sip username="u" password="hush">sip:a@b</Sip>')
    assert targets == (DialSip(Uri.parse("sip:a@b"), username="u", password=Secret("hush")),)
    assert "hush" not in repr(targets)


def test_headers_are_decoded_and_leave_the_address() -> None:
    target, codes = sip("sip:a@b.example:5080;transport=tcp?x-customer=1%202&User-to-User=abc%3Bq&x-flag")
    assert str(target.uri) == "sip:a@b.example:5080;transport=tcp"
    assert target.headers == (("x-customer", "1 2"), ("User-to-User", "abc;q"), ("x-flag", ""))
    assert codes == []


def test_a_question_mark_in_the_user_part_begins_no_headers() -> None:
    target, codes = sip("sip:what?@b?x-a=1")
    assert (str(target.uri), target.headers, codes) == ("sip:what?@b", (("x-a", "1"),), [])


def test_an_at_sign_in_a_header_belongs_to_the_header() -> None:
    target, codes = sip("sip:a@b?x-mail=me@c")
    assert (str(target.uri), target.headers, codes) == ("sip:a@b", (("x-mail", "me@c"),), [])


def test_an_address_without_user_takes_headers_too() -> None:
    target, codes = sip("sip:b?x-a=1")
    assert (str(target.uri), target.headers, codes) == ("sip:b", (("x-a", "1"),), [])


@pytest.mark.parametrize("header", ["From=x", "X-Twilio-Y=1", "x-=1", "x-a%0D=1", "x-a=1%0D%0AVia:x", "=1"])
def test_headers_that_are_not_allowed_are_left_out(header: str) -> None:
    target, codes = sip(f"sip:a@b?{header}&x-ok=1")
    assert (target.headers, codes) == ((("x-ok", "1"),), [13252])


def test_headers_that_are_too_long_are_cut_off() -> None:
    target, codes = sip(f"sip:a@b?x-a={'1' * 1018}&x-b=2&x-c=3")
    assert [name for name, _ in target.headers] == ["x-a"]
    assert codes == [13253]


@pytest.mark.parametrize(
    ("text", "secure", "codes"),
    [
        ("sip:a@b;secure=true", True, []),
        ("sip:a@b;secure=TRUE;edge=dublin", True, []),
        ("sip:a@b;secure=false;region=ie1", False, []),
        ("sip:a@b;secure=yes", False, [32114]),
        ("sip:a@b;transport=warp", False, [32114]),
    ],
)
def test_parameters_for_the_platform_leave_the_address(text: str, secure: bool, codes: list[int]) -> None:
    target, found = sip(text)
    assert (str(target.uri), target.secure, found) == ("sip:a@b", secure, codes)


@pytest.mark.parametrize("text", ["sip:a@b;transport=TLS", "sips:a@b"])
def test_tls_alone_stays_in_the_address(text: str) -> None:
    target, codes = sip(text)
    assert (str(target.uri), target.secure, codes) == (text, False, [])


@pytest.mark.parametrize("text", ["", "a@b", "tel:+1555", "sip:", "sip:a@b c", "sip:a@b;" + "x" * 254])
def test_what_is_no_sip_address_is_not_dialled(text: str) -> None:
    assert dial(f"<Sip>{text}</Sip>") == ((), [13243])


def test_a_number_may_have_digits_to_dial() -> None:
    assert dial('<Number sendDigits="ww1234#">1</Number>') == ((DialNumber("1", send_digits="ww1234#"),), [])
    assert dial('<Number sendDigits="12-34">1</Number>') == ((DialNumber("1"),), [12200])
