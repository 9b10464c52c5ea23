"""HTTP Basic credentials (RFC 7617)."""

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidestream.calls.refusal import Refusal

if TYPE_CHECKING:
    from sidestream.accounts.account import Account
    from sidestream.accounts.account_book import AccountBook

BAD_CREDENTIALS = 20003


def authenticated(accounts: "AccountBook", headers: Mapping[str, str]) -> "Account":
    """The account that the request's Authorization header proves; raises `Refusal` 401 otherwise."""
    credentials = basic_credentials(headers.get("authorization", ""))
    account = None if credentials is None else accounts.authenticate(*credentials)
    if account is None:
        raise Refusal(401, BAD_CREDENTIALS, "Authenticate")
    return account


def basic_credentials(header: str) -> tuple[str, str] | None:
    """User and password of an Authorization header; None if it is absent, of another scheme or malformed."""
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
