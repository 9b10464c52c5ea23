import pytest

from sidestream.storage.memory import open_memory
from sidestream.testing.call_room import CallRoom


@pytest.fixture
async def room(tmp_path):
    room = CallRoom(tmp_path, open_memory())
    yield room
    await room.close()
