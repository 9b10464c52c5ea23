import pytest
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from sidestream.webhooks.signature import sign, sign_body

TOKEN = "12345"
FORM = (("CallSid", "CA1234567890ABCDE"), ("Digits", "1234"), ("To", "+18005551212"))


@pytest.mark.parametrize(
    ("url", "caller", "signature"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
        ("https://example.com/myapp.php?foo=1&bar=2", "+14158675310", "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    ],
)
def test_the_published_vectors(url: str, caller: str, signature: str) -> None:
    form = (*FORM, ("From", caller), ("Caller", caller))
    assert sign(url, form, TOKEN) == signature
    assert sign(url, reversed(form), TOKEN) == signature


@pytest.mark.parametrize(
    "form",
    [
        (),
        (("a", "2"), ("a", "1"), ("a", "2")),
        (("b", ""), ("B", "x"), ("_", "y"), ("aa", "z"), ("a", "zz")),
        (("Name", "Grüße & ü"), ("Ünï", "=+%20")),
        (("Name", "\U0001f600"), ("Name", "\uffee")),
    ],
)
@pytest.mark.parametrize("url", ["https://example.com/a?b=c", "https://user:pass@example.com:8443/"])
def test_the_published_validator_accepts_it(url: str, form: tuple[tuple[str, str], ...]) -> None:
    assert RequestValidator(TOKEN).validate(url, MultiDict(form), sign(url, form, TOKEN))


@pytest.mark.parametrize("url", ["https://example.com/a", "https://example.com/a?b=c"])
def test_a_body_that_is_no_form_is_signed_by_its_hash_in_the_url(url: str) -> None:
    body = b'{"a": 1}'
    hashed, signature = sign_body(url, body, TOKEN)
    assert hashed.startswith(url)
    assert RequestValidator(TOKEN).validate(hashed, body.decode(), signature)
    assert not RequestValidator(TOKEN).validate(hashed, '{"a": 2}', signature)


def test_another_token_gives_another_signature() -> None:
    assert sign("https://example.com/", FORM, "12346") != sign("https://example.com/", FORM, TOKEN)
