"""Siprecs of a call: started by TwiML or REST, stopped by either, told to the application, kept at the SRS."""

import asyncio
import json

import pytest

from sidestream.calls.record import CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import Instructions, StartSiprec, UpdateCall
from sidestream.media.engine import EngineLost
from sidestream.recording.siprec import SiprecStatus

from .test_dial import connect

DIAL = '<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>'


def siprec_events(office):
    return [
        (received.parameter("SiprecName"), received.parameter("SiprecEvent"), received.parameter("SequenceNumber"))
        for received in office.app.to("/siprec")
    ]


async def event(office, name, kind):
    return await office.app.wait_for(
        lambda received: (received.parameter("SiprecName"), received.parameter("SiprecEvent")) == (name, kind)
    )


async def rest(office, **fields):
    form = StartSiprec(status_callback=office.app.url("/siprec"), **fields)
    return await office.front.start_siprec(office.account, office.live().record.sid, form)


async def test_twiml_starts_it_and_the_end_of_the_call_stops_it(office):
    alice, bob = await connect(
        office,
        '<Start><Siprec name="a" statusCallback="/siprec"><Parameter name="Role" value="x &amp; y"/></Siprec></Start>'
        + DIAL,
    )
    started = await event(office, "a", "siprec-started")
    assert started.signature_valid
    assert started.parameter("CallSid") == office.live().record.sid
    session = office.engine.sessions[office.live().record.sid]
    assert {fork.side.value: fork.active for fork in session.forks.values()} == {"inbound": True, "outbound": True}
    alice.bye()
    await office.quiet()
    assert siprec_events(office) == [("a", "siprec-started", "0"), ("a", "siprec-stopped", "1")]
    (siprec,) = await office.stores.siprecs.find(office.account.sid, started.parameter("CallSid"), offset=0, limit=9)
    assert (siprec.status, siprec.stopped_by, siprec.started_by) == (SiprecStatus.STOPPED, "call-ended", "twiml")
    assert siprec.invite_ms > 0
    manifests = [json.loads(path.read_text()) for path in office.recordings.glob("*/manifest.json")]
    assert [manifest["parameters"] for manifest in manifests] == [[{"name": "Role", "value": "x & y"}]]
    assert [manifest["sip_call_id"] for manifest in manifests] == [siprec.sip_call_id]


async def test_rest_stops_what_twiml_started_by_name_and_starts_another(office):
    alice, bob = await connect(office, '<Start><Siprec name="a" statusCallback="/siprec"/></Start>' + DIAL)
    await event(office, "a", "siprec-started")
    call_sid = office.live().record.sid
    stopped = await office.front.stop_siprec(office.account, call_sid, "a")
    assert stopped.status is SiprecStatus.STOPPED
    again = await office.front.stop_siprec(office.account, call_sid, "a")
    assert again.sid == stopped.sid
    second = await rest(office, name="a", track="inbound_track")
    assert (second.status, second.name) == (SiprecStatus.IN_PROGRESS, "a")
    assert second.sid != stopped.sid
    assert (await office.front.fetch_siprec(office.account, call_sid, "a")).sid == second.sid
    alice.bye()
    await office.quiet()
    listed = await office.front.list_siprecs(office.account, call_sid, 0, 10)
    assert [(siprec.sid, siprec.stopped_by) for siprec in listed] == [
        (second.sid, "call-ended"),
        (stopped.sid, "rest"),
    ]


async def test_twiml_stops_what_rest_started(office):
    office.twiml('<Stop><Siprec name="r"/></Stop><Pause length="30"/>', "/next")
    alice, bob = await connect(office)
    siprec = await rest(office, name="r")
    await event(office, "r", "siprec-started")
    call = office.live()
    await office.front.update_call(
        office.account, call.record.sid, UpdateCall(instructions=Instructions(url=office.app.url("/next")))
    )
    await event(office, "r", "siprec-stopped")
    kept = await office.front.fetch_siprec(office.account, call.record.sid, siprec.sid)
    assert kept.stopped_by == "twiml"
    alice.bye()
    await office.quiet()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"connector_name": "nobody"}, 31940),
        ({"track": "left"}, 31941),
        ({"name": "first"}, 20001),
        ({"track": "both_tracks"}, 31960),
        ({"status_callback_method": "PUT"}, 21209),
    ],
)
async def test_what_cannot_start_is_refused_and_changes_nothing(office, fields, code):
    alice, bob = await connect(office)
    await rest(office, name="first")
    await rest(office, track="inbound_track")
    with pytest.raises(Refusal) as refused:
        await rest(office, **fields)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert len(await office.front.list_siprecs(office.account, office.live().record.sid, 0, 10)) == 2
    alice.bye()
    await office.quiet()


