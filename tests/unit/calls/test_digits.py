"""Keys that cross between parties who say them differently."""

import pytest

from sidestream.calls.digits import WAITING_LIMIT, digit_of
from sidestream.calls.events import Info
from sidestream.media.engine import Dtmf, Format
from sidestream.testing.call_room import turns

PCMU = Format(0, "PCMU", 8000)


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("Application/DTMF-Relay; x=y", b"Signal= *\nDuration=160", "*"),
        ("application/dtmf-relay", b"Duration=160\r\nsignal=11", "#"),
        ("application/dtmf-relay", b"Signal=d", "D"),
        ("application/dtmf-relay", b"Signal=16", None),
        ("application/dtmf-relay", b"", None),
        ("application/dtmf", b"10\r\n", "*"),
        ("application/dtmf", b"12x", None),
        ("application/dtmf", b"\xff", None),
        ("application/media_control+xml", b"5", None),
    ],
)
def test_an_info_may_tell_of_a_key(content_type, body, digit):
    assert digit_of(content_type, body) == digit


def players(room, first):
    return room.engine.sessions[first.record.sid].players


async def finish(room, first):
    for name in list(players(room, first)):
        room.engine.finish_player(first.record.sid, name)
    await turns()


async def test_a_key_by_info_becomes_an_event_where_only_the_other_wants_those(room):
    first, second = await room.bridged()
    second.leg.media.formats = (PCMU,)
    relay = Info("application/dtmf-relay", b"Signal=5\r\nDuration=160")
    for key in (relay, Info("application/dtmf", b"*")):
        await first.pairing.pass_on(second, key)
    await turns()
    ((player, one),) = players(room, first).items()
    assert (one.endpoint, one.digits) == (first.record.sid, "5")
    await finish(room, first)
    ((_, one),) = players(room, first).items()
    assert one.digits == "*"
    assert not [sent for sent in room.agent.all("request") if sent.args[1] == "INFO"]
    assert second.star_pressed.is_set()
    assert not first.star_pressed.is_set()
    await first.pairing.pass_on(first, relay)
    assert room.agent.last("request").args == ("s1", "INFO")


async def test_both_want_events_and_an_info_stays_one(room):
    first, second = await room.bridged()
    await first.pairing.pass_on(second, Info("application/dtmf-relay", b"Signal=5"))
    assert room.agent.last("request").args == ("in", "INFO")
    assert players(room, first) == {}


async def test_a_key_by_event_is_dialled_for_who_takes_none(room):
    first, second = await room.bridged()
    sid = first.record.sid
    room.engine.emit(Dtmf(sid, sid, "7", 100))
    await turns()
    assert players(room, first) == {}, "the engine relays it"
    second.leg.media.formats = (PCMU,)
    room.engine.emit(Dtmf(sid, sid, "8", 100))
    room.engine.emit(Dtmf(sid, "another", "9", 100))
    await turns()
    assert [(one.endpoint, one.digits) for one in players(room, first).values()] == [(second.record.sid, "8")]


async def test_a_key_that_cannot_sound_goes_by_info(room):
    first, second = await room.bridged()
    second.leg.media.formats = (Format(18, "G729", 8000),)
    room.engine.fail("send_digits", "no-format")
    room.engine.emit(Dtmf(first.record.sid, first.record.sid, "8", 100))
    await turns()
    one = room.agent.last("request")
    assert (one.args, one.fields["body"]) == (("s1", "INFO"), b"Signal=8\r\nDuration=100\r\n")


async def test_keys_wait_their_turn_up_to_a_number_and_end_with_the_connection(room):
    first, second = await room.bridged()
    second.leg.media.formats = (PCMU,)
    for _ in range(WAITING_LIMIT + 10):
        room.engine.emit(Dtmf(first.record.sid, first.record.sid, "1", 100))
    await turns()
    for _ in range(5):
        await finish(room, first)
    await first.pairing.part()
    await turns()
    assert players(room, first) == {}
    dialled = [command for command, _ in room.engine.commands if command == "send_digits"]
    assert len(dialled) == 6
