"""Each contract test runs over every backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidestream.storage.memory import open_memory
from sidestream.storage.sqlite import open_database
from sidestream.storage.stores import Stores


@pytest.fixture(params=["memory", "sqlite"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    opened = open_memory() if request.param == "memory" else await open_database(f"sqlite:///{tmp_path}/contract.db")
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _watched(protocol_watch: object) -> None:
    """Contract tests speak the media protocol as its schema has it."""
