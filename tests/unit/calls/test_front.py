"""The door to calls: how SIP is answered there, and what the API may do."""

import asyncio

import pytest

from sidestream.accounts.account import Account, Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.domain import Domain, DomainBook
from sidestream.calls.bridge import LegPhase
from sidestream.calls.front import RETRY_AFTER_S, CallFront
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import CreateCall, Instructions, StartSiprec, UpdateCall
from sidestream.calls.services import CallSettings
from sidestream.calls.users import SipUsers, make_gate
from sidestream.media.engine import MediaEngineError
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.events import AckReceived, EndCause, InviteReceived, RequestReceived, SessionEnded
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import SDP_TEXT, request, turns
from sidestream.trunks.trunk_book import Trunk, TrunkBook

HERE = Peer(Transport.UDP, "127.0.0.1", 5060, "udp")
TWIML = Instructions(twiml="<Response/>")


@pytest.fixture
def front(room):
    front = CallFront(room.services)
    room.agent.default_sink = front.take_sip_event
    return front


async def ring(front, body=SDP_TEXT, *, session="in", uri="sip:1000@192.0.2.2", extra="", peer=HERE):
    front.take_sip_event(InviteReceived(session, request("INVITE", body, uri=uri, extra=extra), peer))
    await turns()


def answers(room):
    return [one.args for one in room.agent.all("respond")]


async def answered(room, front):
    """A live inbound call in progress."""
    await ring(front)
    (call,) = room.services.live
    await call.ensure_answered()
    await room.acknowledge(call)
    return call


class TestInvite:
    async def test_a_call_is_born_that_rings_and_runs_its_instructions(self, room, front):
        await ring(front, extra="X-Customer: 7\r\nUser-to-User: ab\r\nSubject: no\r\n")
        (call,) = room.services.live
        assert answers(room) == [("in", 180)]
        assert (call.record.direction, call.record.status) == (Direction.INBOUND, CallStatus.RINGING)
        assert (call.record.to, call.record.from_) == ("sip:1000@192.0.2.2", "sip:a@example.com")
        assert (call.sip_parameters.source_ip, call.sip_parameters.domain) == ("127.0.0.1", "192.0.2.2")
        assert call.sip_parameters.headers == (("X-Customer", "7"), ("User-to-User", "ab"))
        assert [what.twiml for _, what in room.scripts] == ["<Response/>"]
        (stored,) = await front.list_calls(room.account, CallFilter(), 0, 9)
        assert stored.sid == call.record.sid

    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("sip:+15550100@192.0.2.2;user=phone", "+15550100"),
            ("tel:+15550100", "+15550100"),
            ("sip:x@192.0.2.2;a=b", "sip:x@192.0.2.2"),
        ],
    )
    async def test_numbers_are_shown_as_such(self, room, front, uri, shown):
        room.change(
            accounts=AccountBook([room.account], [Number("*", room.account.sid, VoiceSettings(twiml="<Response/>"))])
        )
        await ring(CallFront(room.services), uri=uri)
        (call,) = room.services.live
        assert call.record.to == shown

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"uri": "sip:2000@192.0.2.2"}, 404),
            ({"peer": Peer(Transport.UDP, "203.0.113.9", 5060, "udp")}, 403),
            ({"body": "v=1\r\n"}, 400),
            ({"body": SDP_TEXT.replace("audio", "video")}, 488),
            ({"extra": "Replaces: nonsense\r\n"}, 400),
            ({"extra": "Replaces: 1;to-tag=b;from-tag=a\r\n"}, 481),
        ],
    )
    async def test_or_refused(self, room, front, fields, status):
        await ring(front, **fields)
        assert answers(room) == [("in", status)]
        assert len(room.services.live) == 0

    @pytest.mark.parametrize("why", ["limit", "draining"])
    async def test_when_there_is_no_room_it_may_be_tried_later(self, room, why):
        room.change(settings=CallSettings(sip_host="192.0.2.2", calls=0 if why == "limit" else 9))
        front = CallFront(room.services)
        if why == "draining":
            await front.drain()
        await ring(front)
        assert answers(room) == [("in", 503)]
        assert room.agent.last("respond").fields["headers"] == (("Retry-After", str(RETRY_AFTER_S)),)

    async def test_a_defect_leaves_nobody_without_an_answer(self, room, front, monkeypatch):
        monkeypatch.setattr("sidestream.calls.front.party_of", None)
        await ring(front)
        assert answers(room) == [("in", 500)]

    async def test_an_invite_with_replaces_takes_the_place_of_a_party(self, room, front):
        first, second = await room.bridged()
        room.agent.dialogs["1", "b", "a"] = second.leg.session
        await ring(front, session="new", uri="sip:sidestream@192.0.2.2", extra="Replaces: 1;to-tag=b;from-tag=a\r\n")
        assert answers(room)[-1] == ("new", 200)
        await room.take_offer(first)
        assert second.leg.session == "new"


