"""Placing a call: what is sent, what is written down, and what is left where it fails."""

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.destinations import Destination
from sidestream.calls.outgoing import MAX_FORWARDS, Callbacks, place
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import PHONE, SDP_TEXT

BOB = Destination(
    "+15550100",
    Uri.parse("sip:+15550100@192.0.2.50"),
    DigestCredentials("u", "p"),
    (("X-A", "b"),),
    way=PHONE,
    redirects=1,
    home="trunk t",
    accepts_refer=False,
)
ALL = ("initiated", "ringing", "answered", "completed")


async def placed(room, to=BOB, *, caller="+15550199", parent=None):
    return await place(
        room.services,
        room.account,
        to,
        caller=caller,
        callbacks=Callbacks("http://app.example/status", events=ALL),
        instructions=None,
        parent=parent,
    )


async def stored(room):
    return await room.stores.calls.find(room.account.sid, CallFilter(), offset=0, limit=9)


async def test_the_invite_goes_where_the_destination_says(room):
    call = await placed(room)
    fields = room.agent.last("invite").fields
    assert (str(fields["target"]), str(fields["to"].uri), str(fields["from_"].uri)) == (
        "sip:+15550100@192.0.2.50",
        "sip:+15550100@192.0.2.50",
        "sip:+15550199@192.0.2.2",
    )
    assert fields["headers"] == (("X-A", "b"), ("X-Sidestream-CallSid", call.record.sid))
    assert (fields["credentials"], fields["via"]) == (BOB.credentials, PHONE)
    assert (fields["max_forwards"], fields["call_id"]) == (MAX_FORWARDS, call.record.sip_call_id)
    assert [m.formats for m in SessionDescription.parse(fields["body"]).media] == [("0", "8", "101")]


async def test_the_call_lives_and_is_written_down(room):
    call = await placed(room)
    (record,) = await stored(room)
    assert (record.direction, record.status, record.to) == (Direction.OUTBOUND_API, CallStatus.QUEUED, "+15550100")
    assert room.services.live.get(record.sid) is call
    assert list(room.callbacks()) == ["initiated"]
    assert await room.timeline(call) == ["call.created"]
    assert (call.party.home, call.party.accepts_refer) == ("trunk t", False)


async def test_a_dialled_one_lives_in_its_parents_session_and_offers_what_that_offered(room):
    parent = await room.incoming(SDP_TEXT.replace("AVP 0", "AVP 8"))
    parent.record.caller_name = "Ada"
    call = await placed(room, parent=parent)
    assert call.record.parent_call_sid == parent.record.sid
    assert call.record.direction is Direction.OUTBOUND_DIAL
    assert set(room.engine.sessions) == {parent.record.sid}
    fields = room.agent.last("invite").fields
    assert [m.formats for m in SessionDescription.parse(fields["body"]).media] == [("8", "0", "101")]
    assert (fields["from_"].display_name, fields["max_forwards"]) == ("Ada", 69)


async def test_a_caller_without_an_offer_makes_us_offer_our_own(room):
    parent = await room.incoming("")
    await placed(room, parent=parent)
    body = room.agent.last("invite").fields["body"]
    assert SessionDescription.parse(body).media[0].formats == ("0", "8", "101")


async def test_after_the_answer_it_is_offered_what_was_agreed(room):
    parent = await room.incoming(SDP_TEXT.replace("AVP 0 101", "AVP 8 0 9 101"))
    await parent.ensure_answered()
    await placed(room, parent=parent)
    assert SessionDescription.parse(room.agent.last("invite").fields["body"]).media[0].formats == ("8", "0", "101")


@pytest.mark.parametrize(("hops", "sent"), [(2, 1), (70, 69)])
async def test_hops_are_counted_over_the_bridge(room, hops, sent):
    parent = await room.incoming()
    parent.leg.max_forwards = hops
    await placed(room, parent=parent)
    assert room.agent.last("invite").fields["max_forwards"] == sent


async def test_a_call_that_went_through_too_many_servers_is_not_placed(room):
    parent = await room.incoming()
    parent.leg.max_forwards = 1
    with pytest.raises(Refusal) as refused:
        await placed(room, parent=parent)
    assert refused.value.code == 32011
    assert len(room.services.live) == 1


@pytest.mark.parametrize("broken", ["invite", "engine", "release too"])
async def test_one_that_cannot_be_sent_leaves_nothing_behind(room, broken):
    if broken == "invite":
        room.agent.raises["invite"] = ZeroDivisionError()
    else:
        room.engine.fail("open_endpoint")
    if broken == "release too":
        room.engine.fail("close_session")
    with pytest.raises(ZeroDivisionError if broken == "invite" else MediaEngineError):
        await placed(room)
    assert len(room.services.live) == 0
    assert broken == "release too" or room.engine.sessions == {}
    assert await stored(room) == []


async def test_a_broken_one_leaves_its_parent_alone(room):
    parent = await room.incoming()
    await parent.ensure_answered()
    room.agent.raises["invite"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await placed(room, parent=parent)
    assert set(room.engine.sessions[parent.record.sid].endpoints) == {parent.record.sid}
    assert parent.leg.phase is LegPhase.ESTABLISHED
