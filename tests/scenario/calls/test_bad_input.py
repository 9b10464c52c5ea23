"""Callers of every kind: who they say they are, what they ask for, and what they send in the middle of a call."""

import asyncio
from ipaddress import ip_network

import pytest

from sidestream.calls.record import CallStatus
from sidestream.calls.speech import SpeechUnavailable
from sidestream.sip.agent.events import InviteAccepted, ReinviteAccepted, ReinviteRejected, RequestAnswered
from sidestream.sip.message import parse_message
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.webhook_app import Reply
from sidestream.trunks.trunk_book import Trunk, TrunkBook

from .office_tools import AUDIO, HOST, SDP_TYPE, RawCall, add_numbers, change, codes, platform_uri, sdp, until
from .test_verbs import WAV


class Speaks:
    """A synthesiser that has one file for every text, or none."""

    def __init__(self, path):
        self.path = path
        self.asked = []

    async def spoken(self, text, *, voice, language):
        self.asked.append((text, voice, language))
        if self.path is None:
            raise SpeechUnavailable("out of words")
        return self.path


async def talking(office):
    """A call without partner that has been answered and hears something."""
    office.app.answer("/audio", Reply(WAV, content_type="audio/wav"))
    office.twiml('<Play loop="0">/audio</Play>')
    call = RawCall(office.alice, platform_uri(office))
    await call.until(InviteAccepted)
    call.command("acknowledge")
    await until(lambda: any(command == "play" for command, _ in office.engine.commands))
    return call


async def voice_request(office, **fields):
    """What the application is told of a call that it refuses."""
    office.twiml('<Reject reason="busy"/>')
    call = RawCall(office.alice, platform_uri(office), **fields)
    assert await call.ended() == 486
    (request,) = office.app.to("/voice")
    return request


class TestCallers:
    async def test_who_calls_is_who_the_network_says(self, office):
        request = await voice_request(
            office, headers=[("P-Asserted-Identity", '"Ann" <sip:+15550100007@carrier.example;user=phone>')]
        )
        assert (request.parameter("From"), request.parameter("CallerName")) == ("+15550100007", "Ann")

    async def test_an_unreadable_identity_does_not_count(self, office):
        request = await voice_request(office, headers=[("P-Asserted-Identity", "<<<")])
        assert request.parameter("From") == f"sip:alice@{HOST}"

    async def test_a_tel_caller_is_a_number_and_can_be_passed_on(self, office):
        office.twiml('<Dial answerOnBridge="true"><Sip>{bob}</Sip></Dial>')
        call = RawCall(office.alice, platform_uri(office), headers=[("P-Asserted-Identity", "<tel:5550100>")])
        bob = await office.bob.wait_for_call()
        assert office.app.to("/voice")[0].parameter("From") == "5550100"
        assert bob.request.from_.uri.user == "5550100"
        bob.reject(486)
        await call.ended()

    async def test_their_own_headers_reach_the_application(self, office):
        request = await voice_request(
            office, headers=[("X-Customer", "12"), ("User-to-User", "abc;encoding=hex"), ("Subject", "secret")]
        )
        told = {name: value for name, value in request.parameters if name.startswith("SipHeader_")}
        assert told == {"SipHeader_X-Customer": "12", "SipHeader_User-to-User": "abc;encoding=hex"}
        assert request.parameter("SipSourceIp") == HOST

    async def test_a_number_that_nobody_has(self, office):
        assert await RawCall(office.alice, platform_uri(office, "4711")).ended() == 404
        assert await office.records() == []

    async def test_an_address_that_may_not_call(self, office):
        change(office, trunks=TrunkBook([Trunk("far", sources=(ip_network("192.0.2.0/24"),))]))
        assert await RawCall(office.alice, platform_uri(office)).ended() == 403
        assert await office.records() == []

    async def test_a_request_outside_of_calls_is_not_allowed(self, office):
        answers = []
        office.alice.driver.default_sink = answers.append
        address = NameAddr(None, Uri.parse(platform_uri(office)))
        with office.alice.driver.turn() as (agent, now):
            agent.request(
                None, "MESSAGE", target=address.uri, from_=address, body=b"hi", content_type="text/plain", now=now
            )
        answered = await until(lambda: [event for event in answers if isinstance(event, RequestAnswered)])
        assert answered[0].response.status == 405

    @pytest.mark.parametrize("name", ["2000", "%32000", "2000;phone-context=x"])
    async def test_a_number_may_be_spelt_in_many_ways(self, office, name):
        add_numbers(office, _2000='<Reject reason="busy"/>')
        assert await RawCall(office.alice, platform_uri(office, name)).ended() == 486

    async def test_by_tcp_as_well(self, office):
        office.twiml('<Reject reason="busy"/>')
        phone = SipPhone("dora", transport=Transport.TCP)
        await phone.start()
        try:
            assert await RawCall(phone, platform_uri(office, listener="tcp")).ended() == 486
        finally:
            await phone.close()


