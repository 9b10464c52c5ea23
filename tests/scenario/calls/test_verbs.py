"""What each verb does on a real call, and what a document may get wrong without losing the call."""

import asyncio

import pytest

from sidestream.calls.interpreter import DOCUMENT_LIMIT
from sidestream.calls.record import CallStatus
from sidestream.calls.speech import Speech
from sidestream.media.engine import Dtmf
from sidestream.sip.agent.events import EndCause
from sidestream.testing.webhook_app import Reply
from sidestream.trunks.trunk_book import TrunkBook

from .office_tools import add_numbers, change, codes, statuses, until

# A WAV of 80 samples of silence, 8 kHz mono 16-bit.
WAV = (
    b"RIFF"
    + (36 + 160).to_bytes(4, "little")
    + b"WAVEfmt "
    + bytes.fromhex("10000000 0100 0100 401f0000 803e0000 0200 1000")
    + b"data"
    + (160).to_bytes(4, "little")
    + bytes(160)
)


async def playing(office):
    """The player of the one call, and its name."""
    players = await until(lambda: [p for session in office.engine.sessions.values() for p in session.players.items()])
    return players[0]


@pytest.mark.parametrize(
    ("verbs", "status", "becomes"),
    [
        ('<Reject reason="busy"/>', 486, CallStatus.BUSY),
        ("<Reject/>", 603, CallStatus.NO_ANSWER),
        ("<Hangup/>", 603, CallStatus.NO_ANSWER),
        ("", 603, CallStatus.NO_ANSWER),
    ],
)
async def test_a_document_may_refuse_the_call(office, verbs, status, becomes):
    office.twiml(verbs)
    alice = office.dial_in()
    assert await alice.ended() is EndCause.REJECTED
    assert alice.status == status
    await office.quiet()
    (record,) = await office.records()
    assert (record.status, record.start_time, record.sip_response_code) == (becomes, None, status)
    assert record.duration == 0
    assert statuses(office) == [becomes.value]


async def test_reject_on_an_answered_call_only_ends_it(office):
    office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
    office.twiml("<Play>/audio</Play><Reject/>")
    alice = office.dial_in()
    name, _ = await playing(office)
    office.engine.finish_player(office.live().record.sid, name)
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    (record,) = await office.records()
    assert record.status is CallStatus.COMPLETED
    assert statuses(office) == ["in-progress", "completed"]


async def test_play_answers_plays_and_goes_on(office):
    office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
    office.twiml('<Play loop="3">/audio</Play><Redirect>/next</Redirect>')
    office.twiml("<Hangup/>", "/next")
    alice = office.dial_in()
    await alice.answered()
    name, player = await playing(office)
    assert player.loops == 3
    assert office.app.to("/next") == []
    office.engine.finish_player(office.live().record.sid, name)
    await alice.ended()
    (request,) = office.app.to("/next")
    assert request.parameter("CallStatus") == "in-progress"
    await office.quiet()
    assert await codes(office) == []


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(b"this is no audio", content_type="audio/wav"), 12300),
        (Reply(b"gone", status=404), 11217),
        (Reply(b"", content_type="audio/wav"), 11770),
    ],
)
async def test_what_cannot_be_played_is_an_alert_and_the_next_verb_runs(office, reply, code):
    office.app.answer("/audio", reply)
    office.twiml("<Play>/audio</Play><Redirect>/next</Redirect>")
    office.twiml("<Hangup/>", "/next")
    alice = office.dial_in()
    await alice.ended()
    assert len(office.app.to("/next")) == 1
    await office.quiet()
    assert await codes(office) == [code]


async def test_digits_are_dialled_and_the_document_goes_on(office):
    office.twiml('<Play digits="ww12#"/><Redirect>/next</Redirect>')
    office.twiml("<Hangup/>", "/next")
    alice = office.dial_in()
    name, player = await playing(office)
    session = office.live().record.sid
    assert (player.endpoint, player.digits) == (session, "ww12#")
    office.engine.finish_player(session, name)
    await office.app.wait_for(lambda received: received.path == "/next")
    await alice.ended()
    await office.quiet()
    assert await codes(office) == []


async def test_without_a_synthesiser_say_is_an_alert_and_the_next_verb_runs(office, tmp_path):
    change(office, speech=Speech(office.services.audio, tmp_path / "speech", program="no-such-synthesiser"))
    office.twiml("<Say>Hello</Say><Redirect>/next</Redirect>")
    office.twiml("<Hangup/>", "/next")
    alice = office.dial_in()
    await alice.answered()
    await alice.ended()
    assert len(office.app.to("/next")) == 1
    await office.quiet()
    assert await codes(office) == [13520]


