import base64

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.credentials import account_of, basic_credentials


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Basic {encoded('AC1:secret')}", ("AC1", "secret")),
        (f"basic   {encoded('AC1:secret')} ", ("AC1", "secret")),
        (f"Basic {encoded('AC1:se:cret')}", ("AC1", "se:cret")),
        (f"Basic {encoded(':')}", ("", "")),
        (f"Basic {encoded('no colon')}", None),
        ("Basic", None),
        ("Basic not-base64!", None),
        (f"Basic {base64.b64encode(bytes([255, 254])).decode()}", None),
        (f"Bearer {encoded('AC1:secret')}", None),
        ("", None),
    ],
)
def test_authorization_header(header: str, expected: tuple[str, str] | None) -> None:
    assert basic_credentials(header) == expected


def test_the_account_behind_a_header() -> None:
    account = Account(sid="AC" + "1" * 32, auth_token="t" * 32)
    book = AccountBook([account])
    assert account_of(book, f"Basic {encoded(f'{account.sid}:{account.auth_token}')}") is account
    assert account_of(book, f"Basic {encoded(f'{account.sid}:other')}") is None
    assert account_of(book, "") is None
