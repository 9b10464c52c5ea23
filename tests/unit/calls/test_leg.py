"""A leg's dealings with the agent: what it answers itself, what it tells the call, what it does when things cross."""

import asyncio
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.events import Answered, Ended, Failed, Info, Progress, Redirected, Ringing, Updated
from sidestream.calls.invitation import Invite
from sidestream.calls.leg import Leg
from sidestream.calls.negotiation import BUSY_WAIT_S, OfferRefused
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    Cancelled,
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRejected,
    Refreshed,
    ReinviteAccepted,
    ReinviteCancelled,
    ReinviteReceived,
    ReinviteRejected,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import parse_message
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

SESSION = "s1"
SDP_TEXT = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
SDP = SessionDescription.parse(SDP_TEXT.encode())
COMMON = (
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>;tag=b\r\n"
    "Call-ID: 1\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.1>\r\n"
)


def request(method, body="", content_type="application/sdp", extra=""):
    typed = f"Content-Type: {content_type}\r\n" if body else ""
    head = f"{method} sip:b@192.0.2.2 SIP/2.0\r\n{COMMON}CSeq: 2 {method}\r\n{extra}{typed}"
    text = f"{head}Content-Length: {len(body)}\r\n\r\n"
    return parse_message((text + body).encode())


def response(status, body="", content_type="application/sdp", extra=""):
    typed = f"Content-Type: {content_type}\r\n" if body else ""
    text = f"SIP/2.0 {status} Reason\r\n{COMMON}CSeq: 1 INVITE\r\n{extra}{typed}Content-Length: {len(body)}\r\n\r\n"
    return parse_message((text + body).encode())


class Recorder:
    """Stands for agent and driver: keeps every command as (name, arguments)."""

    def __init__(self):
        self.commands = []
        self.may = True
        self.raises = {}

    @contextmanager
    def turn(self):
        yield self, 0.0

    def attach(self, session, sink):
        self.sink = sink

    def ask_about_strangers(self, _session):
        pass

    def may_reinvite(self, _session):
        return self.may

    def invite(self, **fields):
        self.commands.append(("invite", fields))
        return SESSION

    def __getattr__(self, name):
        def command(*args, **fields):
            if name in self.raises:
                raise self.raises[name]
            self.commands.append((name, (*args, *((fields[key]) for key in ("headers",) if fields.get(key)))))

        return command

    def names(self):
        return [name for name, _ in self.commands]

    def last(self):
        return self.commands[-1]


@pytest.fixture
def agent():
    return Recorder()


@pytest.fixture
def leg(agent):
    return Leg(agent, SimpleNamespace(admitted=lambda description: description), SimpleNamespace(call_sid="CA1"))


@pytest.fixture
def incoming(leg):
    leg.adopt(SESSION, request("INVITE", SDP_TEXT))
    return leg


@pytest.fixture
def established(incoming, agent):
    incoming.accept(SDP)
    incoming.take(AckReceived(SESSION, request("ACK")))
    agent.commands.clear()
    return incoming


@pytest.fixture
def outgoing(leg):
    address = NameAddr(None, Uri.parse("sip:b@example.com"))
    leg.invite(Invite(address.uri, from_=address, to=address, offer=SDP))
    return leg


def said(leg):
    return leg.events.take_all()


