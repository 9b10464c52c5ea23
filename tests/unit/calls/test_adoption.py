"""Who goes on after a restart, and what becomes of the others. The scenarios play whole restarts."""

import asyncio
from dataclasses import replace

import pytest

from sidestream.calls.adoption import Adoption
from sidestream.calls.image import UnansweredCall, encode
from sidestream.calls.record import CallRecord, CallStatus, Direction
from sidestream.recording.siprec import Siprec, SiprecStatus, Track
from sidestream.sip.agent.events import EndCause, SessionEnded
from sidestream.sip.errors import LocalError, MessageError
from sidestream.testing.call_room import turns

from .images import AT, UNANSWERED, call_image

FIRST, SECOND = "CA" + "1" * 32, "CA" + "2" * 32


@pytest.fixture
def stage(room):
    """Puts calls into the stores and the engine, as a process that died has left them."""

    async def put(sid=FIRST, *, session=None, parent=None, media=True, status=CallStatus.IN_PROGRESS, **changes):
        room.stores.calls.save(
            CallRecord(
                sid=sid,
                account_sid=room.account.sid,
                parent_call_sid=parent,
                to="sip:b@example.com",
                from_="sip:a@example.com",
                direction=Direction.INBOUND if parent is None else Direction.OUTBOUND_DIAL,
                status=status,
                date_created=AT,
                date_updated=AT,
                start_time=AT,
            )
        )
        image = replace(call_image(sid, room.account.sid, session=session), **changes)
        room.stores.images.save(sid, encode(image))
        if media:
            await room.engine.open_session(session or sid)
            await room.engine.open_endpoint(session or sid, sid)
        return image

    return put


async def adopt(room, **options):
    room.change(script=_script(room))
    adoption = Adoption(room.services, room.stores.images, **options)
    await adoption.prepare()
    adoption.carry_out()
    await adoption.clear()
    await turns()
    return adoption.adopted, adoption.lost


def _script(room):
    async def run(call, instructions, resumption):
        room.scripts.append((call, resumption))
        await asyncio.Event().wait()

    return run


def a_siprec(room, **changes):
    siprec = Siprec(
        sid="SR" + "1" * 32,
        account_sid=room.account.sid,
        call_sid=FIRST,
        name="a",
        connector_name="Default",
        track=Track.BOTH,
        parameters=(),
        status_callback="http://app.example/siprec",
        status_callback_method="POST",
        started_by="rest",
        date_created=AT,
        date_updated=AT,
    )
    return replace(siprec, **changes)


async def status(room, sid=FIRST):
    return (await room.stores.calls.fetch(room.account.sid, sid)).status


async def test_a_call_goes_on_where_it_was(room, stage):
    image = await stage()
    assert await adopt(room) == (1, 0)
    (call,) = room.services.live
    assert call.leg.session == "r1"
    assert [(one, resumption.image, resumption.dialled) for one, resumption in room.scripts] == [
        (call, image.script, None)
    ]
    assert (call.party, call.leg.max_forwards) == (image.party, 70)
    assert "call.adopted" in await room.timeline(call)
    assert room.agent.names() == ["restore"]
    await room.close()
    assert await status(room) is CallStatus.COMPLETED
    assert dict(room.outbox.sent[-1].parameters)["SequenceNumber"] == "2"
    assert await room.stores.images.all() == {}


async def test_two_that_were_connected_are_paired(room, stage):
    script = replace(call_image(FIRST, "AC").script, dialled=SECOND)
    await stage(script=script)
    await stage(SECOND, session=FIRST, parent=FIRST, script=None)
    assert await adopt(room) == (2, 0)
    first, second = room.services.live.get(FIRST), room.services.live.get(SECOND)
    assert (first.partner, second.partner) == (second, first)
    assert first.pairing is second.pairing
    assert room.scripts[0][1].dialled is second


@pytest.mark.parametrize(
    ("changes", "options", "why"),
    [
        ({"media": False}, {}, "media engine"),
        ({"is_resumable": False}, {}, "dialling"),
        ({}, {"adopts": False}, "configuration"),
        ({"script": replace(call_image(FIRST, "AC").script, dialled=SECOND)}, {}, "connected with"),
    ],
)
async def test_what_cannot_go_on_is_ended_in_order(room, stage, changes, options, why):
    await stage(**changes)
    assert await adopt(room, **options) == (0, 1)
    assert room.agent.names() == ["restore", "bye"]
    assert await status(room) is CallStatus.FAILED
    (alert,) = await room.stores.alerts.find(room.account.sid, offset=0, limit=9)
    assert (alert.code, alert.call_sid) == (20501, FIRST)
    assert why in alert.text
    assert list(room.callbacks()) == ["failed"]
    assert await room.stores.images.all() == {}
    assert room.engine.sessions == {}


