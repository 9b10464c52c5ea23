"""Credentials and numbers."""

import random

import pytest

from sidestream.accounts.account import Account, Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook, dialled_digits, make_account
from sidestream.base.ids import Ids

ONE = Account("AC" + "1" * 32, "a" * 32)
TWO = Account("AC" + "2" * 32, "b" * 32)


def number(address: str, account: Account = ONE) -> Number:
    return Number(address, account.sid, VoiceSettings(url="https://a.example"))


def test_the_sid_and_its_token_authenticate() -> None:
    book = AccountBook((ONE, TWO))
    assert book.authenticate(ONE.sid, ONE.auth_token) is ONE
    assert book.authenticate(TWO.sid, TWO.auth_token) is TWO


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (ONE.sid, TWO.auth_token),
        (ONE.sid, ""),
        (ONE.sid, ONE.auth_token + "a"),
        (ONE.sid, ONE.auth_token.upper()),
        (ONE.sid, "é"),
        (ONE.sid, "\ud800"),
        ("AC" + "3" * 32, ONE.auth_token),
        ("AC" + "3" * 32, "\0" * 5),
        ("", ""),
    ],
)
def test_nothing_else_does(user: str, password: str) -> None:
    assert AccountBook((ONE, TWO)).authenticate(user, password) is None


def test_accounts_are_found_by_sid() -> None:
    book = AccountBook((ONE, TWO))
    assert book.get(TWO.sid) is TWO
    assert book.get("AC" + "3" * 32) is None
    assert book.accounts == (ONE, TWO)


@pytest.mark.parametrize(
    ("dialled", "address"),
    [
        ("+15551234567", "+15551234567"),
        ("15551234567", "+15551234567"),
        ("%2B15551234567", "+15551234567"),
        ("+1-555-123.4567", "+15551234567"),
        ("+15551234567;phone-context=x", "+15551234567"),
        ("+100", "100"),
        ("Bob", "Bob"),
        ("bob", "*"),
        ("5551234567", "*"),
        ("", "*"),
        ("²", "*"),
    ],
)
def test_which_number_takes_a_call(dialled: str, address: str) -> None:
    book = AccountBook((ONE,), tuple(map(number, ("*", "Bob", "+15551234567", "100"))))
    found = book.number_for(dialled)
    assert found is not None
    assert found.address == address


def test_what_is_written_alike_comes_before_the_same_digits() -> None:
    plain, plus = number("100"), number("+100")
    book = AccountBook((ONE,), (plain, plus))
    assert book.number_for("+100") is plus
    assert book.number_for("100") is plain
    assert book.number_for("1-00") is plain


def test_without_a_star_an_unknown_number_is_nobodys() -> None:
    assert AccountBook((ONE,), (number("100"),)).number_for("200") is None


def test_a_search_can_be_kept_to_one_account() -> None:
    mine, theirs = number("*"), number("100", TWO)
    book = AccountBook((ONE, TWO), (mine, theirs))
    assert book.number_for("100") is theirs
    assert book.number_for("100", ONE.sid) is mine
    assert book.number_for("200", TWO.sid) is None


def test_digits_of_phone_numbers_only() -> None:
    assert dialled_digits("+1 (555) 123") == "1555123"
    assert dialled_digits("bob") is None
    assert dialled_digits("") is None
    assert dialled_digits("١٢٣") is None


def test_a_new_account_has_the_form_that_clients_expect() -> None:
    account = make_account(Ids(random.Random(1)))
    assert len(account.sid) == 34
    assert account.sid.startswith("AC")
    assert account.auth_token.isalnum()
    assert len(account.auth_token) == 32
    assert account.auth_token not in repr(account)


def test_a_book_can_become_another_one() -> None:
    book = AccountBook([])
    book.become(AccountBook([Account("AC1", "t")], [Number("1", "AC1", VoiceSettings(twiml="x"))]))
    assert book.get("AC1") is not None
    assert book.number_for("1") is not None
