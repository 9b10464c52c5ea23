"""Transfers by REFER, blind and attended, and calls taken over by an INVITE with Replaces."""

from dataclasses import replace

import pytest

from sidestream.calls.record import CallStatus
from sidestream.sdp.direction import Direction
from sidestream.sip.agent.events import EndCause, RequestAnswered
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec.reader import read
from sidestream.trunks.trunk_book import Trunk, TrunkBook

from .office_tools import BRIDGED, HOST, add_numbers, change, connect, dialog_of, platform_uri, until

RECORDED = "<Start><Siprec/></Start>" + BRIDGED


async def connect_through(office, dial=BRIDGED):
    """Connect two, and wait until they hear each other."""
    alice, bob = await connect(office, dial)
    first = office.live()
    await until(lambda: len(office.engine.sessions[first.record.sid].routes) == 2)
    return alice, bob


def refer(call, target, **fields):
    """Ask for a transfer; returns the id of the request."""
    headers = [("Refer-To", f"<{target}>"), *fields.get("headers", [])]
    with call._driver.turn() as (agent, now):
        return agent.request(call.session, "REFER", headers=headers, now=now)


async def answer_to(call, request_id):
    answers = await until(
        lambda: [
            event for event in call.events if isinstance(event, RequestAnswered) and event.request_id == request_id
        ]
    )
    return answers[0].response.status


def told(call):
    """What the NOTIFYs say."""
    return [request.body.decode().split("\r\n")[0] for request in call.requests if request.method == "NOTIFY"]


@pytest.mark.parametrize("who", ["caller", "called"])
async def test_a_blind_transfer_connects_the_other_side_with_the_newcomer(office, who):
    alice, bob = await connect_through(office)
    first, second = office.live(), office.live("outbound-dial")
    leaver, stayer = (alice, bob) if who == "caller" else (bob, alice)
    place = first if who == "caller" else second
    request_id = refer(leaver, office.carol.uri)
    carol = await office.carol.wait_for_call()
    assert await answer_to(leaver, request_id) == 202
    assert carol.request.headers.get("Referred-By")
    assert carol.request.headers.get("X-Sidestream-CallSid") == place.record.sid
    carol.ring()
    await until(lambda: "SIP/2.0 180 Ringing" in told(leaver))
    carol.answer()
    assert await leaver.ended() is EndCause.REMOTE_BYE
    assert told(leaver) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
    states = [r.headers.get("Subscription-State") for r in leaver.requests if r.method == "NOTIFY"]
    assert [state.partition(";")[0] for state in states] == ["active", "active", "terminated"]
    await stayer.peer_offered(1)
    # Same calls, same endpoints, same routes: only the remote is another one.
    session = office.engine.sessions[first.record.sid]
    assert session.endpoints[place.record.sid].remote.port == carol.stream.port
    assert session.routes == {first.record.sid: second.record.sid, second.record.sid: first.record.sid}
    assert len(session.endpoints) == 2
    stayer.bye()
    assert await carol.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    assert [record.status for record in await office.records()] == [CallStatus.COMPLETED] * 2
    assert office.engine.sessions == {}


async def test_a_party_on_hold_is_taken_off_it(office):
    alice, bob = await connect_through(office)
    await bob.hold(Direction.SENDONLY)
    assert alice.media.is_held
    refer(bob, office.carol.uri)
    carol = await office.carol.wait_for_call()
    carol.answer()
    await bob.ended()
    await until(lambda: not alice.media.is_held)
    alice.bye()
    await carol.ended()


async def test_who_hangs_up_after_the_refer_leaves_the_others_to_themselves(office):
    alice, bob = await connect_through(office)
    refer(alice, office.carol.uri)
    carol = await office.carol.wait_for_call()
    alice.bye()
    assert await alice.ended() is EndCause.LOCAL_BYE
    carol.answer()
    await carol.acknowledged()
    await bob.peer_offered(1)
    carol.bye()
    assert await bob.ended() is EndCause.REMOTE_BYE
    await office.quiet()


async def test_the_newcomer_is_called_off_when_the_other_side_leaves(office):
    alice, bob = await connect_through(office)
    refer(bob, office.carol.uri)
    carol = await office.carol.wait_for_call()
    carol.ring()
    alice.bye()
    assert await carol.ended() is EndCause.CANCELLED
    await bob.ended()
    await office.quiet()
    assert office.engine.sessions == {}


