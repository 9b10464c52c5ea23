"""REFER carried out: who may ask, whom it reaches, what is told, and what becomes of the call."""

import asyncio
from dataclasses import replace

import pytest

from sidestream.accounts.domain import Domain, DomainBook, SipUser
from sidestream.base.secret import Secret
from sidestream.calls.pairing import Pairing
from sidestream.calls.record import CallStatus
from sidestream.calls.transfer import find_call, may_transfer
from sidestream.calls.users import SipUsers, make_gate
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.events import (
    EndCause,
    InviteAccepted,
    InviteProgress,
    InviteRejected,
    ReinviteAccepted,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.refer import Replaces
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import PHONE, SDP_TEXT, request, response, turns
from sidestream.trunks.trunk_book import Trunk, TrunkBook

CAROL = "sip:carol@192.0.2.7"


async def refer(room, call, target=CAROL, extra=""):
    message = request("REFER", extra=f"Refer-To: <{target}>\r\n{extra}")
    room.agent.hear(RequestReceived("r1", call.leg.session, message, PHONE))
    await turns()


def told(room):
    return [one.fields["body"].decode().strip() for one in room.agent.all("request") if one.args[1] == "NOTIFY"]


def newcomer(room):
    """The session of the INVITE that was sent last."""
    return f"s{len(room.agent.all('invite'))}"


async def say(room, event):
    room.agent.hear(event)
    await turns()


@pytest.fixture
async def pair(room):
    return await room.bridged()


class TestWhoMay:
    async def test_a_party_that_is_connected_with_another(self, pair):
        assert [may_transfer(call) for call in pair] == [True, True]

    async def test_not_one_whose_trunk_may_not(self, pair):
        first, second = pair
        second.party = replace(second.party, accepts_refer=False)
        assert [may_transfer(call) for call in pair] == [True, False]

    async def test_not_alone_and_not_before_the_answer(self, room):
        first = await room.incoming()
        second = await room.dialled(first)
        assert [may_transfer(first), may_transfer(second)] == [False, False]

    @pytest.mark.parametrize("who", [0, 1])
    async def test_not_while_one_is_under_way(self, room, pair, who):
        await refer(room, pair[who])
        assert [may_transfer(call) for call in pair] == [False, False]
        await refer(room, pair[1 - who])
        assert room.agent.last("answer").args == ("r1", 603)


class TestBlind:
    async def test_the_newcomer_is_offered_what_the_two_agreed_on(self, room, pair):
        first, second = pair
        await refer(room, second, extra="Referred-By: <sip:bob@example.com>\r\n")
        invite = room.agent.last("invite").fields
        assert (str(invite["target"]), str(invite["to"].uri)) == (CAROL, CAROL)
        headers = dict(invite["headers"])
        assert headers["Referred-By"] == "<sip:bob@example.com>"
        assert headers["X-Sidestream-CallSid"] == second.record.sid
        assert "Replaces" not in headers
        assert b"m=audio" in invite["body"]
        assert b"RTP/AVP 0 8 101" in invite["body"]  # the engine converts between the laws

    async def test_who_is_silent_about_it_is_named(self, room, pair):
        await refer(room, pair[1])
        assert dict(room.agent.last("invite").fields["headers"])["Referred-By"] == "<sip:a@example.com>"

    async def test_it_hears_of_the_ringing_once_and_is_hung_up_after_the_answer(self, room, pair):
        first, second = pair
        left = second.leg.session
        await refer(room, second)
        session = newcomer(room)
        await say(room, InviteProgress(session, response(180)))
        await say(room, InviteProgress(session, response(183, SDP_TEXT)))
        await say(room, InviteAccepted(session, response(200, SDP_TEXT)))
        assert told(room) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
        assert room.agent.last("bye").args == (left,)
        assert (second.leg.session, second.party.aor) == (session, CAROL)
        assert second.recorded.group_id == first.recorded.group_id is not None
        await room.take_offer(first)
        assert second.transfer is None

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (486, "SIP/2.0 486 Busy Here"),
            (302, "SIP/2.0 302 Moved Temporarily"),
        ],
    )
    async def test_if_it_fails_the_call_goes_on(self, room, pair, answer, status):
        second = pair[1]
        before = second.leg
        await refer(room, second)
        session = newcomer(room)
        await say(room, InviteRejected(session, response(answer)))
        await say(room, SessionEnded(session, EndCause.REJECTED))
        assert told(room)[-1] == status
        assert second.leg is before
        assert "transfer.failed" in await room.timeline(second)

    @pytest.mark.parametrize("body", ["", SDP_TEXT.replace("audio 4000", "audio 0")])
    async def test_an_answer_without_audio_is_488(self, room, pair, body):
        before = pair[1].leg
        await refer(room, pair[1])
        session = newcomer(room)
        await say(room, InviteAccepted(session, response(200, body)))
        assert told(room)[-1].startswith("SIP/2.0 488")
        assert room.agent.last("bye").args == (session,)
        assert pair[1].leg is before

    async def test_nobody_answers(self, room, pair, monkeypatch):
        monkeypatch.setattr("sidestream.calls.transfer.ANSWER_TIMEOUT_S", 0.0)
        await refer(room, pair[1])
        await asyncio.sleep(0.01)
        assert told(room)[-1] == "SIP/2.0 408 Request Timeout"

    async def test_a_number_at_our_own_host_needs_a_trunk(self, room, pair):
        await refer(room, pair[1], "sip:+15550100@192.0.2.2")
        assert told(room)[-1] == "SIP/2.0 404 Not Found"

    @pytest.mark.parametrize("target", ["sip:+15550100@192.0.2.2", "tel:+15550100"])
    async def test_and_goes_by_it(self, room, pair, target):
        room.change(trunks=TrunkBook([Trunk("carrier", outbound=Uri.parse("sip:192.0.2.50"), accepts_refer=False)]))
        await refer(room, pair[1], target)
        assert str(room.agent.last("invite").fields["target"]) == "sip:+15550100@192.0.2.50"
        await say(room, InviteAccepted(newcomer(room), response(200, SDP_TEXT)))
        assert (pair[1].party.home, pair[1].party.accepts_refer) == ("trunk carrier", False)

    @pytest.mark.parametrize("is_outside", [True, False])
    async def test_what_somebody_outside_names_is_called_confined(self, room, pair, is_outside):
        if is_outside:
            room.agent.outside.add(pair[1].leg.session)
        await refer(room, pair[1], "sip:x@127.0.0.1:6379")
        assert room.agent.last("invite").fields["confined"] is is_outside

    async def test_a_trunk_is_where_we_say(self, room, pair):
        room.agent.outside.add(pair[1].leg.session)
        room.change(trunks=TrunkBook([Trunk("carrier", outbound=Uri.parse("sip:127.0.0.1"))]))
        await refer(room, pair[1], "tel:+15550100")
        assert room.agent.last("invite").fields["confined"] is False

    async def test_a_user_who_is_not_there(self, room, pair):
        book = DomainBook([Domain("pbx.test", room.account.sid, (SipUser("alice", Secret("s")),))])
        room.change(users=SipUsers(book, Registrar(room.stores.bindings), make_gate(room.ids)))
        await refer(room, pair[1], "sip:alice@pbx.test")
        assert told(room)[-1].startswith("SIP/2.0 480")

    async def test_a_broken_engine_is_500(self, room, pair):
        room.engine.fail("configure_endpoint")
        await refer(room, pair[1])
        await say(room, InviteAccepted(newcomer(room), response(200, SDP_TEXT)))
        assert told(room)[-1].startswith("SIP/2.0 500")

    async def test_a_defect_ends_the_call_and_is_reported(self, room, pair):
        room.agent.raises["invite"] = ZeroDivisionError()
        await refer(room, pair[1])
        del room.agent.raises["invite"]
        assert told(room)[-1].startswith("SIP/2.0 500")
        assert 20500 in await room.codes()

    async def test_the_other_side_leaving_calls_it_off(self, room, pair):
        first, second = pair
        await refer(room, second)
        session = newcomer(room)
        first.hang_up()
        second.hang_up()
        await turns()
        assert session in [one.args[0] for one in room.agent.all("bye")]
        assert second.record.status is CallStatus.COMPLETED


