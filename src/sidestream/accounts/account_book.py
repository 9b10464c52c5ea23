"""The accounts and numbers of a running platform."""

import hmac
from collections.abc import Iterable
from urllib.parse import unquote

from sidestream.accounts.account import Account, Number
from sidestream.base.ids import Ids

ANY_ADDRESS = "*"  # the number that takes every call no other number takes

_SEPARATORS = str.maketrans("", "", "-.() ")  # RFC 3966 §5.1.1 visual separators, and the space people write


class AccountBook:
    """Accounts by SID and numbers by address. It changes only as a whole, by `become`."""

    def __init__(self, accounts: Iterable[Account], numbers: Iterable[Number] = ()) -> None:
        self._accounts = {account.sid: account for account in accounts}
        self._numbers = tuple(numbers)

    def become(self, other: "AccountBook") -> None:
        """Be that book from now on, for whoever holds this one."""
        self._accounts, self._numbers = other._accounts, other._numbers

    @property
    def accounts(self) -> tuple[Account, ...]:
        return tuple(self._accounts.values())

    def get(self, sid: str) -> Account | None:
        return self._accounts.get(sid)

    def authenticate(self, user: str, password: str) -> Account | None:
        """The account whose SID and auth token these are. Takes the same time however much of them is right."""
        account = self._accounts.get(user)
        # An unknown user is compared too, so that the time taken does not tell which SIDs exist.
        expected = account.auth_token if account is not None else "\0" * len(password)
        matches = hmac.compare_digest(expected.encode(), password.encode("utf-8", "surrogatepass"))
        return account if matches else None

    def number_for(self, to_user: str, account_sid: str | None = None) -> Number | None:
        """The number that takes a call to this SIP user: written alike, else the same digits, else `*`.

        `account_sid` keeps the search to one account, for a trunk that belongs to it.
        """
        candidates = [n for n in self._numbers if account_sid is None or n.account_sid == account_sid]
        user = unquote(to_user).partition(";")[0]
        for number in candidates:
            if number.address == user:
                return number
        digits = dialled_digits(user)
        for number in candidates:
            if digits is not None and digits == dialled_digits(number.address):
                return number
        return next((n for n in candidates if n.address == ANY_ADDRESS), None)


def dialled_digits(address: str) -> str | None:
    """The digits of a phone number in any of its spellings; None for an address that is none."""
    digits = address.translate(_SEPARATORS).removeprefix("+")
    return digits if digits.isascii() and digits.isdigit() else None


def make_account(ids: Ids) -> Account:
    """A new account, for a server that has none. Its token must be shown once and stored."""
    return Account(sid=ids.sid("AC"), auth_token=ids.auth_token(), friendly_name="Sidestream")
