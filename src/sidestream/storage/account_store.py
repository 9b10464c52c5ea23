"""Accounts in SQL, their auth tokens sealed."""

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sidestream.accounts.account import Account
from sidestream.storage.database import Database
from sidestream.storage.errors import AlreadyStored
from sidestream.storage.sealing import Sealer
from sidestream.storage.tables import accounts


class SqlAccountStore:
    """Implements accounts.ports.AccountStore. The tokens must be readable, since requests are signed with them."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def all(self) -> list[Account]:
        """In the order they were added. Raises SealBroken when the key file is not the one they were stored with."""
        rows = await self._database.all(select(accounts).order_by(accounts.c.position))
        return [Account(row["sid"], self._sealer.open(row["sealed_auth_token"]), row["friendly_name"]) for row in rows]

    async def add(self, account: Account) -> None:
        """Durable on return. Raises AlreadyStored for a SID that is there."""
        row = {
            "sid": account.sid,
            "sealed_auth_token": self._sealer.seal(account.auth_token),
            "friendly_name": account.friendly_name,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(accounts), row)

        try:
            await self._database.run(work)
        except IntegrityError as error:
            raise AlreadyStored(f"The account {account.sid} is stored already") from error