class TestAttended:
    REPLACES = "?Replaces=7%3Bto-tag%3Dours%3Bfrom-tag%3Dtheirs"

    async def test_a_dialog_that_is_not_ours_goes_to_the_target(self, room, pair):
        await refer(room, pair[1], CAROL + self.REPLACES)
        assert dict(room.agent.last("invite").fields["headers"])["Replaces"] == "7;to-tag=ours;from-tag=theirs"

    @pytest.fixture
    async def consulted(self, room):
        """A second call of the one who transfers, connected with carol."""
        call = await room.incoming(session="consult")
        carol = await room.dialled(call)
        carol.pairing, carol.partner = Pairing(call, carol, room.engine, alone=True), call
        await room.answer(carol)
        room.agent.dialogs["7", "ours", "theirs"] = "consult"
        return call, carol

    async def test_the_consulted_party_moves_over(self, room, pair, consulted):
        first, second = pair
        call, carol = consulted
        moved = carol.leg.session
        await refer(room, second, CAROL + self.REPLACES)
        assert room.agent.last("reinvite").args == (moved,)
        await say(room, _accepted(moved))
        await room.take_offer(first)
        assert second.leg.session == moved
        assert told(room)[-1] == "SIP/2.0 200 OK"
        assert {call.over.is_set(), carol.over.is_set()} == {True}

    async def test_a_party_that_cannot_move_says_so(self, room, pair, consulted):
        await refer(room, pair[1], CAROL + self.REPLACES)
        await say(room, ReinviteRejected(consulted[1].leg.session, response(488)))
        assert told(room)[-1].startswith("SIP/2.0 488")
        assert not consulted[0].over.is_set()

    async def test_a_call_of_another_account_is_none(self, room, consulted):
        dialog = Replaces("7", "ours", "theirs")
        assert find_call(room.services, dialog, None) is consulted[0]
        assert find_call(room.services, dialog, room.other_account.sid) is None

    @pytest.mark.parametrize("which", [0, 1])
    async def test_the_call_itself_cannot_be_consulted(self, room, pair, which):
        room.agent.dialogs["7", "ours", "theirs"] = pair[which].leg.session
        await refer(room, pair[1], CAROL + self.REPLACES)
        assert told(room)[-1].startswith("SIP/2.0 481")


def _accepted(session):
    return ReinviteAccepted(session, response(200, SDP_TEXT))
