"""The Siprecs of a call: what may start, when it begins, and how it stops."""

import asyncio
from typing import ClassVar

import pytest

from sidestream.calls import streams
from sidestream.calls.bridge import LegPhase
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import StartSiprec
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.media.engine import Dtmf
from sidestream.recording.siprec import SiprecEvent, SiprecStatus
from sidestream.sip.agent.events import EndCause, SessionEnded
from sidestream.testing.call_room import turns

CALLBACK = "http://app.example/siprec"


class Session:
    """A recording session that runs until it is stopped; `made` are all of them."""

    made: ClassVar[list] = []

    def __init__(self, siprec, connector, call, *, observer, **_):
        self.siprec, self.connector, self.call, self.observer = siprec, connector, call, observer
        self.updates, self.heard, self.stops = [], [], []
        self.over = asyncio.Event()
        self.sticks = False
        Session.made.append(self)

    async def run(self):
        await self.over.wait()

    def update(self, call):
        self.updates.append(call)

    def receive_media(self, event):
        self.heard.append(event)

    def end(self, by):
        self.stops.append(by)
        if not self.sticks:
            self.observer.siprec_changed(self.siprec, SiprecEvent.STOPPED)
            self.over.set()


@pytest.fixture(autouse=True)
def sessions(monkeypatch):
    Session.made = []
    monkeypatch.setattr(streams, "RecordingSession", Session)
    return Session.made


@pytest.fixture
async def call(room):
    call = await room.incoming()
    await call.ensure_answered()
    await room.acknowledge(call)
    return call


def start(call, by="twiml", **wanted):
    return call.streams.start(StartSiprec(**wanted), started_by=by)


async def stored(room, siprec):
    return await room.stores.siprecs.fetch(siprec.account_sid, siprec.call_sid, siprec.sid)


def told(room):
    return [dict(one.parameters)["SiprecEvent"] for one in room.outbox.sent if one.kind == "siprec"]


class TestStart:
    async def test_it_is_stored_and_begins(self, room, call, sessions):
        siprec = start(call, name="a", parameters=(("k", "v"),), status_callback=CALLBACK, status_callback_method="get")
        await turns()
        kept = await stored(room, siprec)
        assert (kept.status, kept.name, kept.connector_name) == (SiprecStatus.IN_PROGRESS, "a", "Default")
        assert (kept.parameters, kept.status_callback_method, kept.started_by) == ((("k", "v"),), "GET", "twiml")
        (session,) = sessions
        assert session.call.parties[0].aor == call.party.aor
        assert (session.call.parties[1], session.call.endpoint) == (None, call.record.sid)
        assert "siprec.created" in await room.timeline(call)

    async def test_before_the_call_has_media_it_waits(self, room, sessions):
        call = await room.incoming()
        start(call)
        assert sessions == []
        await call.ensure_answered()
        assert len(sessions) == 1

    @pytest.mark.parametrize(
        ("wanted", "status", "code"),
        [
            ({"track": "left"}, 400, 31941),
            ({"connector_name": "none"}, 400, 31940),
            ({"name": "a"}, 400, 20001),
            ({"status_callback": "nowhere"}, 400, 21205),
            ({"status_callback": CALLBACK, "status_callback_method": "PUT"}, 400, 21209),
        ],
    )
    async def test_what_cannot_be_done_is_refused(self, call, wanted, status, code):
        start(call, name="a", track="inbound_track")
        with pytest.raises(Refusal) as refused:
            start(call, **wanted)
        assert (refused.value.status, refused.value.code) == (status, code)

    async def test_no_more_forks_than_there_may_be(self, room, call):
        first = start(call)
        start(call)
        with pytest.raises(Refusal) as refused:
            start(call, track="inbound_track")
        assert refused.value.code == 31960
        call.streams.stop(first.sid, by="rest")
        start(call, track="inbound_track")

    async def test_by_rest_only_in_a_call_that_was_answered(self, room):
        call = await room.incoming()
        with pytest.raises(Refusal) as refused:
            start(call, by="rest")
        assert refused.value.code == 21220
        start(call)
        call.hang_up()
        with pytest.raises(Refusal):
            start(call)

    async def test_without_a_default_connector_that_is_said(self, room, call):
        room.change(connectors=ConnectorBook([]))
        with pytest.raises(Refusal, match="'Default', and none was given"):
            start(call)