class TestIncoming:
    def test_it_waits_with_the_offer(self, incoming):
        assert incoming.phase is LegPhase.WAITING
        assert incoming.remote_offer == SDP

    def test_a_cancelled_one_cannot_be_accepted(self, incoming, agent):
        incoming.take(Cancelled(SESSION, request("CANCEL")))
        incoming.take(SessionEnded(SESSION, EndCause.CANCELLED))
        assert incoming.accept(SDP) is False
        incoming.alert(180, "Ringing")
        incoming.reject(486, "Busy Here")
        incoming.hang_up()
        assert agent.commands == []
        assert said(incoming) == [Failed(487, "Request Terminated")]

    def test_hanging_up_refuses_it(self, incoming, agent):
        incoming.hang_up()
        assert agent.last() == ("respond", (SESSION, 603))
        assert said(incoming) == [Failed(603, "Decline")]

    def test_what_was_said_last_is_not_said_again(self, incoming, agent):
        for status, reason, sdp in ((180, "Ringing", None), (180, "Ringing", None), (183, "Session Progress", SDP)):
            incoming.alert(status, reason, sdp)
        incoming.alert(183, "Session Progress", SDP)
        incoming.alert(180, "Ringing")
        assert [command[1][1] for command in agent.commands] == [180, 183, 183, 180]

    def test_the_ack_brings_the_answer_to_our_offer(self, leg):
        leg.adopt(SESSION, request("INVITE"))
        assert leg.remote_offer is None
        assert leg.accept(SDP)
        leg.take(AckReceived(SESSION, request("ACK", SDP_TEXT)))
        assert said(leg) == [Answered(SDP)]

    @pytest.mark.parametrize("body", ["", "v=1\r\n"])
    def test_an_ack_without_the_answer_ends_it(self, leg, agent, body):
        leg.adopt(SESSION, request("INVITE"))
        leg.accept(SDP)
        leg.take(AckReceived(SESSION, request("ACK", body)))
        assert said(leg) == [Failed(488, "Not Acceptable Here")]
        assert agent.last()[0] == "bye"

    def test_a_bye_before_the_answer_ends_it(self, incoming):
        incoming.take(ByeReceived(SESSION, request("BYE", extra="Reason: Q.850;cause=16\r\n")))
        incoming.take(SessionEnded(SESSION, EndCause.REMOTE_BYE))
        assert said(incoming) == [Ended(True, "Q.850;cause=16")]
        assert incoming.phase is LegPhase.OVER

    def test_an_update_before_the_answer_does_not_touch_the_offer(self, incoming, agent):
        incoming.take(RequestReceived("r1", SESSION, request("UPDATE", SDP_TEXT), None))
        assert said(incoming) == [Updated(SDP)]
        incoming.refuse_offer(488)
        assert agent.last() == ("answer", ("r1", 488))
        assert incoming.remote_offer == SDP


