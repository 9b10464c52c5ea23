"""The client machine, driven by the events of a SIP agent. Checklist ids stand in the tests' docstrings."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sidestream.base.ids import Ids
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import EVENTS, PCMU
from sidestream.sdp.keying import Keying, answering_crypto
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    AckReceived,
    AgentEvent,
    ByeReceived,
    EndCause,
    Failure,
    InviteAccepted,
    InviteFailed,
    InviteProgress,
    InviteRejected,
    ReinviteAccepted,
    ReinviteReceived,
    ReinviteRejected,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.headers import Headers
from sidestream.sip.message import Request, Response
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.siprec.body import RecordingBody, compose, parse_body
from sidestream.siprec.failure import SrsFailure
from sidestream.siprec.metadata import DataMode, ExtensionParameters, Reason, Recording
from sidestream.siprec.reader import read
from sidestream.siprec.snapshot import Party, Snapshot
from sidestream.siprec.src.actions import (
    Action,
    AnswerRequest,
    ConfigureFork,
    Failed,
    Respond,
    SendAck,
    SendBye,
    SendCancel,
    SendInvite,
    SendReinvite,
    SrcEvent,
    Started,
    Stopped,
    UpdateRefused,
)
from sidestream.siprec.src.lines import OfferedFork
from sidestream.siprec.src.session import REFUSED_WAIT_S, SrcSession, SrcSettings, State
from sidestream.siprec.strict import check_strict

AT = datetime(2026, 3, 2, 9, 15, 4, 218733, UTC)
SRS = Uri.parse("sip:srs@recorder.example.net;transport=tcp")
SETTINGS = SrcSettings(
    target=SRS,
    identity=NameAddr(None, Uri.sip("SRC", "192.0.2.20")),
    media_host="192.0.2.20",
    answer_timeout_s=10.0,
    headers=(("X-AccountId", "AC00"),),
    extension=ExtensionParameters("urn:sidestream:siprec:parameters", (("Role", "inbound"),)),
)
FORKS = (
    OfferedFork("inbound", "SiVoBgVqT0KlDFNIWOucRg==", 40016, (PCMU, EVENTS)),
    OfferedFork("outbound", "e1gTxFOPT+OR9nesj5OZnA==", 40018, (PCMU, EVENTS)),
)
PEER = Peer(Transport.TCP, "192.0.2.50", 5060, "tcp")


def sdp(*directions: str, first_port: int = 6000, address: str = "192.0.2.50") -> bytes:
    """The recorder's description: a line for each direction, `-` for a refused one."""
    rows = ["v=0", f"o=- 5 1 IN IP4 {address}", "s=srs", f"c=IN IP4 {address}", "t=0 0"]
    for index, direction in enumerate(directions):
        port = 0 if direction == "-" else first_port + 2 * index
        rows += [f"m=audio {port} RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000"]
        rows += [] if direction == "-" else [f"a={direction}"]
    return "".join(f"{row}\r\n" for row in rows).encode()


def response(status: int = 200, body: bytes = b"", content_type: str = "application/sdp") -> Response:
    headers = [("Content-Type", content_type)] if body else []
    return Response(status, "Words", Headers(headers), body)


def request(method: str, body: bytes = b"", content_type: str = "application/sdp") -> Request:
    headers = [("Content-Type", content_type)] if body else []
    return Request(method, Uri.parse("sip:SRC@192.0.2.20"), Headers(headers), body)


def parts(action: SendInvite | SendReinvite | SendBye) -> RecordingBody:
    headers = [*action.headers] + ([("Content-Type", action.content_type)] if action.content_type else [])
    return parse_body(Request("INVITE", SRS, Headers(headers), action.body))


def description(data: bytes | None) -> SessionDescription:
    assert data is not None
    return SessionDescription.parse(data)


def metadata(action: SendInvite | SendReinvite | SendBye) -> Recording:
    body = parts(action)
    assert body.metadata is not None
    found = read(body.metadata).recording
    assert found is not None
    return found