class TestChange:
    async def test_running_ones_are_told_of_media_and_parties(self, room, sessions):
        first, second = await room.bridged()
        start(first)
        first.media_changed()
        (session,) = sessions
        (told,) = session.updates
        assert [party.aor for party in told.parties] == [first.party.aor, second.party.aor]
        assert (told.inbound_sending, told.outbound_sending) == (True, True)

    async def test_engine_events_reach_them(self, room, call, sessions):
        start(call)
        await turns()
        event = Dtmf(call.record.sid, call.record.sid, "1", 100)
        room.engine.emit(event)
        assert sessions[0].heard == [event]

    async def test_what_a_session_says_is_stored_told_and_noted(self, room, call, sessions):
        siprec = start(call, status_callback=CALLBACK)
        await turns()
        siprec.invite_ms = 12
        call.streams.siprec_changed(siprec, SiprecEvent.STARTED)
        call.streams.siprec_changed(siprec, None)
        siprec.error_code, siprec.error_message = 31910, "no answer"
        call.streams.siprec_changed(siprec, SiprecEvent.ERROR)
        assert told(room) == ["siprec-started", "siprec-error"]
        assert dict(room.outbox.sent[-1].parameters)["SiprecError"] == "no answer"
        assert await room.codes() == [31910]
        assert (await stored(room, siprec)).error_code == 31910
        assert call.streams.latest() is None
        sessions[0].over.set()

    async def test_a_recording_at_rest_again_belongs_into_an_image(self, room, call, sessions, monkeypatch):
        start(call)
        looked = []
        monkeypatch.setattr(call, "changed", lambda: looked.append(call))
        call.streams.recording_settled()
        assert looked == [call]

    async def test_media_that_does_not_reach_its_server_is_an_alert(self, room, call, sessions):
        siprec = start(call)
        call.streams.media_discarded(siprec, "4 packets could not be sent")
        assert await room.codes() == [31931]
        assert "siprec.discarded" in await room.timeline(call)


class TestStop:
    async def test_its_status_is_stopped_at_once(self, room, call, sessions):
        siprec = start(call, name="a", status_callback=CALLBACK)
        await turns()
        sessions[0].sticks = True
        room.wait(3)
        call.streams.stop(siprec.sid, by="rest")
        assert (await stored(room, siprec)).status is SiprecStatus.STOPPED
        assert (siprec.stopped_by, call.streams.find("a")) == ("rest", None)
        assert siprec.date_updated == room.clock.wall()
        await turns()
        assert sessions[0].stops == ["rest"]
        assert told(room) == []
        call.streams.stop(siprec.sid, by="twiml")
        assert siprec.stopped_by == "rest"
        sessions[0].over.set()

    async def test_one_that_never_began_is_over_there_and_then(self, room, sessions):
        call = await room.incoming()
        siprec = start(call, status_callback=CALLBACK)
        call.streams.stop(siprec.sid, by="twiml")
        assert siprec.stopped_at == room.clock.wall()
        assert told(room) == ["siprec-stopped"]
        assert sessions == []

    async def test_the_latest_of_several(self, call):
        start(call, track="inbound_track")
        second = start(call, track="inbound_track")
        assert call.streams.latest() is second

    async def test_with_the_call_all_of_them_end(self, room, call, sessions):
        start(call), start(call)
        await turns()
        call.leg.hang_up()
        await turns()
        assert [session.stops for session in sessions] == [["call-ended"], ["call-ended"]]
        assert call.over.is_set()

    async def test_one_that_does_not_end_is_abandoned(self, room, call, sessions, monkeypatch):
        monkeypatch.setattr("sidestream.calls.call.STREAMS_STOP_S", 0.0)
        start(call)
        await turns()
        sessions[0].sticks = True
        room.agent.hear(SessionEnded("in", EndCause.REMOTE_BYE))
        await call.over.wait()
        assert call.leg.phase is LegPhase.OVER
        assert not sessions[0].over.is_set()
