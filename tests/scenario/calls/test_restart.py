"""The control process dies and another one takes up its calls: peers, recording server and application see no break."""

import asyncio
import json

import pytest

from sidestream.calls import imaging
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import Instructions, UpdateCall
from sidestream.media.engine import Dtmf
from sidestream.recording.siprec import SiprecStatus
from sidestream.sip.agent.events import EndCause

from .office_tools import codes, statuses, until
from .restart_tools import crash, imaged, open_door, restart, start_again
from .test_dial import connect
from .test_siprec import event, siprec_events
from .test_transfer import refer

DIAL = '<Dial answerOnBridge="true" action="/after"><Sip>{bob}</Sip></Dial>'
RECORDED = '<Start><Siprec name="a" statusCallback="/siprec"/></Start>' + DIAL


@pytest.fixture(autouse=True)
def prompt(monkeypatch, office):
    """Images at once, and a process that can be killed."""
    monkeypatch.setattr(imaging, "DELAY_S", 0.01)
    open_door(office)
    office.twiml("<Hangup/>", "/after")


async def recorded(office, document=RECORDED):
    """Alice and Bob are connected and recorded, and that is written down."""
    alice, bob = await connect(office, document)
    await event(office, "a", "siprec-started")
    sids = [office.live(direction).record.sid for direction in ("inbound", "outbound-dial")]
    await imaged(office, *sids)
    await office.services.outbox.drain(5.0)
    return alice, bob, *sids


def metadata(office):
    """The XML documents that the recording server got in its one session."""
    (folder,) = [path.parent for path in office.recordings.glob("*/manifest.json")]
    return json.loads((folder / "manifest.json").read_text()), sorted(folder.glob("*.xml"))


async def test_a_recorded_call_goes_on_and_its_caller_ends_it(office):
    alice, bob, parent, child = await recorded(office)
    before = office.engine.sessions[parent]
    forks = {name: list(fork.history) for name, fork in before.forks.items()}
    commands = len(office.engine.commands)
    adoption = await restart(office)
    await asyncio.sleep(0.05)
    assert (adoption.adopted, adoption.lost) == (2, 0)
    assert {call.record.sid for call in office.services.live} == {parent, child}
    # The engine was not told anything that touches a packet.
    told = {command for command, name in office.engine.commands[commands:] if name.startswith(parent)}
    assert told <= {"session_statistics"}
    assert {name: fork.history for name, fork in before.forks.items()} == forks
    assert before.routes == {parent: child, child: parent}
    alice.bye()
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert siprec_events(office) == [("a", "siprec-started", "0"), ("a", "siprec-stopped", "1")]
    assert statuses(office) == ["ringing", "in-progress", "completed"][-len(statuses(office)) :]
    records = await office.records()
    assert [record.status for record in records] == [CallStatus.COMPLETED] * 2
    assert all(record.start_time is not None for record in records)
    assert parent not in office.engine.sessions
    assert await office.stores.images.all() == {}
    assert await codes(office) == []
    (siprec,) = await office.stores.siprecs.find(office.account.sid, parent, offset=0, limit=9)
    assert (siprec.status, siprec.stopped_by) == (SiprecStatus.STOPPED, "call-ended")
    await until(lambda: metadata(office)[0]["state"] == "complete", "the recording's end")
    manifest, documents = metadata(office)
    assert manifest["sip_call_id"] == siprec.sip_call_id
    assert "stop-time" in documents[-1].read_text()


async def test_the_called_ends_it_and_the_instructions_go_on(office):
    alice, bob, _, child = await recorded(office, RECORDED + "<Pause length='60'/>")
    await restart(office)
    bob.bye()
    request = await office.app.wait_for(lambda received: received.path == "/after")
    assert request.parameter("DialCallStatus") == "completed"
    assert request.parameter("DialCallSid") == child
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()