class Scene:
    """A machine with what it did and said so far."""

    def __init__(self, call: Snapshot, settings: SrcSettings = SETTINGS) -> None:
        self.src = SrcSession(settings, Ids(random.Random(1)))
        self.call = call
        self.now = 100.0
        self.said: list[SrcEvent] = []

    def start(self) -> SendInvite:
        self.src.start(self.call, FORKS, AT, self.now)
        (invite,) = self.actions()
        assert isinstance(invite, SendInvite)
        return invite

    def actions(self) -> list[Action]:
        found = []
        while (action := self.src.poll_transmit()) is not None:
            found.append(action)
        while (event := self.src.poll_event()) is not None:
            self.said.append(event)
        return found

    def receive(self, event: AgentEvent) -> list[Action]:
        self.src.receive(event, self.now)
        return self.actions()

    def update(self, call: Snapshot) -> list[Action]:
        self.src.update(call, self.now)
        return self.actions()

    def wait(self, seconds: float) -> list[Action]:
        self.now += seconds
        self.src.handle_timeout(self.now)
        return self.actions()

    def stop(self, *, call_ended: bool = True, reason: Reason | None = None) -> list[Action]:
        self.src.stop(AT, call_ended=call_ended, reason=reason)
        return self.actions()

    def accept(self, body: bytes | None = None) -> list[Action]:
        return self.receive(InviteAccepted("s", response(200, sdp("recvonly", "recvonly") if body is None else body)))


@pytest.fixture
def scene(call: Snapshot) -> Scene:
    return Scene(call)


@pytest.fixture
def recording(scene: Scene) -> Scene:
    """A scene whose session is established."""
    scene.start()
    scene.accept()
    assert scene.said == [Started()]
    scene.said.clear()
    return scene


def held(call: Snapshot) -> Snapshot:
    return replace(call, inbound_sending=False)


class TestInvite:
    def test_its_head(self, scene: Scene) -> None:
        """C1, C2, C5: feature tag in Contact, Require: siprec, From the client, To the server."""
        invite = scene.start()
        assert invite.contact_params == (("+sip.src", None),)
        assert ("Require", "siprec") in invite.headers
        assert all(name != "Supported" for name, _ in invite.headers)
        assert (str(invite.from_), str(invite.to)) == ("<sip:SRC@192.0.2.20>", f"<{SRS}>")
        assert invite.target == SRS
        assert ("X-AccountId", "AC00") in invite.headers
        assert ("Date", "Mon, 02 Mar 2026 09:15:04 GMT") in invite.headers

    def test_its_head_names_no_party_of_the_call(self, scene: Scene) -> None:
        """C5, C46: the parties appear in metadata only."""
        invite = scene.start()
        head = " ".join([str(invite.from_), str(invite.to), *(value for _, value in invite.headers)])
        assert "4155550142" not in head
        assert "Ada" not in head

    def test_it_accepts_both_metadata_types(self, scene: Scene) -> None:
        accept = dict(scene.start().headers)["Accept"]
        assert accept == "application/sdp, application/rs-metadata+xml, application/rs-metadata"

    def test_its_body(self, scene: Scene, schema: etree.XMLSchema) -> None:
        """C10, C11, C12, C15, C16, C17, C18, C20, C30, C47-C49, X1-X10: offer and full snapshot in one message."""
        invite = scene.start()
        assert invite.content_type is not None
        assert invite.content_type.startswith("multipart/mixed;boundary=")
        assert b"Content-Disposition: recording-session\r\n" in invite.body
        assert ("MIME-Version", "1.0") in invite.headers
        body = parts(invite)
        offered = description(body.sdp)
        assert [(m.port, m.label, m.direction) for m in offered.media] == [
            (40016, "inbound", Direction.SENDONLY),
            (40018, "outbound", Direction.SENDONLY),
        ]
        assert body.metadata is not None
        assert schema.validate(etree.fromstring(body.metadata)), schema.error_log
        assert check_strict(body.metadata, offered) == []
        found = metadata(invite)
        assert found.data_mode is DataMode.COMPLETE
        assert found.sessions[0].extension == SETTINGS.extension
        assert found.session_recordings[0].associate_time == "2026-03-02T09:15:04.218733Z"

    def test_every_attempt_is_a_new_one(self, call: Snapshot) -> None:
        """C46: the same elements keep their ids at every server; the offer's origin is new."""
        one, two = Scene(call), Scene(call)
        two.src = SrcSession(SETTINGS, Ids(random.Random(2)))
        first, second = one.start(), two.start()
        assert metadata(first) == metadata(second)
        assert description(parts(first).sdp).origin != description(parts(second).sdp).origin

    def test_the_old_media_type(self, call: Snapshot) -> None:
        invite = Scene(call, replace(SETTINGS, legacy_media_type=True)).start()
        assert b"Content-Type: application/rs-metadata\r\n" in invite.body