class TestOutgoing:
    def test_its_progress_is_told(self, outgoing):
        outgoing.take(InviteProgress(SESSION, response(180)))
        outgoing.take(InviteProgress(SESSION, response(183, SDP_TEXT)))
        outgoing.take(InviteProgress(SESSION, response(183, "junk")))
        outgoing.take(InviteAccepted(SESSION, response(200, SDP_TEXT)))
        assert said(outgoing) == [
            Ringing(180, "Reason"),
            Progress(183, "Reason", SDP),
            Ringing(183, "Reason"),
            Answered(SDP),
        ]

    @pytest.mark.parametrize(
        ("body", "content_type"), [("v=1\r\n", "application/sdp"), ("x", "a b c")], ids=["no SDP", "no type"]
    )
    def test_an_unusable_answer_is_acknowledged_and_ended(self, outgoing, agent, body, content_type):
        outgoing.take(InviteAccepted(SESSION, response(200, body, content_type)))
        assert agent.names() == ["invite", "acknowledge", "bye"]
        assert said(outgoing) == [Failed(488, "Not Acceptable Here")]

    def test_an_answer_without_description_is_told_as_such(self, outgoing):
        outgoing.take(InviteAccepted(SESSION, response(200)))
        assert said(outgoing) == [Answered(None)]

    @pytest.mark.parametrize(
        ("event", "told"),
        [
            (InviteRejected(SESSION, response(486)), Failed(486, "Reason")),
            (
                InviteRejected(SESSION, response(302, extra="Contact: <sip:c@192.0.2.9>\r\n")),
                Redirected(302, ("sip:a@192.0.2.1", "sip:c@192.0.2.9")),
            ),
            # RFC 3261 §8.1.3.1
            (InviteFailed(SESSION, Failure.TIMEOUT), Failed(408, Failure.TIMEOUT.value)),
            (InviteFailed(SESSION, Failure.TRANSPORT), Failed(503, Failure.TRANSPORT.value)),
        ],
    )
    def test_its_failure_is_told_once_at_the_end(self, outgoing, event, told):
        outgoing.take(event)
        assert said(outgoing) == []
        outgoing.take(SessionEnded(SESSION, EndCause.REJECTED))
        assert said(outgoing) == [told]

    def test_hanging_up_gives_it_up_with_the_reason(self, outgoing, agent):
        outgoing.hang_up("Q.850;cause=16")
        outgoing.hang_up()
        assert agent.names() == ["invite", "bye"]
        assert agent.last() == ("bye", (SESSION, [("Reason", "Q.850;cause=16")]))
        outgoing.take(InviteAccepted(SESSION, response(200, SDP_TEXT)))
        assert said(outgoing) == [Failed(487, "Request Terminated")]

    def test_an_update_before_the_answer_is_told(self, outgoing, agent):
        outgoing.take(RequestReceived("r1", SESSION, request("UPDATE", SDP_TEXT), None))
        assert said(outgoing) == [Updated(SDP)]
        outgoing.answer_offer(SDP)
        assert agent.last() == ("answer", ("r1", 200))

    def test_forks_are_told_apart(self, outgoing):
        def fork(status, tag, body=""):
            text = response(status, body).to_bytes().decode().replace("tag=b", f"tag={tag}")
            return parse_message(text.encode())

        other = SDP_TEXT.replace("4000", "4002")
        outgoing.take(InviteProgress(SESSION, fork(183, "one", SDP_TEXT)))
        outgoing.take(InviteProgress(SESSION, fork(183, "two", other)))
        outgoing.take(InviteProgress(SESSION, fork(183, "one", SDP_TEXT)))
        assert said(outgoing) == [
            Progress(183, "Reason", SDP),
            Ringing(183, "Reason"),
            Progress(183, "Reason", SDP),
        ]
        outgoing.take(InviteAccepted(SESSION, fork(200, "two")))
        assert said(outgoing) == [Answered(SessionDescription.parse(other.encode()))]

    def test_the_reason_of_a_refusal_is_told(self, outgoing):
        outgoing.take(InviteRejected(SESSION, response(503, extra="Reason: Q.850;cause=34\r\n")))
        outgoing.take(SessionEnded(SESSION, EndCause.REJECTED))
        assert said(outgoing) == [Failed(503, "Reason", "Q.850;cause=34")]


class TestRedirections:
    CONTACTS = "<sip:c@192.0.2.9>;q=0.1, <sip:d@192.0.2.8>;q=0.9"

    def moved(self, contacts):
        answer = response(302)
        answer.headers.replace("Contact", contacts)
        return answer

    @pytest.fixture
    def calling(self, leg, agent):
        agent.sessions = iter(["s1", "s2", "s3", "s4"])
        agent.invite = lambda **fields: (agent.commands.append(("invite", fields)), next(agent.sessions))[1]
        address = NameAddr(None, Uri.parse("sip:b@192.0.2.1"))
        credentials = DigestCredentials("u", "p")
        leg.invite(Invite(address.uri, address, address, SDP, credentials=credentials, call_id="one", redirects=2))
        return leg

    def targets(self, agent):
        return [str(fields["target"]) for name, fields in agent.commands if name == "invite"]

    def test_they_are_followed_by_rank_and_up_to_the_limit(self, calling, agent):
        calling.take(InviteRejected("s1", self.moved(self.CONTACTS)))
        calling.take(SessionEnded("s1", EndCause.REJECTED))
        calling.take(InviteRejected("s2", response(404)))
        calling.take(SessionEnded("s2", EndCause.REJECTED))
        calling.take(InviteRejected("s3", self.moved("<sip:e@192.0.2.7>")))
        assert said(calling) == []
        calling.take(SessionEnded("s3", EndCause.REJECTED))
        assert self.targets(agent) == ["sip:b@192.0.2.1", "sip:d@192.0.2.8", "sip:c@192.0.2.9"]
        assert [type(event) for event in said(calling)] == [Redirected]

    def test_the_password_stays_with_the_trunk(self, calling, agent):
        contacts = "<sip:c@192.0.2.1>;q=1, <sip:c@192.0.2.9>;q=0.5"
        calling.take(InviteRejected("s1", self.moved(contacts)))
        calling.take(InviteFailed("s2", Failure.TIMEOUT))
        assert [fields["credentials"] is not None for _, fields in agent.commands] == [True, True, False]
        assert {fields["call_id"] for _, fields in agent.commands} == {"one"}

    def test_a_global_refusal_ends_the_search(self, calling, agent):
        calling.take(InviteRejected("s1", self.moved(self.CONTACTS)))
        calling.take(InviteRejected("s2", response(603)))
        calling.take(SessionEnded("s2", EndCause.REJECTED))
        assert said(calling) == [Failed(603, "Reason")]
        assert len(self.targets(agent)) == 2

    def test_a_call_that_was_given_up_is_not_redirected(self, calling, agent):
        calling.hang_up()
        calling.take(InviteRejected("s1", self.moved(self.CONTACTS)))
        assert len(self.targets(agent)) == 1

    def test_a_wildcard_is_no_place(self, calling, agent):
        calling.take(InviteRejected("s1", self.moved("*")))
        assert len(self.targets(agent)) == 1