async def test_a_pause_keeps_it_ringing_and_can_be_given_up(office):
    office.twiml('<Pause length="600"/><Hangup/>')
    alice = office.dial_in()
    await alice.ringing()
    await until(lambda: len(office.app.to("/voice")) == 1)
    alice.cancel()
    assert await alice.ended() is EndCause.CANCELLED
    await office.quiet()
    (record,) = await office.records()
    assert record.status is CallStatus.CANCELED
    assert {response.status for response in alice.responses} == {180, 487}


async def test_a_document_that_goes_round_in_circles_is_stopped(office):
    office.twiml("<Redirect/>")
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 500
    await office.quiet()
    assert await codes(office) == [11215]
    assert len(office.app.to("/voice")) == DOCUMENT_LIMIT + 1


async def test_a_dial_that_dials_nobody_is_no_way_out_of_the_circle(office):
    change(office, trunks=TrunkBook())
    office.twiml('<Dial action="/voice" answerOnBridge="true">+15550100002</Dial>')
    alice = office.dial_in()
    await alice.ended()
    assert len(office.app.to("/voice")) == DOCUMENT_LIMIT + 1
    assert office.app.received[-1].path != "/fallback"
    await office.quiet()
    found = await codes(office)
    assert set(found) == {13224, 11215}


async def test_the_fallback_is_told_what_went_wrong(office):
    office.app.answer("/voice", Reply("oops", status=503))
    office.twiml('<Reject reason="busy"/>', "/fallback")
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 486
    (request,) = office.app.to("/fallback")
    assert request.parameter("ErrorCode") == "11217"
    assert request.parameter("ErrorUrl") == office.app.url("/voice")
    assert request.signature_valid
    await office.quiet()
    assert await codes(office) == [11217]


@pytest.mark.parametrize("bad", ["<Response><Say>", "<Antwort/>", "not xml at all"])
async def test_twiml_that_cannot_be_read_is_a_failure_of_its_url(office, bad):
    office.app.answer("/voice", bad)
    office.twiml('<Reject reason="busy"/>', "/fallback")
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 486
    (request,) = office.app.to("/fallback")
    await office.quiet()
    (code,) = await codes(office)
    assert request.parameter("ErrorCode") == str(code)
    assert request.parameter("ErrorUrl") == office.app.url("/voice")


@pytest.mark.parametrize("fallback", [Reply("", status=500), Reply("<Response><Say>")])
async def test_without_a_document_the_caller_hears_that_it_is_our_side(office, fallback):
    office.app.answer("/voice", Reply(hang_up=True))
    office.app.answer("/fallback", fallback)
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 500
    await office.quiet()
    (record,) = await office.records()
    assert (record.status, record.sip_response_code) == (CallStatus.FAILED, 500)
    assert len(office.app.to("/fallback")) == 1
    assert len(await codes(office)) == 2


async def test_an_answered_call_ends_when_the_next_document_cannot_be_had(office):
    office.app.answer("/audio", Reply(b"junk", content_type="audio/wav"))
    office.app.answer("/gone", Reply("", status=404))
    office.app.answer("/fallback", Reply("", status=404))
    office.twiml("<Play>/audio</Play><Redirect>/gone</Redirect>")
    alice = office.dial_in()
    await alice.answered()
    assert await alice.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert (await office.records())[0].status is CallStatus.COMPLETED


async def test_inline_twiml_has_no_url_to_start_from(office):
    add_numbers(
        office,
        _2000='<Start><Siprec name="a" statusCallback="/cb"/></Start><Redirect>/next</Redirect><Reject reason="busy"/>',
    )
    alice = office.dial_in("2000")
    await alice.ended()
    assert alice.status == 603  # Redirect could not be followed: the document ends there
    await office.quiet()
    assert await codes(office) == [15004, 15004]
    (record,) = await office.records()
    (siprec,) = await office.front.list_siprecs(office.account, record.sid, 0, 9)
    assert siprec.status_callback is None


async def test_start_goes_on_at_once_whatever_its_action(office):
    office.twiml('<Start action="/after"><Siprec name="a"/></Start><Reject reason="busy"/>')
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 486
    assert office.app.to("/after") == []
    await office.quiet()


