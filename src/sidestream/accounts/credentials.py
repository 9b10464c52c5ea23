"""HTTP Basic credentials (RFC 7617): an account's SID and auth token."""

import base64
import binascii

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook


def account_of(accounts: AccountBook, header: str) -> Account | None:
    """The account that the value of an Authorization header field proves; None if it proves none."""
    credentials = basic_credentials(header)
    return None if credentials is None else accounts.authenticate(*credentials)


def basic_credentials(header: str) -> tuple[str, str] | None:
    """User and password of an Authorization header; None if it is absent, of another scheme or malformed."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