class TestAnswer:
    def test_acceptance_starts_the_forks(self, scene: Scene) -> None:
        """B27, C43: ACK, then forwarding where the answer says."""
        scene.start()
        ack, inbound, outbound = scene.accept()
        assert ack == SendAck()
        assert isinstance(inbound, ConfigureFork)
        assert isinstance(outbound, ConfigureFork)
        assert (inbound.label, inbound.active, inbound.formats) == ("inbound", True, (PCMU, EVENTS))
        assert inbound.remote is not None
        assert (inbound.remote.host, inbound.remote.rtp_port, inbound.remote.rtcp_port) == ("192.0.2.50", 6000, 6001)
        assert scene.said == [Started()]
        assert scene.src.state is State.ESTABLISHED
        assert scene.src.poll_timeout() is None

    def test_provisional_answers_change_nothing(self, scene: Scene) -> None:
        scene.start()
        assert scene.receive(InviteProgress("s", response(180))) == []
        assert scene.src.state is State.INVITING

    def test_a_refused_line_is_reported_and_the_rest_kept(self, scene: Scene) -> None:
        """B39: 2xx with some lines refused."""
        scene.start()
        actions = scene.accept(sdp("-", "recvonly"))
        assert scene.said == [Started(("inbound",))]
        active = [a.label for a in actions if isinstance(a, ConfigureFork) and a.active]
        assert active == ["outbound"]

    def test_a_refused_line_stays_out_of_the_next_offer(self, scene: Scene) -> None:
        """C14, X9: its m-line keeps its place with port 0, and no stream is named for it."""
        scene.start()
        scene.accept(sdp("-", "recvonly"))
        (again,) = scene.update(held(scene.call))
        assert isinstance(again, SendReinvite)
        body = parts(again)
        assert [media.port for media in description(body.sdp).media] == [0, 40018]
        assert check_strict(body.metadata or b"", description(body.sdp)) == []

    def test_an_inactive_answer_keeps_the_session(self, scene: Scene) -> None:
        """B10, C43: the server is not ready; its re-INVITE recvonly starts the forks."""
        scene.start()
        assert all(not a.active for a in scene.accept(sdp("inactive", "inactive")) if isinstance(a, ConfigureFork))
        assert scene.said == [Started()]
        actions = scene.receive(ReinviteReceived("s", request("INVITE", sdp("recvonly", "recvonly")), PEER))
        assert isinstance(actions[-1], Respond)
        assert [a.active for a in actions if isinstance(a, ConfigureFork)] == [True, True]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "there is no SDP"),
            (b"garbage", "malformed line"),
            (sdp("-", "-"), "accepted no stream"),
            (b"v=0\r\ns=x\r\n", "accepted no stream"),
        ],
    )
    def test_a_2xx_without_usable_sdp_fails(self, scene: Scene, body: bytes, message: str) -> None:
        """B39: ACK, BYE, next server."""
        scene.start()
        ack, bye = scene.accept(body)
        assert ack == SendAck()
        assert bye == SendBye((("Require", "siprec"),))
        (failed,) = scene.said
        assert isinstance(failed, Failed)
        assert failed.failure.code == 32102
        assert message in failed.failure.message
        assert scene.receive(SessionEnded("s", EndCause.LOCAL_BYE)) == []
        assert scene.src.state is State.ENDED

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            (InviteRejected("s", response(486)), SrsFailure(32011, "The recording server answered 486 Words", 486)),
            (InviteRejected("s", response(407)), SrsFailure(32106, "The recording server answered 407 Words", 407)),
            (InviteFailed("s", Failure.TIMEOUT), SrsFailure(31901, "The recording server did not answer")),
            (InviteFailed("s", Failure.TRANSPORT), SrsFailure(31902, "The recording server cannot be reached")),
        ],
    )
    def test_refusals(self, scene: Scene, event: AgentEvent, expected: SrsFailure) -> None:
        scene.start()
        assert scene.receive(event) == []
        assert scene.said == [Failed(expected)]
        assert scene.src.poll_timeout() is None
        assert scene.receive(SessionEnded("s", EndCause.REJECTED)) == []
        assert scene.said == [Failed(expected)]

    def test_a_silent_server_fails_in_time(self, scene: Scene) -> None:
        """B22: an answer timer far below SIP's timer B."""
        scene.start()
        assert scene.src.poll_timeout() == 110.0
        assert scene.wait(9.9) == []
        assert scene.wait(0.1) == [SendCancel()]
        assert scene.said == [Failed(SrsFailure(31901, "The recording server did not answer within 10 s"))]
        assert scene.accept() == []

    def test_the_end_of_the_sip_session_is_a_failure(self, scene: Scene) -> None:
        scene.start()
        scene.receive(SessionEnded("s", EndCause.FAILED))
        assert scene.said == [Failed(SrsFailure(31903, "The recording server no longer knows the session"))]
        assert scene.src.state is State.ENDED