class TestOffersOfThePeer:
    @pytest.mark.parametrize("event", ["INVITE", "UPDATE"])
    def test_it_is_told_and_answered(self, established, agent, event):
        if event == "INVITE":
            established.take(ReinviteReceived(SESSION, request("INVITE", SDP_TEXT), None))
        else:
            established.take(RequestReceived("r1", SESSION, request("UPDATE", SDP_TEXT), None))
        assert said(established) == [Updated(SDP)]
        established.answer_offer(SDP)
        assert agent.commands == [("respond", (SESSION, 200)) if event == "INVITE" else ("answer", ("r1", 200))]

    def test_it_is_answered_once(self, established, agent):
        established.take(ReinviteReceived(SESSION, request("INVITE", SDP_TEXT), None))
        established.refuse_offer(488)
        established.refuse_offer(491)
        assert agent.commands == [("respond", (SESSION, 488))]

    def test_one_that_was_cancelled_is_not_answered(self, established, agent):
        established.take(ReinviteReceived(SESSION, request("INVITE", SDP_TEXT), None))
        established.take(ReinviteCancelled(SESSION, request("CANCEL")))
        established.answer_offer(SDP)
        assert agent.commands == []

    def test_one_that_cannot_be_read_is_refused(self, established, agent):
        established.take(ReinviteReceived(SESSION, request("INVITE", "v=1\r\n"), None))
        assert agent.commands == [("respond", (SESSION, 400))]
        assert said(established) == []

    def test_an_offer_in_a_prack_is_answered_too(self, established, agent):
        established.take(RequestReceived("r1", SESSION, request("PRACK", SDP_TEXT), None))
        assert said(established) == [Updated(SDP)]
        established.answer_offer(SDP)
        assert agent.last() == ("answer", ("r1", 200))

    def test_an_update_without_body_refreshes_only(self, established, agent):
        established.take(RequestReceived("r1", SESSION, request("UPDATE"), None))
        assert agent.commands == [("answer", ("r1", 200))]
        assert said(established) == []

    def test_an_update_that_was_answered_too_late_harms_nobody(self, established, agent):
        established.take(RequestReceived("r1", SESSION, request("UPDATE", SDP_TEXT), None))
        agent.raises["answer"] = UnknownRequest("r1")
        established.answer_offer(SDP)
        assert established.phase is LegPhase.ESTABLISHED

    def test_on_a_leg_that_is_over_nothing_is_answered(self, established, agent):
        established.take(ReinviteReceived(SESSION, request("INVITE", SDP_TEXT), None))
        established.hang_up()
        established.answer_offer(SDP)
        assert agent.names() == ["bye"]

    def test_an_info_is_answered_and_told(self, established, agent):
        established.take(RequestReceived("r1", SESSION, request("INFO", "Signal=1", "application/dtmf-relay"), None))
        assert agent.commands == [("answer", ("r1", 200))]
        assert said(established) == [Info("application/dtmf-relay", b"Signal=1")]


