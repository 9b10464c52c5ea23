"""What accounts ask of a store."""

from typing import Protocol

from sidestream.accounts.account import Account


class AccountStore(Protocol):
    """Accounts that the platform made itself; those of the configuration file are not stored."""

    async def all(self) -> list[Account]: ...

    async def add(self, account: Account) -> None: ...