class TestUpdate:
    def test_a_change_is_told_with_the_offer(self, recording: Scene, schema: etree.XMLSchema) -> None:
        """C1, C2, C11, C13, C14, C18, C19, C31, B1: a full snapshot in a re-INVITE, streams still sendonly, o= kept."""
        (again,) = recording.update(held(recording.call))
        assert isinstance(again, SendReinvite)
        assert again.contact_params == (("+sip.src", None),)
        assert ("Require", "siprec") in again.headers
        body = parts(again)
        offered = description(body.sdp)
        assert offered.origin is not None
        assert offered.origin.version == 1
        assert {media.direction for media in offered.media} == {Direction.SENDONLY}
        assert body.metadata is not None
        assert check_strict(body.metadata, offered) == []
        assert schema.validate(etree.fromstring(body.metadata))
        assert metadata(again).participant_streams[0].send == ()

    def test_changes_in_between_are_merged(self, recording: Scene) -> None:
        """C44, B27: one exchange at a time, the newest state afterwards."""
        assert len(recording.update(held(recording.call))) == 1
        assert recording.update(recording.call) == []
        assert recording.update(replace(recording.call, outbound_sending=False)) == []
        ack, again = recording.receive(ReinviteAccepted("s", response(200, sdp("recvonly", "recvonly"))))
        assert ack == SendAck()
        assert isinstance(again, SendReinvite)
        associations = metadata(again).participant_streams
        assert [(len(a.send), len(a.recv)) for a in associations] == [(1, 0), (0, 1)]
        assert recording.receive(ReinviteAccepted("s", response(200, sdp("recvonly", "recvonly")))) == [SendAck()]

    def test_no_change_is_not_told(self, recording: Scene) -> None:
        assert recording.update(recording.call) == []

    def test_a_change_before_the_answer_waits_for_it(self, scene: Scene) -> None:
        """C44."""
        scene.start()
        assert scene.update(held(scene.call)) == []
        assert isinstance(scene.accept()[-1], SendReinvite)

    def test_a_changed_answer_moves_the_forks(self, recording: Scene) -> None:
        """C43."""
        recording.update(held(recording.call))
        moved = response(200, sdp("recvonly", "recvonly", first_port=7000))
        actions = recording.receive(ReinviteAccepted("s", moved))
        ports = [a.remote.rtp_port for a in actions if isinstance(a, ConfigureFork) and a.remote]
        assert ports == [7000, 7002]

    def test_an_unreadable_answer_changes_nothing(self, recording: Scene) -> None:
        """B17: what was agreed before remains in force."""
        recording.update(held(recording.call))
        assert recording.receive(ReinviteAccepted("s", response(200))) == [SendAck()]
        assert recording.said == [UpdateRefused(200)]

    @pytest.mark.parametrize("retry_in", [3.5, None])
    def test_glare_is_retried_with_the_newest_state(self, recording: Scene, retry_in: float | None) -> None:
        """C33, B15: 491, wait, then the newest state and not the old message."""
        recording.update(held(recording.call))
        assert recording.receive(ReinviteRejected("s", response(491), retry_in)) == []
        assert recording.said == []
        deadline = recording.src.poll_timeout()
        assert deadline is not None
        assert 2.1 <= deadline - recording.now <= 4.0
        assert recording.update(replace(recording.call, outbound_sending=False)) == []
        (again,) = recording.wait(deadline - recording.now)
        assert isinstance(again, SendReinvite)
        assert len(metadata(again).participant_streams[0].send) == 1

    def test_a_crossing_reinvite_of_the_server_counts_as_glare(self, recording: Scene) -> None:
        """C33."""
        recording.update(held(recording.call))
        recording.src.blocked(recording.now)
        assert len(recording.wait(4.0)) == 1

    def test_a_refused_update_is_tried_again_a_few_times(self, recording: Scene) -> None:
        """B17: the session stays; the metadata is sent later; a change of the call starts anew."""
        recording.update(held(recording.call))
        for _ in range(2):
            assert recording.receive(ReinviteRejected("s", response(500))) == []
            assert recording.wait(REFUSED_WAIT_S - 0.1) == []
            assert len(recording.wait(0.1)) == 1
        recording.receive(ReinviteRejected("s", response(500)))
        assert recording.said == [UpdateRefused(500)] * 3
        assert recording.src.poll_timeout() is None
        assert recording.receive(RequestReceived("r", "s", request("UPDATE"), PEER)) == [AnswerRequest("r", 200)]
        assert recording.src.state is State.ESTABLISHED
        assert len(recording.update(replace(recording.call, outbound_sending=False))) == 1

    def test_an_update_without_an_answer_ends_with_the_session(self, recording: Scene) -> None:
        recording.update(held(recording.call))
        recording.receive(ReinviteRejected("s", None))
        silenced = recording.receive(SessionEnded("s", EndCause.LOST))
        assert [a.active for a in silenced if isinstance(a, ConfigureFork)] == [False, False]
        assert recording.said == [
            UpdateRefused(None),
            Failed(SrsFailure(31903, "The recording server no longer knows the session")),
        ]

    def test_nothing_is_told_after_the_end(self, recording: Scene) -> None:
        recording.stop()
        assert recording.update(held(recording.call)) == []