class TestAlone:
    """What a call without partner is sent in its middle."""

    async def test_hold_and_resume_are_answered(self, office):
        call = await talking(office)
        (session,) = office.engine.sessions.values()
        (endpoint,) = session.endpoints.values()
        for count, (direction, answered, send) in enumerate(
            [("sendonly", b"recvonly", False), ("inactive", b"inactive", False), ("sendrecv", b"sendrecv", True)], 1
        ):
            call.command("reinvite", body=AUDIO + f"a={direction}\r\n".encode(), content_type=SDP_TYPE)
            accepted = await call.until(ReinviteAccepted, count)
            call.command("acknowledge")
            assert answered in accepted.response.body
            assert endpoint.send is send
        call.command("bye")
        await office.quiet()

    async def test_our_offer_on_demand(self, office):
        call = await talking(office)
        first = (await call.until(InviteAccepted)).response.body
        call.command("reinvite")
        accepted = await call.until(ReinviteAccepted)
        assert accepted.response.body == first
        call.command("acknowledge", body=AUDIO, content_type=SDP_TYPE)
        call.command("bye")
        await office.quiet()

    @pytest.mark.parametrize(("body", "status"), [(b"v=1\r\n", 400), (sdp("m=audio 4000 RTP/SAVP 0"), 488)])
    async def test_what_cannot_be_carried_leaves_it_as_it_was(self, office, body, status):
        call = await talking(office)
        call.command("reinvite", body=body, content_type=SDP_TYPE)
        rejected = await call.until(ReinviteRejected)
        assert rejected.response.status == status
        call.command("reinvite", body=AUDIO, content_type=SDP_TYPE)
        await call.until(ReinviteAccepted)
        call.command("acknowledge")
        call.command("bye")
        await office.quiet()
        assert (await office.records())[0].status is CallStatus.COMPLETED

    async def test_info_is_taken_and_forgotten(self, office):
        call = await talking(office)
        call.command("request", "INFO", body=b"Signal=5", content_type="application/dtmf-relay")
        answered = await call.until(RequestAnswered)
        assert answered.response.status == 200
        call.command("bye")
        await office.quiet()

    async def test_a_bye_before_the_answer_is_a_call_given_up(self, office):
        office.twiml('<Pause length="60"/>')
        call = RawCall(office.alice, platform_uri(office))
        await until(call.progress)
        with office.alice.driver.turn() as (agent, _):
            dialog = agent.dialog(call.session)
        bye = (
            f"BYE {dialog.remote_target} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{office.alice.port};branch=z9hG4bKearly\r\n"
            f"From: {dialog.local}\r\nTo: {dialog.remote}\r\nCall-ID: {dialog.call_id}\r\nCSeq: 2 BYE\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        parse_message(bye.encode())
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=office.services.driver.addresses["udp"]
        )
        transport.sendto(bye.encode())
        assert await call.ended() == 487
        transport.close()
        await office.quiet()
        (record,) = await office.records()
        assert (record.status, record.duration) == (CallStatus.CANCELED, 0)


class TestSpeaking:
    async def test_what_is_said_is_played(self, office, tmp_path):
        speech = Speaks(tmp_path / "said.wav")
        change(office, speech=speech)
        office.twiml('<Say voice="man" language="de-DE" loop="2">Guten  Tag</Say><Hangup/>')
        alice = office.dial_in()
        await alice.answered()
        session = office.engine.sessions[office.live().record.sid]
        await until(lambda: session.players)
        ((name, player),) = session.players.items()
        assert (player.path, player.loops) == (str(tmp_path / "said.wav"), 2)
        assert speech.asked == [("Guten Tag", "man", "de-DE")]
        office.engine.finish_player(office.live().record.sid, name)
        await alice.ended()
        await office.quiet()
        assert await codes(office) == []

    async def test_a_relative_url_in_inline_twiml_is_skipped(self, office):
        add_numbers(office, _2000='<Play>/audio</Play><Reject reason="busy"/>')
        alice = office.dial_in("2000")
        await alice.ended()
        assert alice.status == 486
        await office.quiet()
        assert await codes(office) == [15004]

    async def test_an_inline_document_may_begin_again_but_not_for_ever(self, office):
        add_numbers(office, _2000="<Redirect/>")
        alice = office.dial_in("2000")
        await alice.ended()
        assert alice.status == 500
        await office.quiet()
        assert await codes(office) == [11215]

    async def test_a_pause_of_nothing_is_no_pause(self, office):
        add_numbers(office, _2000='<Pause length="0"/><Redirect/>')
        alice = office.dial_in("2000")
        await alice.ended()
        await office.quiet()
        assert await codes(office) == [11215]