async def test_a_ringing_call_is_refused_by_rest(office):
    office.twiml(DIAL)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    with pytest.raises(Refusal) as refused:
        await rest(office)
    assert refused.value.code == 21220
    bob.reject(486)
    await alice.ended()


async def test_a_bad_siprec_in_twiml_is_an_alert_and_the_call_goes_on(office):
    alice, bob = await connect(office, '<Start><Siprec connectorName="nobody"/></Start>' + DIAL)
    alice.bye()
    await office.quiet()
    assert [alert.code for alert in await office.alerts()] == [31940]


async def test_a_dead_srs_is_reported_and_the_call_goes_on(office):
    alice, bob = await connect(
        office, '<Start><Siprec name="d" connectorName="dead" statusCallback="/siprec"/></Start>' + DIAL
    )
    failed = await event(office, "d", "siprec-error")
    assert failed.parameter("SiprecErrorCode")
    assert failed.parameter("SiprecError")
    assert alice.cause is None
    assert bob.cause is None
    alice.bye()
    await office.quiet()
    assert siprec_events(office) == [("d", "siprec-error", "0")]
    (alert,) = await office.alerts()
    assert str(alert.code) == failed.parameter("SiprecErrorCode")


async def test_the_srs_hanging_up_ends_the_siprec_and_not_the_call(office):
    alice, bob = await connect(office, '<Start><Siprec name="s" statusCallback="/siprec"/></Start>' + DIAL)
    await event(office, "s", "siprec-started")
    await office.srs.close()
    async with asyncio.timeout(5):
        while len(siprec_events(office)) < 2:
            await asyncio.sleep(0.02)
    assert siprec_events(office)[1][1] == "siprec-stopped"
    (siprec,) = await office.front.list_siprecs(office.account, office.live().record.sid, 0, 9)
    assert siprec.stopped_by == "srs"
    assert alice.cause is None
    alice.bye()
    await office.quiet()


async def test_a_call_that_ends_unanswered_stops_a_waiting_siprec(office):
    alice = None
    office.twiml('<Start><Siprec name="w" statusCallback="/siprec"/></Start>' + DIAL)
    alice = office.dial_in()
    (await office.bob.wait_for_call()).reject(486)
    await alice.ended()
    await office.quiet()
    assert siprec_events(office) == [("w", "siprec-stopped", "0")]


async def test_hold_is_told_to_the_srs(office):
    alice, bob = await connect(office, '<Start><Siprec name="h" statusCallback="/siprec"/></Start>' + DIAL)
    await event(office, "h", "siprec-started")
    await bob.hold()
    (folder,) = office.recordings.iterdir()
    async with asyncio.timeout(5):
        while len(list(folder.glob("metadata-*.xml"))) < 2:
            await asyncio.sleep(0.02)
    first, second = (path.read_text() for path in sorted(folder.glob("metadata-*.xml"))[:2])
    # C31: the held party (alice) no longer sends.
    assert first.count("<send>") == 2
    assert second.count("<send>") == 1
    alice.bye()
    await office.quiet()


async def test_a_lost_engine_ends_the_call_and_its_siprec(office):
    alice, bob = await connect(office, '<Start><Siprec name="e" statusCallback="/siprec"/></Start>' + DIAL)
    await event(office, "e", "siprec-started")
    sid = office.live().record.sid
    office.engine.emit(EngineLost(sid, "killed"))
    await alice.ended()
    await bob.ended()
    await office.quiet()
    assert siprec_events(office)[-1][1] in ("siprec-error", "siprec-stopped")
    assert (await office.records())[0].status is CallStatus.COMPLETED


async def test_a_document_may_start_and_stop_its_own(office):
    alice, bob = await connect(
        office,
        '<Start><Siprec name="x" statusCallback="/siprec"/></Start><Stop><Siprec/></Stop>' + DIAL,
    )
    alice.bye()
    await office.quiet()
    assert [kind for _, kind, _ in siprec_events(office)] == ["siprec-stopped"]