async def test_a_dialled_call_whose_caller_does_something_else(room, stage):
    await stage()
    await stage(SECOND, session=FIRST, parent=FIRST, script=None)
    assert await adopt(room) == (1, 1)
    assert await status(room, SECOND) is CallStatus.FAILED
    assert [call.record.sid for call in room.services.live] == [FIRST]


async def test_a_call_without_an_image_is_written_off(room, stage):
    await stage()
    room.stores.images.save(FIRST, b"of another version")
    room.stores.siprecs.save(a_siprec(room, accepted_at=AT))
    assert await adopt(room) == (0, 1)
    assert await status(room) is CallStatus.FAILED
    assert await room.codes() == [31903, 20501]
    assert room.engine.sessions == {}
    assert room.agent.names() == []
    siprec = await room.stores.siprecs.fetch(room.account.sid, FIRST, "SR" + "1" * 32)
    assert (siprec.status, siprec.stopped_by, siprec.error_code) == (SiprecStatus.STOPPED, "error", 31903)
    assert [dict(one.parameters)["SiprecEvent"] for one in room.outbox.sent] == ["siprec-error"]


async def test_an_image_without_a_call_is_removed(room):
    room.stores.images.save(FIRST, encode(call_image(FIRST, room.account.sid)))
    assert await adopt(room) == (0, 0)
    assert await room.stores.images.all() == {}


async def test_a_session_that_cannot_be_restored(room, stage):
    await stage()
    room.agent.raises["restore"] = LocalError("no listener")
    assert await adopt(room) == (0, 1)
    assert await status(room) is CallStatus.FAILED
    assert not room.services.live


async def test_an_account_that_is_gone(room, stage):
    await stage(account_sid="AC" + "f" * 32)
    assert await adopt(room) == (0, 1)
    assert room.agent.names() == ["restore", "bye"]
    assert await status(room) is CallStatus.FAILED


async def test_a_siprec_that_was_not_accepted_begins_anew(room, stage):
    await stage()
    room.stores.siprecs.save(a_siprec(room))
    assert await adopt(room) == (1, 0)
    assert "invite" in room.agent.names()
    room.agent.hear(SessionEnded("s1", EndCause.REJECTED))


async def test_one_of_a_lost_call_does_not(room, stage):
    await stage(media=False)
    room.stores.siprecs.save(a_siprec(room))
    await adopt(room)
    assert "invite" not in room.agent.names()
    assert sorted(await room.codes()) == [20501, 31903]


async def test_strangers_in_an_engine_of_others_are_left_alone(room, stage):
    await stage(status=CallStatus.RINGING)
    room.stores.images.remove(FIRST)
    await room.engine.open_session("of others")
    await adopt(room, owns_engine=False)
    assert set(room.engine.sessions) == {"of others"}
    await adopt(room)
    assert room.engine.sessions == {}


async def test_an_engine_that_fails_while_it_is_cleared(room, stage):
    await stage()
    await room.engine.open_endpoint(FIRST, "stranger")
    room.engine.fail("close_endpoint")
    assert await adopt(room) == (1, 0)
    assert len(list(room.services.live)) == 1


async def test_an_invite_without_an_answer_is_ended_and_its_call_written_off(room, stage):
    await stage(status=CallStatus.RINGING)
    room.stores.images.save(FIRST, encode(UnansweredCall(FIRST, UNANSWERED)))
    assert await adopt(room) == (0, 1)
    assert room.agent.last("end_unanswered").args == (UNANSWERED, room.agent.now)
    assert await status(room) is CallStatus.FAILED
    assert await room.stores.images.all() == {}
    assert await room.engine.list_sessions() == []


async def test_one_that_cannot_be_ended_is_written_off_too(room, stage):
    await stage(status=CallStatus.RINGING)
    room.stores.images.save(FIRST, encode(UnansweredCall(FIRST, UNANSWERED)))
    room.agent.raises["end_unanswered"] = MessageError(400, "Not an INVITE")
    assert await adopt(room) == (0, 1)
    assert await status(room) is CallStatus.FAILED