async def test_hold_and_resume_are_passed_on_and_told_to_the_recording_server(office):
    alice, bob, parent, child = await recorded(office)
    await restart(office)
    endpoints = office.engine.sessions[parent].endpoints
    for change, heard, senders in (
        (alice.hold, {parent}, 1),
        (alice.resume, {parent, child}, 2),
        (bob.hold, {child}, 1),
    ):
        await change()
        await until(lambda n=senders: metadata(office)[1][-1].read_text().count("<send>") == n, "new metadata")
        assert {name for name, endpoint in endpoints.items() if endpoint.receive} == heard
    bob.bye()
    await alice.ended()
    await office.quiet()


async def test_rest_and_twiml_go_on(office):
    alice, bob, parent, _ = await recorded(office)
    await restart(office)
    record = await office.front.fetch_call(office.account, parent)
    assert record.status is CallStatus.IN_PROGRESS
    stopped = await office.front.stop_siprec(office.account, parent, "a")
    assert stopped.status is SiprecStatus.STOPPED
    await event(office, "a", "siprec-stopped")
    instructions = Instructions(twiml="<Response><Pause length='60'/></Response>")
    await office.front.update_call(office.account, parent, UpdateCall(instructions=instructions))
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.front.update_call(office.account, parent, UpdateCall(status=CallStatus.COMPLETED))
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert siprec_events(office) == [("a", "siprec-started", "0"), ("a", "siprec-stopped", "1")]


async def test_it_survives_any_number_of_restarts(office):
    alice, bob, parent, child = await recorded(office)
    for _ in range(3):
        await restart(office)
        await imaged(office, parent, child)
    await alice.hold()
    await alice.resume()
    alice.bye()
    await bob.ended()
    await office.quiet()
    assert [event for _, event, _ in siprec_events(office)] == ["siprec-started", "siprec-stopped"]


async def test_a_pause_goes_on_where_it_was_and_a_key_ends_a_dial(office):
    alice, bob = await connect(
        office, '<Dial answerOnBridge="true" hangupOnStar="true"><Sip>{bob}</Sip></Dial><Pause length="1"/>'
    )
    parent, child = office.live().record.sid, office.live("outbound-dial").record.sid
    await imaged(office, parent, child)
    await restart(office)
    await until(lambda: office.engine._sinks[parent].__self__ is office.live(), "subscription")
    office.engine.emit(Dtmf(parent, parent, "*", 100))
    assert await bob.ended() is EndCause.REMOTE_BYE
    await until(lambda: office.live().script.interpreter._index == 1, "the pause")
    await imaged(office, parent)
    await restart(office)
    assert office.live().script.is_running
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()


async def test_a_call_that_was_transferred_goes_on_with_the_newcomer(office):
    alice, bob, parent, child = await recorded(office)
    refer(bob, office.carol.uri)
    carol = await office.carol.wait_for_call()
    carol.answer()
    await bob.ended()
    await until(lambda: metadata(office)[1][-1].read_text().count("carol") > 0, "metadata of the newcomer")
    await imaged(office, parent, child)
    await restart(office)
    assert office.live("outbound-dial").party.aor.startswith("sip:carol@")
    alice.bye()
    assert await carol.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert [event for _, event, _ in siprec_events(office)] == ["siprec-started", "siprec-stopped"]


async def test_a_time_limit_still_ends_it(office):
    alice, bob = await connect(office, '<Dial answerOnBridge="true" timeLimit="1"><Sip>{bob}</Sip></Dial>')
    await imaged(office, office.live().record.sid, office.live("outbound-dial").record.sid)
    ports = await crash(office)
    await asyncio.sleep(1.0)
    await start_again(office, ports)
    assert await bob.ended() is EndCause.REMOTE_BYE
    await alice.ended()
    await office.quiet()