async def test_stopping_what_does_not_run_is_a_warning(office):
    office.twiml('<Stop><Siprec name="x"/></Stop><Stop><Siprec/></Stop><Reject reason="busy"/>')
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 486
    await office.quiet()
    assert await codes(office) == [12200, 12200]


@pytest.mark.parametrize(
    ("dial", "code"),
    [
        ('<Dial answerOnBridge="true" callerId="sip:a b@">{bob}</Dial>', 13247),
        ('<Dial answerOnBridge="true"><Sip>sip:bob@127.0.0.1;secure=true</Sip></Dial>', 32209),
    ],
)
async def test_what_cannot_be_dialled_is_an_alert_and_the_next_verb_runs(office, dial, code):
    dial = dial.replace(">{bob}<", "><Sip>{bob}</Sip><")
    office.twiml(dial + '<Reject reason="busy"/>')
    alice = office.dial_in()
    await alice.ended()
    assert alice.status == 486
    await office.quiet()
    assert await codes(office) == [code]
    assert office.bob.calls == []


async def test_a_caller_id_may_be_anything_that_fits_into_a_uri(office):
    office.twiml('<Dial callerId="front desk"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    assert bob.request.from_.uri.username == "front desk"
    bob.reject(486)
    await alice.ended()
    await office.quiet()


async def test_the_progress_of_a_dialled_leg_is_told_in_order(office):
    events = "initiated ringing answered completed"
    office.twiml(
        f'<Dial answerOnBridge="true"><Sip statusCallback="/leg" statusCallbackEvent="{events}">{{bob}}</Sip></Dial>'
    )
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.ring()
    await alice.ringing()
    bob.answer()
    await alice.answered()
    alice.bye()
    await office.quiet()
    assert statuses(office, "/leg") == ["initiated", "ringing", "in-progress", "completed"]
    assert statuses(office) == ["in-progress", "completed"]
    last = office.app.to("/leg")[-1]
    assert last.parameter("Direction") == "outbound-dial"
    assert last.parameter("ParentCallSid") == office.app.to("/status")[0].parameter("CallSid")
    assert last.parameter("CallDuration") == "0"


async def test_pressed_digits_are_noted(office):
    office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
    office.twiml("<Play>/audio</Play>")
    alice = office.dial_in()
    await playing(office)
    sid = office.live().record.sid
    office.engine.emit(Dtmf(sid, sid, "7", 100))
    office.engine.emit(Dtmf(sid, "another", "8", 100))
    alice.bye()
    await office.quiet()
    noted = await office.stores.calls.events(sid)
    assert [event.detail for event in noted if event.kind == "dtmf"] == [{"digit": "7"}]


async def test_nobody_hears_a_decline_because_nobody_answered(office):
    office.twiml('<Dial answerOnBridge="true" timeout="1"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    (await office.bob.wait_for_call()).ring()
    await alice.ended()
    assert alice.status == 480
    await office.quiet()
    assert [record.status for record in await office.records()] == [CallStatus.NO_ANSWER, CallStatus.NO_ANSWER]


@pytest.mark.parametrize(
    ("theirs", "ours", "becomes"),
    [
        (407, 500, CallStatus.FAILED),
        (481, 500, CallStatus.FAILED),
        (404, 404, CallStatus.FAILED),
        (600, 600, CallStatus.BUSY),
    ],
)
async def test_the_caller_hears_why_only_if_it_concerns_him(office, theirs, ours, becomes):
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    (await office.bob.wait_for_call()).reject(theirs)
    await alice.ended()
    assert alice.status == ours
    await office.quiet()
    parent, child = await office.records()
    assert (parent.status, child.status, child.sip_response_code) == (becomes, becomes, theirs)


async def test_time_limits_end_the_right_leg(office):
    office.twiml('<Dial answerOnBridge="true" timeLimit="1"><Sip>{bob}</Sip></Dial><Redirect>/next</Redirect>')
    office.twiml("<Hangup/>", "/next")
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.answer()
    await alice.answered()
    assert await bob.ended() is EndCause.REMOTE_BYE
    await alice.ended()
    assert len(office.app.to("/next")) == 1
    await office.quiet()


async def test_a_later_time_limit_replaces_the_earlier(office):
    office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.answer()
    await alice.answered()
    call = office.live()
    call.limit_time(talk_s=0.05)
    call.limit_time(talk_s=600)
    await asyncio.sleep(0.1)
    assert alice.cause is None
    call.limit_time(talk_s=0)
    assert await alice.ended() is EndCause.REMOTE_BYE
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()
