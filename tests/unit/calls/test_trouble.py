"""What the media engine finds wrong with a party's audio."""

from dataclasses import replace

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.requests import StartSiprec
from sidestream.media.engine import FirstPacket, SilenceTimeout, Unauthenticated, Unreachable

TROUBLE = {"media.silent", "media.unauthenticated", "media.unreachable"}


@pytest.fixture
async def bridged(room):
    return await room.bridged()


async def troubles(room, call):
    return [kind for kind in await room.timeline(call) if kind in TROUBLE]


async def test_who_is_not_heard_is_noted_and_matters_while_he_is_recorded(room, bridged):
    first, second = bridged
    sid = first.record.sid
    room.engine.emit(SilenceTimeout(sid, second.leg.media.endpoint, 30_000))
    assert (await troubles(room, first), await troubles(room, second)) == ([], ["media.silent"])
    assert await room.codes() == []
    first.streams.start(StartSiprec(), started_by="twiml")
    room.engine.emit(SilenceTimeout(sid, first.leg.media.endpoint, 30_000))
    assert await room.codes() == [31953]


async def test_who_need_not_speak_is_not_missed(room, bridged):
    first, _ = bridged
    first.leg.media.remote_sends = False
    room.engine.emit(SilenceTimeout(first.record.sid, first.leg.media.endpoint, 30_000))
    waiting = await room.incoming()
    assert waiting.leg.phase is LegPhase.WAITING
    room.engine.emit(SilenceTimeout(waiting.record.sid, waiting.leg.media.endpoint, 30_000))
    assert await troubles(room, first) == await troubles(room, waiting) == []


async def test_a_key_that_does_not_fit_is_an_alert(room, bridged):
    first, second = bridged
    event = Unauthenticated(first.record.sid, second.leg.media.endpoint)
    room.engine.emit(event)
    room.engine.emit(replace(event, endpoint="somebody else's"))
    assert (await troubles(room, first), await troubles(room, second)) == ([], ["media.unauthenticated"])
    assert await room.codes() == [32212]


async def test_a_port_that_stays_closed_is_noted_once(room, bridged):
    first, second = bridged
    event = Unreachable(first.record.sid, first.leg.media.endpoint)
    room.engine.emit(event)
    room.engine.emit(FirstPacket(first.record.sid, first.leg.media.endpoint, 1))
    assert await troubles(room, first) == []
    for _ in range(3):
        room.engine.emit(event)
    assert (await troubles(room, first), await troubles(room, second)) == (["media.unreachable"], [])
    assert await room.codes() == []