class TestOtherRequests:
    @pytest.mark.parametrize("method", ["REFER", "MESSAGE", "INFO"])
    async def test_methods_that_mean_nothing_outside_a_call_are_405(self, room, front, method):
        front.take_sip_event(RequestReceived("r1", None, request(method), HERE))
        assert room.agent.last("answer").args == ("r1", 405)

    async def test_a_register_is_answered_by_the_reception(self, room, front):
        front.take_sip_event(RequestReceived("r1", None, request("REGISTER", uri="sip:192.0.2.2"), HERE))
        assert room.agent.last("answer").args == ("r1", 403)

    async def test_late_events_of_a_session_that_is_over_are_dropped(self, room, front):
        front.take_sip_event(AckReceived("in", request("ACK")))
        front.take_sip_event(SessionEnded("in", EndCause.NO_ACK))
        assert room.agent.commands == []


class TestCreate:
    async def create(self, front, account, to="sip:b@192.0.2.7", **fields):
        return await front.create_call(account, CreateCall(to, "+15550199", TWIML, **fields))

    async def test_a_call_is_placed(self, room, front):
        record = await self.create(front, room.account, caller_id="sip:me@example.com")
        assert (record.direction, record.from_) == (Direction.OUTBOUND_API, "sip:me@example.com")
        assert str(room.agent.last("invite").fields["target"]) == "sip:b@192.0.2.7"

    async def test_with_a_password(self, room, front):
        await self.create(front, room.account, sip_auth_username="u", sip_auth_password=None)
        assert room.agent.last("invite").fields["credentials"].username == "u"

    async def test_with_header_fields(self, room, front):
        record = await self.create(front, room.account, "sip:b@192.0.2.7?X-Ticket=4%2F7", caller_id="sip:me@h?X-A=b")
        assert record.to == "sip:b@192.0.2.7"
        fields = room.agent.last("invite").fields
        assert [str(fields[name]) for name in ("target", "to", "from_")] == [
            "sip:b@192.0.2.7",
            "<sip:b@192.0.2.7>",
            "<sip:me@h>",
        ]
        assert ("X-Ticket", "4/7") in fields["headers"]

    async def test_unless_answered_in_time_it_ends(self, room, front):
        record = await self.create(front, room.account, timeout=0)
        await asyncio.sleep(0.01)
        assert record.status is CallStatus.NO_ANSWER

    @pytest.mark.parametrize(
        ("to", "code"),
        [
            ("+15550100", 13224),
            ("sip:", 21211),
            ("sip:b@192.0.2.7;secure=true", 32209),
            ("sip:b@192.0.2.7?Via=x", 21211),
            ("sip:b@192.0.2.7?X-A=b%0D%0AVia:%20x", 21211),
        ],
    )
    async def test_or_refused(self, room, front, to, code):
        with pytest.raises(Refusal) as refused:
            await self.create(front, room.account, to)
        assert (refused.value.status, refused.value.code) == (400, code)

    async def test_a_number_goes_by_a_trunk(self, room):
        room.change(trunks=TrunkBook([Trunk("t", outbound=Uri.parse("sip:192.0.2.50"))]))
        await self.create(CallFront(room.services), room.account, "+15550100")
        assert str(room.agent.last("invite").fields["target"]) == "sip:+15550100@192.0.2.50"

    async def test_a_user_who_is_not_there(self, room):
        book = DomainBook([Domain("pbx.test", room.account.sid)])
        room.change(users=SipUsers(book, Registrar(room.stores.bindings), make_gate(room.ids)))
        with pytest.raises(Refusal, match="nobody's address"):
            await self.create(CallFront(room.services), room.account, "sip:alice@pbx.test")

    async def test_without_media_there_is_no_call(self, room, front):
        room.engine.fail("open_session")
        with pytest.raises(Refusal) as refused:
            await self.create(front, room.account)
        assert (refused.value.status, refused.value.code) == (400, 31900)
        assert isinstance(refused.value.__cause__, MediaEngineError)

    async def test_nor_with_an_engine_that_is_busy(self, room, front):
        room.engine.fail("open_session", "overload")
        with pytest.raises(Refusal) as refused:
            await self.create(front, room.account)
        assert (refused.value.status, refused.value.code) == (503, 32211)

    async def test_no_more_than_there_may_be(self, room):
        room.change(settings=CallSettings(sip_host="192.0.2.2", calls=0))
        with pytest.raises(Refusal) as refused:
            await self.create(CallFront(room.services), room.account)
        assert (refused.value.status, refused.value.code) == (429, 10004)