class TestOwnOffers:
    async def offering(self, leg):
        offer = asyncio.ensure_future(leg.offer(SDP))
        await asyncio.sleep(0)
        return offer

    async def test_the_answer_is_returned(self, established, agent):
        offer = await self.offering(established)
        established.take(ReinviteAccepted(SESSION, response(200, SDP_TEXT)))
        assert await offer == SDP
        assert agent.names() == ["reinvite", "acknowledge"]

    @pytest.mark.parametrize(
        ("event", "status"),
        [
            (ReinviteRejected(SESSION, response(488)), 488),
            (ReinviteRejected(SESSION, None), 408),
            (ReinviteAccepted(SESSION, response(200)), 488),
            (ReinviteAccepted(SESSION, response(200, "v=1\r\n")), 400),
            (SessionEnded(SESSION, EndCause.REMOTE_BYE), 408),
        ],
    )
    async def test_a_refusal_is_raised(self, established, event, status):
        offer = await self.offering(established)
        established.take(event)
        with pytest.raises(OfferRefused, match=str(status)) as refused:
            await offer
        assert refused.value.status == status

    async def test_one_at_a_time(self, established, agent):
        offer = await self.offering(established)
        with pytest.raises(OfferRefused):
            await established.offer(SDP)
        offer.cancel()
        await asyncio.wait([offer])
        agent.may = False
        with pytest.raises(OfferRefused) as busy:
            await established.offer(SDP)
        assert busy.value.retry_in == BUSY_WAIT_S

    async def test_who_waits_for_us_is_not_waited_for(self, established, agent):
        agent.may = False
        established.take(ReinviteReceived(SESSION, request("INVITE", SDP_TEXT), None))
        with pytest.raises(OfferRefused) as busy:
            await established.offer(SDP)
        assert busy.value.retry_in is None

    async def test_after_a_491_it_says_when(self, established):
        offer = await self.offering(established)
        established.take(ReinviteRejected(SESSION, response(491), 2.5))
        with pytest.raises(OfferRefused) as glare:
            await offer
        assert (glare.value.status, glare.value.retry_in) == (491, 2.5)

    async def test_a_refresh_that_brings_another_description_is_an_answer(self, established):
        established.take(Refreshed(SESSION, response(200, SDP_TEXT)))
        established.take(Refreshed(SESSION, response(200, "v=1\r\n")))
        assert said(established) == [Answered(SDP)]

    async def test_not_on_a_leg_that_is_over(self, established):
        established.hang_up()
        with pytest.raises(OfferRefused):
            await established.offer(SDP)
        established.tell("text/plain", b"x")
        established.fail(500, "x")
        assert said(established) == [Ended(by_remote=False)]


class TestDefects:
    def test_an_event_that_cannot_be_taken_ends_the_leg(self, outgoing, agent):
        agent.raises["acknowledge"] = ZeroDivisionError()
        outgoing.take(InviteAccepted(SESSION, response(200, SDP_TEXT)))
        assert said(outgoing) == [Failed(500, "Server Internal Error")]
        assert agent.last()[0] == "bye"
        assert outgoing.phase is LegPhase.OVER

    def test_the_end_comes_once(self, established):
        established.take(ByeReceived(SESSION, request("BYE")))
        established.take(SessionEnded(SESSION, EndCause.REMOTE_BYE))
        established.hang_up()
        assert said(established) == [Ended(True)]

    def test_a_lost_session_ends_the_leg(self, established):
        established.take(SessionEnded(SESSION, EndCause.LOST))
        assert said(established) == [Ended(False)]
