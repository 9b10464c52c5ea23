"""Who is asking: the account behind a request, or the API's 401."""

from collections.abc import Mapping

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.credentials import account_of
from sidestream.calls.refusal import Refusal

BAD_CREDENTIALS = 20003


def authenticated(accounts: AccountBook, headers: Mapping[str, str]) -> Account:
    """The account that the request's Authorization header proves; raises `Refusal` 401 otherwise."""
    account = account_of(accounts, headers.get("authorization", ""))
    if account is None:
        raise Refusal(401, BAD_CREDENTIALS, "Authenticate")
    return account