@pytest.mark.parametrize("status", [486, 603])
async def test_if_nobody_answers_the_call_goes_on_as_it_was(office, status):
    alice, bob = await connect_through(office)
    first, second = office.live(), office.live("outbound-dial")
    refer(bob, office.carol.uri)
    (await office.carol.wait_for_call()).reject(status)
    await until(lambda: len(told(bob)) == 2)
    assert told(bob)[-1].startswith(f"SIP/2.0 {status}")
    assert office.engine.sessions[first.record.sid].endpoints[second.record.sid].remote.port == bob.stream.port
    request_id = refer(bob, office.carol.uri)  # and once more
    carol = await office.carol.wait_for_call()
    assert await answer_to(bob, request_id) == 202
    carol.answer()
    await bob.ended()
    assert "refer;id=" in bob.requests[-1].headers.get("Event")
    alice.bye()
    await carol.ended()


async def test_a_number_of_ours_goes_by_the_trunk(office):
    alice, bob = await connect_through(office)
    trunk = Trunk("carrier", outbound=Uri.sip("", HOST, office.carol.port))
    change(office, trunks=TrunkBook([trunk]))
    for call in office.services.live:
        call.services = office.services
    refer(bob, f"sip:+15550100003@{HOST}")
    carol = await office.carol.wait_for_call()
    assert carol.request.uri.user == "+15550100003"
    carol.answer()
    await bob.ended()
    alice.bye()
    await carol.ended()


class TestRefused:
    async def test_before_anybody_is_connected(self, office):
        office.twiml("<Dial><Sip>{bob}</Sip></Dial>")
        alice = office.dial_in()
        await alice.answered()
        bob = await office.bob.wait_for_call()
        assert await answer_to(alice, refer(alice, office.carol.uri)) == 603
        alice.bye()
        await bob.ended()

    async def test_outside_a_call(self, office):
        with office.alice.driver.turn() as (agent, now):
            uri = Uri.parse(platform_uri(office))
            fields = {"target": uri, "from_": NameAddr(None, uri), "headers": [("Refer-To", "<sip:a@b>")]}
            agent.request(None, "REFER", now=now, **fields)
        heard = []
        office.alice.driver.default_sink = heard.append
        await until(lambda: heard)
        assert heard[0].response.status == 405

    async def test_by_a_trunk_that_may_not(self, office):
        alice, bob = await connect_through(office)
        call = office.live("outbound-dial")
        call.party = replace(call.party, accepts_refer=False)
        assert await answer_to(bob, refer(bob, office.carol.uri)) == 603
        assert told(bob) == []
        alice.bye()
        await bob.ended()

    @pytest.mark.parametrize(
        ("target", "status"), [("http://example.org", 603), ("sip:a@b;method=BYE", 603), ("sip:", 400)]
    )
    async def test_of_what_is_no_call(self, office, target, status):
        alice, bob = await connect_through(office)
        assert await answer_to(bob, refer(bob, target)) == status
        alice.bye()
        await bob.ended()

    async def test_a_second_one_at_the_same_time(self, office):
        alice, bob = await connect_through(office)
        refer(bob, office.carol.uri)
        carol = await office.carol.wait_for_call()
        assert await answer_to(bob, refer(bob, office.carol.uri)) == 603
        assert await answer_to(alice, refer(alice, office.carol.uri)) == 603
        carol.answer()
        await bob.ended()
        alice.bye()
        await carol.ended()

    async def test_without_notifys_if_none_are_wanted(self, office):
        alice, bob = await connect_through(office)
        refer(bob, office.carol.uri, headers=[("Refer-Sub", "false")])
        carol = await office.carol.wait_for_call()
        carol.answer()
        await bob.ended()
        assert told(bob) == []
        alice.bye()
        await carol.ended()