class TestOffersOfTheServer:
    @pytest.mark.parametrize(
        ("offered", "answered", "active"),
        [
            (("inactive", "recvonly"), (Direction.INACTIVE, Direction.SENDONLY), [False]),
            (("-", "recvonly"), (None, Direction.SENDONLY), [False]),
            (("recvonly", "recvonly"), (Direction.SENDONLY, Direction.SENDONLY), []),
        ],
    )
    def test_a_reinvite_is_answered(
        self, recording: Scene, offered: tuple[str, ...], answered: tuple[Direction | None, ...], active: list[bool]
    ) -> None:
        """C42, C1, B9: inactive → inactive, port 0 → port 0, recvonly → sendonly."""
        actions = recording.receive(ReinviteReceived("s", request("INVITE", sdp(*offered)), PEER))
        respond = actions[-1]
        assert isinstance(respond, Respond)
        assert (respond.status, respond.contact_params) == (200, (("+sip.src", None),))
        assert tuple(media.direction for media in description(respond.body).media) == answered
        assert [a.active for a in actions if isinstance(a, ConfigureFork)] == active

    def test_the_version_of_our_description_follows_its_changes(self, recording: Scene) -> None:
        """C14: +1 when the answer differs from what we sent before, unchanged when it does not."""
        versions = []
        for direction in ("inactive", "inactive", "recvonly"):
            offered = request("INVITE", sdp(direction, direction))
            respond = recording.receive(ReinviteReceived("s", offered, PEER))[-1]
            assert isinstance(respond, Respond)
            origin = description(respond.body).origin
            assert origin is not None
            versions.append(origin.version)
        assert versions == [2, 2, 3]

    def test_added_lines_are_refused(self, recording: Scene) -> None:
        """C42."""
        offered = request("INVITE", sdp("recvonly", "recvonly", "sendrecv"))
        respond = recording.receive(ReinviteReceived("s", offered, PEER))[-1]
        assert isinstance(respond, Respond)
        assert [media.port for media in description(respond.body).media] == [40016, 40018, 0]

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"garbage", "application/sdp", 400),
            (sdp("recvonly"), "application/sdp", 488),
            (b"x", "text/plain", 415),
            (b"<recording/>", "application/rs-metadata+xml", 415),
        ],
    )
    def test_a_bad_reinvite_is_refused(self, recording: Scene, body: bytes, content_type: str, status: int) -> None:
        (respond,) = recording.receive(ReinviteReceived("s", request("INVITE", body, content_type), PEER))
        assert isinstance(respond, Respond)
        assert (respond.status, respond.body) == (status, b"")
        assert recording.src.state is State.ESTABLISHED

    def test_a_reinvite_without_offer_gets_one(self, recording: Scene) -> None:
        (respond,) = recording.receive(ReinviteReceived("s", request("INVITE"), PEER))
        assert isinstance(respond, Respond)
        assert [media.label for media in description(respond.body).media] == ["inbound", "outbound"]
        assert recording.update(held(recording.call)) == []
        answer = request("UPDATE", sdp("recvonly", "recvonly"))
        (busy,) = recording.receive(RequestReceived("r", "s", answer, PEER))
        assert isinstance(busy, AnswerRequest)
        assert busy.status == 500
        assert 0 <= int(dict(busy.headers)["Retry-After"]) <= 10
        actions = recording.receive(AckReceived("s", request("ACK", sdp("inactive", "recvonly"))))
        assert [a.active for a in actions if isinstance(a, ConfigureFork)] == [False]
        assert isinstance(actions[-1], SendReinvite)

    def test_an_ack_without_the_answer_changes_nothing(self, recording: Scene) -> None:
        recording.receive(ReinviteReceived("s", request("INVITE"), PEER))
        assert recording.receive(AckReceived("s", request("ACK"))) == []
        assert recording.said == [UpdateRefused(None)]

    def test_an_ack_that_held_no_answer_is_only_an_ack(self, recording: Scene) -> None:
        assert recording.receive(AckReceived("s", request("ACK"))) == []

    def test_an_update_with_an_offer(self, recording: Scene) -> None:
        """C42."""
        offered = request("UPDATE", sdp("inactive", "inactive"))
        *forks, answer = recording.receive(RequestReceived("r", "s", offered, PEER))
        assert [a.active for a in forks if isinstance(a, ConfigureFork)] == [False, False]
        assert isinstance(answer, AnswerRequest)
        assert (answer.status, answer.content_type) == (200, "application/sdp")
        assert {media.direction for media in description(answer.body).media} == {Direction.INACTIVE}

    def test_an_update_while_our_offer_is_open(self, recording: Scene) -> None:
        """B15, C33: 491."""
        recording.update(held(recording.call))
        offered = request("UPDATE", sdp("inactive", "inactive"))
        assert recording.receive(RequestReceived("r", "s", offered, PEER)) == [AnswerRequest("r", 491)]

    @pytest.mark.parametrize(
        ("method", "body", "content_type", "status"),
        [
            ("UPDATE", b"", "", 200),
            ("UPDATE", b"garbage", "application/sdp", 400),
            ("UPDATE", b"<other/>", "application/rs-metadata+xml", 400),
            ("UPDATE", b"x", "text/plain", 415),
            ("UPDATE", b"x", "multipart/mixed;boundary=b", 415),
            ("INFO", b"", "", 200),
            ("OPTIONS", b"", "", 200),
            ("NOTIFY", b"", "", 501),
        ],
    )
    def test_other_requests(self, recording: Scene, method: str, body: bytes, content_type: str, status: int) -> None:
        asked = request(method, body, content_type)
        (answer,) = recording.receive(RequestReceived("r", "s", asked, PEER))
        assert isinstance(answer, AnswerRequest)
        assert (answer.request_id, answer.status, answer.body) == ("r", status, b"")

    def test_a_snapshot_request(self, recording: Scene) -> None:
        """C21, C45, B12: 200 without a body, then at once a full snapshot with an unchanged o= version."""
        asked = b'<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1"/>'
        body = compose(sdp=None, metadata=asked, boundary="b")
        update = request("UPDATE", body.data, body.content_type or "")
        answer, again = recording.receive(RequestReceived("r", "s", update, PEER))
        assert answer == AnswerRequest("r", 200)
        assert isinstance(again, SendReinvite)
        assert metadata(again).data_mode is DataMode.COMPLETE
        origin = description(parts(again).sdp).origin
        assert origin is not None
        assert origin.version == 1


