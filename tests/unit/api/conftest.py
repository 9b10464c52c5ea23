import random
from collections.abc import AsyncIterator
from itertools import count

import httpx
import pytest
from starlette.applications import Starlette

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.api.routes import create_api
from sidestream.base.ids import Ids
from sidestream.testing.fake_front import START, FakeFront


class CountingClock:
    """Each look at it is 40 ms later than the one before."""

    def __init__(self) -> None:
        self._ticks = count()

    def monotonic(self) -> float:
        return next(self._ticks) * 0.04

    def wall(self):
        return START


@pytest.fixture
def ids() -> Ids:
    return Ids(random.Random(7))


@pytest.fixture
def account() -> Account:
    return Account(sid="AC" + "1" * 32, auth_token="t" * 32)


@pytest.fixture
def other_account() -> Account:
    return Account(sid="AC" + "2" * 32, auth_token="u" * 32)


@pytest.fixture
def front(ids: Ids) -> FakeFront:
    return FakeFront(ids)


@pytest.fixture
def app(front: FakeFront, account: Account, other_account: Account, ids: Ids) -> Starlette:
    book = AccountBook([account, other_account])
    return Starlette(routes=create_api(front, book, clock=CountingClock(), ids=ids))


@pytest.fixture
async def client(app: Starlette, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the account's credentials; paths are relative to the account."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=f"http://api.test/2010-04-01/Accounts/{account.sid}",
        auth=(account.sid, account.auth_token),
    ) as client:
        yield client