class TestAttended:
    async def test_the_consulted_party_is_connected(self, office):
        add_numbers(office, _2000=f'<Dial answerOnBridge="true"><Sip>{office.carol.uri}</Sip></Dial>')
        alice, bob = await connect_through(office)
        first = office.live()
        consult = office.alice.call(platform_uri(office, "2000"))
        carol = await office.carol.wait_for_call()
        carol.answer()
        await consult.answered()
        await carol.acknowledged()
        dialog = str(dialog_of(consult)).replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
        refer(alice, f"{platform_uri(office, '2000')}?Replaces={dialog}")
        assert await alice.ended() is EndCause.REMOTE_BYE
        assert await consult.ended() is EndCause.REMOTE_BYE
        assert told(alice)[-1] == "SIP/2.0 200 OK"
        await carol.peer_offered(1)
        await bob.peer_offered(1)
        endpoint = office.engine.sessions[first.record.sid].endpoints[first.record.sid]
        assert endpoint.remote.port == carol.stream.port
        await until(lambda: len(office.services.live) == 2)
        assert len(office.engine.sessions) == 1
        bob.bye()
        assert await carol.ended() is EndCause.REMOTE_BYE
        await office.quiet()

    async def test_one_that_we_do_not_have_is_asked_for_at_the_target(self, office):
        alice, bob = await connect_through(office)
        refer(bob, f"{office.carol.uri}?Replaces=other%40x%3Bto-tag%3D1%3Bfrom-tag%3D2")
        carol = await office.carol.wait_for_call()
        assert carol.request.headers.get("Replaces") == "other@x;to-tag=1;from-tag=2"
        carol.answer()
        await bob.ended()
        alice.bye()
        await carol.ended()

    async def test_a_phone_takes_a_call_over(self, office):
        alice, bob = await connect_through(office)
        first, second = office.live(), office.live("outbound-dial")
        carol = office.carol.call(
            platform_uri(office), headers=[("Replaces", str(dialog_of(bob))), ("Require", "replaces")]
        )
        await carol.answered()
        assert await bob.ended() is EndCause.REMOTE_BYE
        await alice.peer_offered(1)
        endpoint = office.engine.sessions[first.record.sid].endpoints[second.record.sid]
        assert endpoint.remote.port == carol.stream.port
        alice.bye()
        assert await carol.ended() is EndCause.REMOTE_BYE
        await office.quiet()

    async def test_what_cannot_be_taken_over(self, office):
        alice, bob = await connect_through(office)
        dialog = dialog_of(bob)
        for value, status in (
            (replace(dialog, to_tag="other"), 481),
            (replace(dialog, early_only=True), 486),
            ("nonsense", 400),
        ):
            carol = office.carol.call(platform_uri(office), headers=[("Replaces", str(value))])
            await carol.ended()
            assert carol.status == status
        alice.bye()
        await bob.ended()
        await office.quiet()
        carol = office.carol.call(platform_uri(office), headers=[("Replaces", str(dialog))])
        await carol.ended()
        assert carol.status == 481


async def test_the_recording_goes_on_and_hears_of_the_new_party(office):
    alice, bob = await connect_through(office, RECORDED)
    first = office.live()
    session = office.engine.sessions[first.record.sid]
    await until(lambda: len(session.forks) == 2 and all(fork.active for fork in session.forks.values()))
    ports = {name: fork.ports for name, fork in session.forks.items()}

    def documents():
        return [read(path.read_bytes()).recording for path in sorted(office.recordings.glob("*/metadata-*.xml"))]

    await until(lambda: documents() and len(documents()[-1].participants) == 2)
    before = documents()[-1]
    refer(bob, office.carol.uri)
    carol = await office.carol.wait_for_call()
    carol.answer()
    await bob.ended()
    await until(lambda: documents()[-1].sessions[0].session_id != before.sessions[0].session_id)
    after = documents()[-1]
    # siprec.md B3: another session in a group; who stays keeps the id, and so does each stream.
    assert after.sessions[0].group_ref == after.groups[0].group_id
    stayed, newcomer = after.participants
    assert stayed == before.participants[0]
    assert newcomer.participant_id != before.participants[1].participant_id
    assert "carol" in newcomer.name_ids[0].aor
    assert [stream.stream_id for stream in after.streams] == [stream.stream_id for stream in before.streams]
    assert {stream.session_id for stream in after.streams} == {after.sessions[0].session_id}
    assert after.session_recordings[0].session_id == after.sessions[0].session_id
    assert {name: fork.ports for name, fork in session.forks.items()} == ports
    assert len(office.srs._sessions) == 1
    alice.bye()
    await carol.ended()
    await office.quiet()