class TestEnd:
    def test_the_end_of_the_call(self, recording: Scene, schema: etree.XMLSchema) -> None:
        """B19, C2, C17, C20: the last packets, then BYE with the last metadata."""
        inbound, outbound, bye = recording.stop(reason=Reason(16, "Q.850", "Normal call clearing"))
        assert isinstance(inbound, ConfigureFork)
        assert isinstance(outbound, ConfigureFork)
        assert not inbound.active
        assert not outbound.active
        assert isinstance(bye, SendBye)
        assert bye.content_type == "application/rs-metadata+xml"
        assert bye.headers == (("Require", "siprec"), ("Content-Disposition", "recording-session"))
        assert schema.validate(etree.fromstring(bye.body)), schema.error_log
        last = metadata(bye)
        assert last.data_mode is DataMode.PARTIAL
        assert last.sessions[0].stop_time == "2026-03-02T09:15:04.218733Z"
        assert last.sessions[0].reasons[0].cause == 16
        assert recording.said == [Stopped(by_server=False)]
        before = recording.src.state
        assert recording.receive(SessionEnded("s", EndCause.LOCAL_BYE)) == []
        assert (before, recording.src.state) == (State.ENDING, State.ENDED)

    def test_the_end_of_the_recording_alone(self, recording: Scene) -> None:
        """The call goes on, so its session has no stop-time; it only leaves the recording session."""
        bye = recording.stop(call_ended=False)[-1]
        assert isinstance(bye, SendBye)
        assert metadata(bye).sessions == ()
        assert metadata(bye).session_recordings[0].disassociate_time is not None

    def test_final_metadata_can_be_left_out(self, call: Snapshot) -> None:
        scene = Scene(call, replace(SETTINGS, final_metadata=False))
        scene.start()
        scene.accept()
        assert scene.stop()[-1] == SendBye((("Require", "siprec"),))

    def test_stopping_twice(self, recording: Scene) -> None:
        recording.stop()
        assert recording.stop() == []
        assert recording.said == [Stopped(by_server=False)]

    def test_stop_before_the_answer(self, scene: Scene) -> None:
        """B20: CANCEL; whatever crosses is the agent's to end."""
        scene.start()
        assert scene.stop() == [SendCancel()]
        assert scene.said == [Stopped(by_server=False)]
        assert scene.src.poll_timeout() is None
        for crossing in (InviteAccepted("s", response(200, sdp("recvonly"))), InviteRejected("s", response(487))):
            assert scene.receive(crossing) == []
        assert scene.receive(SessionEnded("s", EndCause.CANCELLED)) == []
        assert scene.said == [Stopped(by_server=False)]
        assert scene.src.state is State.ENDED

    def test_stop_before_the_start(self, scene: Scene) -> None:
        assert scene.stop() == []
        assert scene.said == [Stopped(by_server=False)]
        assert scene.src.state is State.ENDED

    def test_stop_with_an_update_pending(self, recording: Scene) -> None:
        """B21: BYE at once; the agent acknowledges the re-INVITE's final response."""
        recording.update(held(recording.call))
        assert isinstance(recording.stop()[-1], SendBye)
        assert recording.receive(ReinviteAccepted("s", response(200, sdp("recvonly", "recvonly")))) == []

    def test_the_server_hangs_up(self, recording: Scene) -> None:
        """B18: forwarding stops; the call goes on."""
        silenced = recording.receive(ByeReceived("s", request("BYE")))
        assert [a.active for a in silenced if isinstance(a, ConfigureFork)] == [False, False]
        assert recording.said == [Stopped(by_server=True)]
        assert recording.receive(SessionEnded("s", EndCause.REMOTE_BYE)) == []
        assert recording.said == [Stopped(by_server=True)]

    def test_a_silent_line_is_not_silenced_again(self, scene: Scene) -> None:
        scene.start()
        scene.accept(sdp("inactive", "recvonly"))
        silenced = scene.receive(ByeReceived("s", request("BYE")))
        assert [a.label for a in silenced if isinstance(a, ConfigureFork)] == ["outbound"]

    def test_abandoning(self, recording: Scene) -> None:
        why = SrsFailure(31900, "The media engine was lost")
        recording.src.abandon(why, AT)
        assert isinstance(recording.actions()[-1], SendBye)
        assert recording.said == [Failed(why)]

    def test_events_that_mean_nothing_here(self, recording: Scene) -> None:
        assert recording.receive(RequestAnswered("r", "s", None)) == []
        assert recording.said == []


