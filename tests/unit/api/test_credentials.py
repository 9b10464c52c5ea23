import base64

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.api.credentials import authenticated
from sidestream.calls.refusal import Refusal


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_right_credentials_give_the_account(account: Account) -> None:
    header = f"Basic {encoded(f'{account.sid}:{account.auth_token}')}"
    assert authenticated(AccountBook([account]), {"authorization": header}) is account


@pytest.mark.parametrize("password", ["", "wrong", "T" * 32])
def test_wrong_credentials_are_refused(account: Account, password: str) -> None:
    header = f"Basic {encoded(f'{account.sid}:{password}')}"
    with pytest.raises(Refusal) as caught:
        authenticated(AccountBook([account]), {"authorization": header})
    assert (caught.value.status, caught.value.code) == (401, 20003)


def test_absent_credentials_are_refused(account: Account) -> None:
    with pytest.raises(Refusal) as caught:
        authenticated(AccountBook([account]), {})
    assert caught.value.status == 401
