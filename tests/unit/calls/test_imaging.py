"""When images are written, and when they are removed."""

import asyncio

import pytest

from sidestream.calls import imaging
from sidestream.calls.image import CallImage, UnansweredCall, decode
from sidestream.calls.imaging import Imaging

from .images import SESSION, UNANSWERED


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    monkeypatch.setattr(imaging, "DELAY_S", 0.0)
    monkeypatch.setattr(imaging, "SOON_S", 0.0)
    monkeypatch.setattr(imaging, "PAUSE_S", 0.0)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0.001)


@pytest.fixture
async def call(room):
    call = await room.incoming()
    room.agent.images["in"] = SESSION
    await call.ensure_answered()
    return call


async def test_a_change_is_written_and_the_end_removes_it(room, call):
    await settle()
    assert set(await room.stores.images.all()) == {call.record.sid}
    await room.close()
    await settle()
    assert await room.stores.images.all() == {}


async def test_while_something_is_under_way_the_one_of_before_holds(room, call):
    await settle()
    before = await room.stores.images.all()
    room.agent.images.clear()
    call.farewell = "Q.850;cause=16"
    call.changed()
    await settle()
    assert await room.stores.images.all() == before
    room.agent.images["in"] = SESSION
    await settle()
    assert await room.stores.images.all() != before


async def test_a_call_that_is_over_before_has_none(room, call):
    await room.close()
    await settle()
    assert await room.stores.images.all() == {}


async def test_one_that_is_not_established_is_not_looked_at(room):
    call = await room.incoming()
    call.changed()
    await settle()
    assert await room.stores.images.all() == {}


async def test_one_that_waits_for_its_answer_is_an_invite_until_it_has_it(room):
    room.agent.invites["in"] = UNANSWERED
    call = await room.incoming()
    await settle()
    (octets,) = (await room.stores.images.all()).values()
    assert decode(octets) == UnansweredCall(call.record.sid, UNANSWERED)
    room.agent.images["in"] = SESSION
    await call.ensure_answered()
    await settle()
    (octets,) = (await room.stores.images.all()).values()
    assert isinstance(decode(octets), CallImage)


async def test_a_defect_of_one_call_keeps_no_other_from_its_image(room, call, monkeypatch):
    await settle()
    before = await room.stores.images.all()
    other = await room.incoming(session="in2")
    room.agent.images["in2"] = SESSION
    monkeypatch.setattr(call.streams, "images", lambda: 1 / 0)
    call.changed()
    await other.ensure_answered()
    await settle()
    after = await room.stores.images.all()
    assert set(after) == {call.record.sid, other.record.sid}
    assert after[call.record.sid] == before[call.record.sid]


async def test_many_are_written_in_portions(room, monkeypatch):
    monkeypatch.setattr(imaging, "PORTION", 2)
    for number in range(5):
        call = await room.incoming(session=f"in{number}")
        room.agent.images[f"in{number}"] = SESSION
        await call.ensure_answered()
    await settle()
    assert len(await room.stores.images.all()) == 5


async def test_an_image_of_the_process_before_is_removed_too(room):
    room.stores.images.save("CA1", b"")
    keeper = Imaging(room.stores.images)
    keeper.forget("CA1")
    assert await room.stores.images.all() == {"CA1": b""}
    keeper.adopted("CA1")
    keeper.forget("CA1")
    assert await room.stores.images.all() == {}


async def test_a_call_that_changes_all_the_time_gets_one_image_for_each_two_looks(room, call, monkeypatch):
    await settle()
    written = []
    monkeypatch.setattr(room.stores.images, "save", lambda sid, image: written.append(sid))
    keeper = Imaging(room.stores.images)
    monkeypatch.setattr(keeper, "_arm", lambda wait_s: None)
    for _ in range(6):
        keeper.changed(call)
        keeper._write()
    assert written == [call.record.sid] * 3


async def test_a_call_that_ends_soon_after_its_change_has_no_image(room, call, monkeypatch):
    await settle()
    written = []
    monkeypatch.setattr(room.stores.images, "save", lambda sid, image: written.append(sid))
    keeper = Imaging(room.stores.images)
    monkeypatch.setattr(keeper, "_arm", lambda wait_s: None)
    keeper.changed(call)
    keeper._write()
    assert not keeper.is_up_to_date
    keeper.forget(call.record.sid)
    keeper._write()
    assert keeper.is_up_to_date
    assert written == []


async def test_a_few_images_are_written_soon_and_many_wait_for_each_other(room, call, monkeypatch):
    await settle()
    monkeypatch.setattr(imaging, "SOON_S", 0.02)
    monkeypatch.setattr(imaging, "DELAY_S", 0.125)
    keeper = Imaging(room.stores.images)
    waits = []
    monkeypatch.setattr(keeper, "_arm", waits.append)
    for _ in range(imaging.SOON_IMAGES + 1):
        keeper.changed(call)
        keeper._write()
        keeper._write()
    assert waits[0] == 0.02
    assert waits[-1] == 0.125
    keeper._second -= 1.0
    keeper.changed(call)
    assert waits[-1] == 0.02