ADA = Party("4/uAfbN0RWqLbFijp+5A/Q==", "sip:ada@example.com", "Ada", AT)
PLAIN = Snapshot("+b6VvL1RRW24nrRQxci3lw==", AT, (ADA,))
BODIES = st.sampled_from(
    [b"", b"garbage", sdp("recvonly", "recvonly"), sdp("inactive", "recvonly"), sdp("-", "-"), sdp("recvonly")]
) | st.binary(max_size=40)
MESSAGES = st.builds(lambda status, body: response(status, body), st.integers(200, 699), BODIES)
REQUESTS = st.builds(request, st.sampled_from(["INVITE", "UPDATE", "ACK", "INFO", "BYE"]), BODIES)
INPUTS = st.one_of(
    st.builds(InviteProgress, st.just("s"), MESSAGES),
    st.builds(InviteAccepted, st.just("s"), MESSAGES),
    st.builds(InviteRejected, st.just("s"), MESSAGES),
    st.builds(InviteFailed, st.just("s"), st.sampled_from(Failure)),
    st.builds(ReinviteAccepted, st.just("s"), MESSAGES),
    st.builds(ReinviteRejected, st.just("s"), st.none() | MESSAGES, st.none() | st.floats(0, 4)),
    st.builds(ReinviteReceived, st.just("s"), REQUESTS, st.just(PEER)),
    st.builds(AckReceived, st.just("s"), REQUESTS),
    st.builds(RequestReceived, st.just("r"), st.just("s"), REQUESTS, st.just(PEER)),
    st.builds(ByeReceived, st.just("s"), REQUESTS),
    st.sampled_from(["hold", "resume", "stop", "wait"]),
)


@given(st.lists(INPUTS, max_size=15))
def test_every_order_of_events_ends(inputs: list[AgentEvent | str]) -> None:
    """B20, B21: whatever comes in whatever order, there is one outcome, and nothing is sent after it but answers."""
    scene = Scene(PLAIN)
    scene.start()
    sent: list[Action] = []
    for step in inputs:
        match step:
            case "hold":
                sent += scene.update(held(PLAIN))
            case "resume":
                sent += scene.update(PLAIN)
            case "stop":
                sent += scene.stop()
            case "wait":
                sent += scene.wait(40.0)
            case event if not isinstance(event, str):
                sent += scene.receive(event)
    sent += scene.receive(SessionEnded("s", EndCause.LOST))
    assert scene.src.state is State.ENDED
    assert scene.src.poll_timeout() is None
    outcomes = [event for event in scene.said if isinstance(event, Failed | Stopped)]
    assert len(outcomes) == 1
    assert scene.said[-1] == outcomes[0]
    assert len([event for event in scene.said if isinstance(event, Started)]) <= 1
    active = {action.label: action.active for action in sent if isinstance(action, ConfigureFork)}
    assert not any(active.values())
    assert len([action for action in sent if isinstance(action, SendBye | SendCancel)]) <= 1