async def test_a_ringing_call_is_written_off(office):
    office.twiml(DIAL)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    await alice.ringing()
    sid = office.live().record.sid
    await imaged(office, sid, office.live("outbound-dial").record.sid)
    adoption = await restart(office)
    # neither waits for somebody who does not come back
    assert await alice.ended() is EndCause.REJECTED
    assert alice.status == 500
    assert await bob.ended() is EndCause.CANCELLED
    assert (adoption.adopted, adoption.lost) == (0, 2)
    assert [record.status for record in await office.records()] == [CallStatus.FAILED] * 2
    assert await codes(office) == [20501, 20501]
    assert sid not in office.engine.sessions


async def test_whom_a_phone_answers_while_nobody_is_there_is_not_left_alone(office):
    office.twiml(DIAL)
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    await alice.ringing()
    await imaged(office, office.live().record.sid, office.live("outbound-dial").record.sid)
    ports = await crash(office)
    bob.answer()
    await start_again(office, ports)
    assert await alice.ended() is EndCause.REJECTED
    assert await bob.ended() is EndCause.REMOTE_BYE


async def test_a_caller_that_hears_ringing_gets_bye(office):
    office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    await alice.answered()
    sid = office.live().record.sid
    await imaged(office, sid, office.live("outbound-dial").record.sid)
    adoption = await restart(office)
    assert await alice.ended() is EndCause.REMOTE_BYE
    assert await bob.ended() is EndCause.CANCELLED
    await office.quiet()
    assert (adoption.adopted, adoption.lost) == (0, 2)
    (alert, *_) = [alert for alert in await office.alerts() if alert.call_sid == sid]
    assert "dialling" in alert.text
    assert (await office.records())[0].status is CallStatus.FAILED


async def test_without_its_media_a_call_and_its_recording_are_ended(office):
    alice, bob, parent, _ = await recorded(office)
    ports = await crash(office)
    await office.engine.close_session(parent)
    adoption = await start_again(office, ports)
    assert (adoption.adopted, adoption.lost) == (0, 2)
    assert await alice.ended() is EndCause.REMOTE_BYE
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert [event for _, event, _ in siprec_events(office)] == ["siprec-started", "siprec-stopped"]
    assert [record.status for record in await office.records()] == [CallStatus.FAILED] * 2
    assert await codes(office) == [20501, 20501]
    await until(lambda: metadata(office)[0]["state"] == "complete", "the recording's end")


async def test_the_policy_may_be_to_end_them(office):
    alice, bob, parent, _ = await recorded(office)
    await restart(office, adopts=False)
    assert await alice.ended() is EndCause.REMOTE_BYE
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert parent not in office.engine.sessions


async def test_a_siprec_that_waited_for_its_server_begins_anew(office):
    held = office.engine.hold("open_fork")
    alice, bob = await connect(office, RECORDED)
    parent = office.live().record.sid
    await imaged(office, parent, office.live("outbound-dial").record.sid)
    ports = await crash(office)
    held.set()
    await start_again(office, ports)
    await event(office, "a", "siprec-started")
    alice.bye()
    await office.quiet()
    assert [event for _, event, _ in siprec_events(office)] == ["siprec-started", "siprec-stopped"]


async def test_what_a_server_that_died_too_has_recorded_is_begun_anew(office):
    alice, bob, parent, _ = await recorded(office)
    (target,) = office.services.connectors.find(office.account.sid, None).targets
    await restart(office, dead_servers=[target.text])
    await until(lambda: len(list(office.recordings.glob("*"))) == 2, "another recording")
    forks = office.engine.sessions[parent].forks
    await until(lambda: len(forks) == 2 and all(fork.active for fork in forks.values()), "forks")
    alice.bye()
    await office.quiet()
    assert [event for _, event, _ in siprec_events(office)] == ["siprec-started", "siprec-stopped"]


async def test_what_nobody_knows_is_closed_in_the_engine(office):
    alice, bob, parent, child = await recorded(office)
    await office.engine.open_endpoint(parent, "stranger")
    await restart(office)
    assert set(office.engine.sessions[parent].endpoints) == {parent, child}
    alice.bye()
    await office.quiet()
