import pytest

from sidestream.testing.call_room import CallRoom


@pytest.fixture
async def room(tmp_path):
    room = CallRoom(tmp_path)
    yield room
    await room.close()