class TestSrtp:
    SUITES = (CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AES_CM_128_HMAC_SHA1_80)

    @pytest.fixture
    def scene(self, call: Snapshot) -> Scene:
        return Scene(call, replace(SETTINGS, suites=self.SUITES))

    @staticmethod
    def answered(offered: SessionDescription, suite: CryptoSuite = SUITES[1], first_port: int = 6000) -> bytes:
        """A recorder's answer to each line, with keys of its own."""
        rows = ["v=0", "o=- 5 1 IN IP4 192.0.2.50", "s=srs", "c=IN IP4 192.0.2.50", "t=0 0"]
        for index, line in enumerate(offered.media):
            crypto = answering_crypto(line, Ids(random.Random(index)), suites=(suite,))
            assert crypto is not None
            rows += [f"m=audio {first_port + 2 * index} RTP/SAVP 0", str(crypto.to_line()), "a=recvonly"]
        return "".join(f"{row}\r\n" for row in rows).encode()

    def test_the_forks_get_what_offer_and_answer_agree_on(self, scene: Scene) -> None:
        """M2, M3, M4: each line its own key, one of the offered suites; and the key stays in later offers."""
        offered = description(parts(scene.start()).sdp)
        assert [[c.key.suite for c in line.cryptos] for line in offered.media] == [list(self.SUITES)] * 2
        body = self.answered(offered)
        configured = [action for action in scene.accept(body) if isinstance(action, ConfigureFork)]
        theirs = [line.cryptos[0].key for line in description(body).media]
        assert [action.keying for action in configured] == [
            Keying(line.cryptos[1].key, key) for line, key in zip(offered.media, theirs, strict=True)
        ]
        (reinvite,) = scene.update(held(scene.call))
        assert isinstance(reinvite, SendReinvite)
        again = description(parts(reinvite).sdp)
        assert [line.cryptos for line in again.media] == [line.cryptos[1:] for line in offered.media]
        silenced = [action for action in scene.stop() if isinstance(action, ConfigureFork)]
        assert [(action.active, action.keying) for action in silenced] == [(False, a.keying) for a in configured]

    def test_each_attempt_has_keys_of_its_own(self, call: Snapshot, scene: Scene) -> None:
        """C40: nor does a key ever come back for the ports that the next server is sent from."""
        other = Scene(call)
        other.src = SrcSession(replace(SETTINGS, suites=self.SUITES), Ids(random.Random(2)))
        keys = [
            crypto.key.key.reveal()
            for invite in (scene.start(), other.start())
            for line in description(parts(invite).sdp).media
            for crypto in line.cryptos
        ]
        assert len(set(keys)) == len(keys) == 8

    @pytest.mark.parametrize("body", [sdp("recvonly", "recvonly"), sdp("recvonly", "-").replace(b"AVP", b"SAVP")])
    def test_an_answer_without_keys_records_nothing(self, scene: Scene, body: bytes) -> None:
        """M3, B39: ACK and BYE, then the next server; never plain RTP."""
        scene.start()
        actions = scene.accept(body)
        assert [type(action) for action in actions] == [SendAck, SendBye]
        (failed,) = scene.said
        assert isinstance(failed, Failed)
        assert failed.failure.message == "The recording server accepted no stream with SRTP"

    def test_a_recorder_that_moves_is_sent_to_under_a_new_key(self, scene: Scene) -> None:
        """M4, RFC 4568 §7.1.4."""
        offered = description(parts(scene.start()).sdp)
        scene.accept(self.answered(offered))
        moved = self.answered(offered, first_port=7000)
        *configured, respond = scene.receive(ReinviteReceived("s", request("INVITE", moved), PEER))
        assert isinstance(respond, Respond)
        ours = [line.cryptos[0].key for line in description(respond.body).media]
        assert not {key.key for key in ours} & {c.key.key for line in offered.media for c in line.cryptos}
        assert [a.keying.send for a in configured if isinstance(a, ConfigureFork) and a.keying is not None] == ours
        (reinvite,) = scene.update(held(scene.call))
        assert isinstance(reinvite, SendReinvite)
        assert [line.cryptos[0].key for line in description(parts(reinvite).sdp).media] == ours