class TestUpdate:
    async def test_it_ends_a_call_and_waits_for_that(self, room, front):
        call = await answered(room, front)
        record = await front.update_call(room.account, call.record.sid, UpdateCall(CallStatus.COMPLETED))
        assert record.status is CallStatus.COMPLETED
        assert call.over.is_set()

    async def test_it_gives_new_instructions_and_callbacks(self, room, front):
        call = await answered(room, front)
        form = UpdateCall(instructions=TWIML, status_callback="http://app.example/new", time_limit=60)
        await front.update_call(room.account, call.record.sid, form)
        await turns()
        assert [what for _, what in room.scripts][-1] is TWIML
        assert (call.callbacks.url, call.callbacks.method) == ("http://app.example/new", "POST")

    async def test_what_does_not_fit_its_state_is_refused(self, room, front):
        await ring(front)
        (call,) = room.services.live
        with pytest.raises(Refusal, match="Cannot redirect"):
            await front.update_call(room.account, call.record.sid, UpdateCall(instructions=TWIML))
        await call.ensure_answered()
        with pytest.raises(Refusal, match="Cannot cancel"):
            await front.update_call(room.account, call.record.sid, UpdateCall(CallStatus.CANCELED))
        call.hang_up()
        await turns()
        with pytest.raises(Refusal, match="it is completed"):
            await front.update_call(room.account, call.record.sid, UpdateCall(CallStatus.COMPLETED))

    async def test_a_call_that_waits_can_be_cancelled(self, room, front):
        await ring(front)
        (call,) = room.services.live
        record = await front.update_call(room.account, call.record.sid, UpdateCall(CallStatus.CANCELED))
        assert (record.status, call.leg.phase) == (CallStatus.CANCELED, LegPhase.OVER)


class TestFetchAndDelete:
    async def test_another_accounts_call_is_none(self, room, front):
        call = await answered(room, front)
        for account in (room.other_account, Account("ACnone", "x")):
            with pytest.raises(Refusal) as missing:
                await front.fetch_call(account, call.record.sid)
            assert missing.value.status == 404

    async def test_one_that_is_over_can_be_deleted_once(self, room, front):
        call = await answered(room, front)
        with pytest.raises(Refusal) as refused:
            await front.delete_call(room.account, call.record.sid)
        assert refused.value.code == 20009
        call.hang_up()
        await turns()
        assert (await front.fetch_call(room.account, call.record.sid)).status is CallStatus.COMPLETED
        await front.delete_call(room.account, call.record.sid)
        with pytest.raises(Refusal) as missing:
            await front.delete_call(room.account, call.record.sid)
        assert missing.value.code == 20404


class TestSiprecs:
    async def test_by_sid_and_by_name_to_its_end_and_after_it(self, room, front):
        await ring(front)
        (call,) = room.services.live
        siprec = call.streams.start(StartSiprec(name="a"), started_by="twiml")
        assert (await front.fetch_siprec(room.account, call.record.sid, "a")).sid == siprec.sid
        stopped = await front.stop_siprec(room.account, call.record.sid, "a")
        assert (stopped.sid, stopped.stopped_by) == (siprec.sid, "rest")
        call.hang_up()
        await turns()
        assert (await front.stop_siprec(room.account, call.record.sid, siprec.sid)).stopped_by == "rest"
        assert [one.sid for one in await front.list_siprecs(room.account, call.record.sid, 0, 9)] == [siprec.sid]
        with pytest.raises(Refusal) as missing:
            await front.fetch_siprec(room.account, call.record.sid, "b")
        assert missing.value.status == 404
        with pytest.raises(Refusal) as refused:
            await front.start_siprec(room.account, call.record.sid, StartSiprec())
        assert refused.value.code == 21220

    async def test_one_is_started_in_a_live_call(self, room, front):
        call = await answered(room, front)
        siprec = await front.start_siprec(room.account, call.record.sid, StartSiprec(name="b"))
        assert siprec.started_by == "rest"


async def test_draining_ends_what_lives_and_takes_no_more(room, front):
    call = await answered(room, front)
    await ring(front, session="other")
    await front.drain()
    assert len(room.services.live) == 0
    assert call.record.status is CallStatus.COMPLETED
    assert ("other", 503) in answers(room)
    with pytest.raises(Refusal):
        await front.create_call(room.account, CreateCall("sip:b@192.0.2.7", "1", TWIML))
