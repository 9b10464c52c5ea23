"""Calls on doubles."""

from sidestream.calls.bridge import LegPhase
from sidestream.calls.record import CallStatus
from sidestream.storage.memory import open_memory
from sidestream.testing.call_room import CallRoom, turns


async def test_two_calls_are_connected_and_end(tmp_path):
    room = CallRoom(tmp_path, open_memory())
    first, second = await room.bridged()
    assert {first.leg.phase, second.leg.phase} == {LegPhase.ESTABLISHED}
    assert room.engine.sessions[first.record.sid].routes == {
        first.record.sid: second.record.sid,
        second.record.sid: first.record.sid,
    }
    await room.close()
    await turns()
    assert first.record.status is second.record.status is CallStatus.COMPLETED
    assert list(room.callbacks()).count("completed") == 2


async def test_a_page_that_is_not_there_fails(tmp_path):
    room = CallRoom(tmp_path, open_memory())
    room.pages.documents["http://a/"] = "<Response/>"
    fetch = room.pages.fetch_with_fallback
    assert (await fetch("http://b/", "GET", None, (), room.account, call_sid="CA")).fetched is None
    found = await fetch("http://b/", "GET", ("http://a/", "POST"), (), room.account, call_sid="CA")
    assert found.fetched.body == b"<Response/>"
    assert [url for url, _, _ in room.pages.asked] == ["http://b/", "http://b/", "http://a/"]
