import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sidestream.connectors.connector import ConnectorOptions
from sidestream.media.engine import EngineLost, ForkStarted, ForkStatistics, SilenceTimeout, Unreachable
from sidestream.recording.session import RecordingSession
from sidestream.recording.siprec import Siprec, SiprecEvent, SiprecStatus, Track
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    ByeReceived,
    EndCause,
    Failure,
    InviteFailed,
    InviteRejected,
    ReinviteRejected,
    SessionEnded,
)
from sidestream.sip.headers import Headers
from sidestream.sip.message import Request, Response
from sidestream.sip.uri import Uri
from sidestream.siprec.body import parse_body

from .conftest import SDP, Scene, settle

TWO_SERVERS = ("sip:one@192.0.2.50", "sip:two@192.0.2.51;transport=tcp")


def nanoseconds(scene: Scene, after_ms: float) -> int:
    moment = scene.clock.wall() + timedelta(milliseconds=after_ms)
    return int(moment.timestamp() * 1_000_000) * 1000


def rejected(session: str, status: int) -> InviteRejected:
    return InviteRejected(session, Response(status, "Words", Headers()))


class TestAcceptedAndStopped:
    async def test_the_resource_and_its_events(self, scene: Scene) -> None:
        """C18: started, then stopped; the times and packets of both."""
        task = await scene.start()
        assert scene.observer.heard == []
        scene.clock.advance(0.020)
        await scene.accept()
        siprec = scene.siprec
        assert siprec.srs_uri == "sip:srs@192.0.2.50"
        assert siprec.sip_call_id == scene.agent.last("invite")["call_id"]
        assert siprec.invite_ms == pytest.approx(20.0)
        assert siprec.accepted_at == scene.clock.wall()
        for label, packets in (("inbound", 150), ("outbound", 149)):
            fork = scene.engine.sessions["CA1"].forks[f"SR1/{label}"]
            assert fork.active
            fork.statistics = ForkStatistics(packets, packets * 172, 0, None)
        scene.clock.advance(3.0)
        await scene.stop("twiml")
        assert task.done()
        assert siprec.packets_sent == {"inbound": 150, "outbound": 149}
        assert (siprec.status, siprec.stopped_by) == (SiprecStatus.STOPPED, "twiml")
        assert siprec.stopped_at == siprec.date_updated == scene.clock.wall()
        assert siprec.error_code is None
        assert scene.observer.heard == [(SiprecEvent.STARTED, "in-progress"), (SiprecEvent.STOPPED, "stopped")]
        assert scene.engine.sessions["CA1"].forks == {}

    async def test_forks_exist_before_the_invite_and_are_silent_until_the_answer(self, scene: Scene) -> None:
        """B27: ports in the SDP, the first packet after the 200."""
        await scene.start()
        forks = scene.engine.sessions["CA1"].forks
        assert [fork.history for fork in forks.values()] == [[], []]
        body = scene.agent.last("invite")["body"].decode()
        assert all(f"m=audio {fork.ports.rtp} RTP/AVP 0 101" in body for fork in forks.values())
        await scene.accept()
        assert [fork.history for fork in forks.values()] == [[True], [True]]
        await scene.stop()

    async def test_the_last_packets_go_before_the_bye(self, scene: Scene) -> None:
        """B19."""
        await scene.start()
        await scene.accept()
        forks = list(scene.engine.sessions["CA1"].forks.values())
        gate = scene.engine.hold("configure_fork")
        stopping = asyncio.create_task(scene.session.stop("rest"))
        await settle()
        assert "bye" not in scene.agent.names
        gate.set()
        await stopping
        assert scene.agent.names[-1] == "bye"
        assert [fork.history for fork in forks] == [[True, False], [True, False]]

    async def test_stopping_again_changes_nothing(self, scene: Scene) -> None:
        await scene.start()
        await scene.accept()
        await scene.stop("rest")
        await scene.session.stop("call-ended")
        assert scene.siprec.stopped_by == "rest"
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.STOPPED]

    async def test_one_track(self) -> None:
        scene = Scene(track=Track.OUTBOUND)
        await scene.start()
        body = scene.agent.last("invite")["body"]
        assert body.count(b"m=audio") == 1
        assert b"a=label:outbound" in body
        await scene.accept(SDP.partition("m=audio 6002")[0])
        await scene.stop()
        assert set(scene.siprec.packets_sent) == {"outbound"}

    async def test_parameters_are_told(self) -> None:
        scene = Scene(parameters=(("Role", "inbound"), ("bad\r\nname", "<&>")))
        await scene.start()
        body = scene.agent.last("invite")["body"]
        assert b'<Parameter name="Role" value="inbound"/>' in body
        assert b'value="&lt;&amp;&gt;"' in body
        await scene.stop()

    async def test_parameters_that_cannot_be_headers_are_left_out(self) -> None:
        scene = Scene(parameters=(("Role", "inbound"), ("bad name", "x")))
        options = replace(scene.connector.options, parameters_as_headers=True)
        connector = replace(scene.connector, options=options)
        scene.session = RecordingSession(
            scene.siprec,
            connector,
            scene.call,
            driver=scene.driver,  # type: ignore[arg-type]
            engine=scene.engine,
            clock=scene.clock,
            ids=scene.session._ids,
            observer=scene.observer,
        )
        await scene.start()
        headers = dict(scene.agent.last("invite")["headers"])
        assert headers["X-Role"] == "inbound"
        assert not any("bad" in name for name in headers)
        await scene.stop()

    async def test_a_change_of_the_call_is_told(self, scene: Scene) -> None:
        """C18, B1."""
        await scene.start()
        await scene.accept()
        scene.session.update(replace(scene.call, inbound_sending=False))
        await settle()
        assert b"<participantstreamassoc" in scene.agent.last("reinvite")["body"]
        await scene.stop()


class TestFirstPacket:
    async def test_it_is_measured_from_the_answer(self, scene: Scene) -> None:
        await scene.start()
        await scene.accept()
        scene.session.receive_media(ForkStarted("CA1", "SR1/inbound", nanoseconds(scene, 12.5)))
        scene.session.receive_media(ForkStarted("CA1", "SR1/outbound", nanoseconds(scene, 14.0)))
        scene.session.receive_media(ForkStarted("CA1", "SR9/inbound", nanoseconds(scene, 1.0)))
        scene.session.receive_media(SilenceTimeout("CA1", "a", 10000))
        await settle()
        assert scene.siprec.first_packet_ms == pytest.approx(12.5)
        assert scene.observer.heard == [(SiprecEvent.STARTED, "in-progress"), (None, "in-progress")]
        await scene.stop()
        assert scene.siprec.first_packet_ms == pytest.approx(12.5)

    async def test_statistics_tell_it_when_no_event_did(self, scene: Scene) -> None:
        await scene.start()
        await scene.accept()
        fork = scene.engine.sessions["CA1"].forks["SR1/inbound"]
        fork.statistics = ForkStatistics(1, 172, 0, nanoseconds(scene, 30.0))
        await scene.stop()
        assert scene.siprec.first_packet_ms == pytest.approx(30.0)

    async def test_a_packet_before_the_answer_does_not_count(self, scene: Scene) -> None:
        await scene.start()
        scene.session.receive_media(ForkStarted("CA1", "SR1/inbound", nanoseconds(scene, 1.0)))
        await settle()
        assert scene.siprec.first_packet_ms is None
        await scene.stop()


class TestDiscardedMedia:
    async def test_a_server_that_goes_on_refusing_is_told_of_once(self, scene: Scene) -> None:
        await scene.start()
        await scene.accept()
        scene.session.receive_media(Unreachable("CA1", "SR1/inbound"))
        scene.session.receive_media(Unreachable("CA1", "SR9/inbound"))
        scene.session.receive_media(Unreachable("CA1", "a"))
        assert scene.observer.discarded == []
        scene.session.receive_media(Unreachable("CA1", "SR1/outbound"))
        scene.session.receive_media(Unreachable("CA1", "SR1/inbound"))
        assert scene.observer.discarded == [
            "The recording server's host refuses the audio: nothing listens at that port"
        ]
        scene.engine.sessions["CA1"].forks["SR1/inbound"].statistics = ForkStatistics(1, 172, 4, None)
        await scene.stop()
        assert len(scene.observer.discarded) == 1

    async def test_packets_that_could_not_be_sent_are_told_of_at_the_end(self, scene: Scene) -> None:
        await scene.start()
        await scene.accept()
        scene.engine.sessions["CA1"].forks["SR1/inbound"].statistics = ForkStatistics(1, 172, 4, None)
        await scene.stop()
        assert scene.observer.discarded == ["4 packets could not be sent"]


class TestFailOver:
    @pytest.mark.parametrize("status", [486, 503, 420, 488])
    async def test_the_next_server_is_tried(self, status: int) -> None:
        """B30-B38: a new INVITE with a new Call-ID, the full offer and a full snapshot, on the same ports."""
        scene = Scene(targets=TWO_SERVERS)
        await scene.start()
        first = scene.agent.last("invite")
        await scene.say(rejected("s1", status))
        second = scene.agent.last("invite")
        assert str(second["target"]) == "sip:two@192.0.2.51;transport=tcp"
        assert second["call_id"] != first["call_id"]
        for needed in (b"m=audio 40002", b"m=audio 40004", b"<datamode>complete</datamode>", b"a=label:outbound"):
            assert needed in first["body"]
            assert needed in second["body"]
        await scene.accept()
        assert scene.siprec.srs_uri == TWO_SERVERS[1]
        await scene.stop()
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.STOPPED]

    async def test_a_silent_server_is_given_up(self) -> None:
        """B22."""
        scene = Scene(targets=TWO_SERVERS)
        await scene.start()
        scene.clock.advance(10.0)
        scene.session.update(scene.call)
        await settle()
        assert scene.agent.names == ["invite", "bye", "invite"]
        await scene.say(SessionEnded("s1", EndCause.CANCELLED))
        assert scene.agent.names == ["invite", "bye", "invite"]
        await scene.stop()

    async def test_a_silent_server_is_given_up_when_nothing_else_happens(self) -> None:
        """B22: the machine's own deadline wakes the session."""
        scene = Scene(targets=TWO_SERVERS)
        await scene.open_media()
        ticking = scene.clock.monotonic
        scene.clock.monotonic = lambda: ticking() + 10.0 * len(scene.agent.commands)  # type: ignore[method-assign]
        task = asyncio.create_task(scene.session.run())
        async with asyncio.timeout(5):
            await task
        assert scene.siprec.error_code == 31901

    async def test_all_servers_failed(self) -> None:
        """Never accepted: one siprec-error with the last server's failure."""
        scene = Scene(targets=TWO_SERVERS)
        task = await scene.start()
        await scene.say(rejected("s1", 503))
        await scene.say(InviteFailed("s2", Failure.TRANSPORT))
        await task
        siprec = scene.siprec
        assert (siprec.error_code, siprec.error_message) == (31902, "The recording server cannot be reached")
        assert (siprec.status, siprec.stopped_by, siprec.accepted_at) == (SiprecStatus.STOPPED, "error", None)
        assert scene.observer.heard == [(SiprecEvent.ERROR, "stopped")]
        assert scene.engine.sessions["CA1"].forks == {}

    async def test_stop_between_two_servers(self) -> None:
        scene = Scene(targets=TWO_SERVERS)
        await scene.start()
        scene.driver.say(rejected("s1", 503))
        await scene.session.stop("rest")
        assert scene.agent.names == ["invite"]
        assert scene.observer.heard == [(SiprecEvent.STOPPED, "stopped")]


class TestOtherEnds:
    async def test_stop_before_the_answer(self, scene: Scene) -> None:
        """B20: never accepted and stopped gives one siprec-stopped; ports are free only after the CANCEL's end."""
        await scene.start()
        stopping = asyncio.create_task(scene.session.stop("call-ended"))
        await settle()
        assert scene.engine.sessions["CA1"].forks != {}
        await scene.say(SessionEnded("s1", EndCause.CANCELLED))
        await stopping
        assert scene.engine.sessions["CA1"].forks == {}
        assert scene.observer.heard == [(SiprecEvent.STOPPED, "stopped")]
        assert scene.siprec.stopped_by == "call-ended"

    async def test_a_cancel_that_nobody_answers(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        """B20: the end of a call does not wait for a dead server."""
        monkeypatch.setattr("sidestream.recording.session.CANCEL_WAIT_S", 0.0)
        await scene.start()
        await scene.session.stop("call-ended")
        assert scene.observer.heard == [(SiprecEvent.STOPPED, "stopped")]

    async def test_stop_before_the_run(self, scene: Scene) -> None:
        await scene.open_media()
        stopping = asyncio.create_task(scene.session.stop("rest"))
        await settle()
        await scene.session.run()
        await stopping
        assert scene.agent.commands == []
        assert scene.observer.heard == [(SiprecEvent.STOPPED, "stopped")]

    async def test_the_server_hangs_up(self, scene: Scene) -> None:
        """B18."""
        task = await scene.start()
        await scene.accept()
        bye = Request("BYE", Uri.parse("sip:SRC@192.0.2.20"), Headers())
        await scene.say(ByeReceived("s1", bye))
        await task
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.STOPPED]
        assert scene.siprec.stopped_by == "srs"
        assert "bye" not in scene.agent.names

    async def test_the_server_forgets_the_session(self, scene: Scene) -> None:
        """Accepted and failed later: started, error; no other server is tried."""
        scene = Scene(targets=TWO_SERVERS)
        task = await scene.start()
        await scene.accept()
        await scene.say(SessionEnded("s1", EndCause.LOST))
        await task
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.ERROR]
        assert scene.siprec.error_code == 31903
        assert scene.agent.names.count("invite") == 1

    async def test_an_unusable_answer(self, scene: Scene) -> None:
        """B39."""
        task = await scene.start()
        await scene.accept("v=0\r\n")
        await task
        assert scene.agent.names == ["invite", "acknowledge", "bye"]
        assert scene.siprec.error_code == 32102

    async def test_a_refused_update_does_no_harm(self, scene: Scene) -> None:
        """B17."""
        await scene.start()
        await scene.accept()
        scene.session.update(replace(scene.call, inbound_sending=False))
        await settle()
        await scene.say(ReinviteRejected("s1", Response(500, "Words", Headers())))
        await scene.stop()
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.STOPPED]


class TestTroubleOfOurOwn:
    async def test_no_forks(self, scene: Scene) -> None:
        await scene.open_media()
        scene.engine.fail("open_fork", "no-ports", "all ports are in use")
        await scene.session.run()
        assert scene.agent.commands == []
        assert scene.siprec.error_code == 32210
        assert scene.siprec.error_message == "The media engine failed: no-ports: all ports are in use"
        assert scene.observer.heard == [(SiprecEvent.ERROR, "stopped")]

    async def test_a_fork_that_cannot_be_configured(self, scene: Scene) -> None:
        task = await scene.start()
        scene.engine.fail("configure_fork")
        await scene.accept()
        await task
        assert scene.agent.names == ["invite", "acknowledge", "bye"]
        assert scene.siprec.error_code == 31900

    @pytest.mark.parametrize("answered", [True, False])
    async def test_the_engine_is_lost(self, answered: bool) -> None:
        scene = Scene(targets=TWO_SERVERS)
        task = await scene.start()
        if answered:
            await scene.accept()
        scene.engine.lose("died")
        scene.session.receive_media(EngineLost("CA1", "died"))
        await settle()
        await task
        assert scene.observer.events[-1] is SiprecEvent.ERROR
        assert scene.agent.names[-1] == "bye"
        assert scene.agent.names.count("invite") == 1
        assert scene.siprec.error_message == "The media engine was lost: died"

    async def test_a_defect_never_reaches_the_call(self, scene: Scene) -> None:
        """C51."""
        scene.agent.invite = None  # type: ignore[assignment,method-assign]
        await scene.start()
        assert scene.task is not None
        await scene.task
        assert scene.observer.heard == [(SiprecEvent.ERROR, "stopped")]
        assert scene.siprec.error_message == "The recording failed: TypeError"
        assert scene.engine.sessions["CA1"].forks == {}

    async def test_cancelling_hangs_up(self, scene: Scene) -> None:
        task = await scene.start()
        await scene.accept()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.agent.names[-1] == "bye"
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.ERROR]

    async def test_a_defect_before_the_first_server(self, scene: Scene) -> None:
        await scene.open_media()
        scene.engine.open_fork = None  # type: ignore[assignment,method-assign]
        await scene.session.run()
        assert scene.observer.heard == [(SiprecEvent.ERROR, "stopped")]

    async def test_cancelling_while_the_forks_are_closed(self, scene: Scene) -> None:
        task = await scene.start()
        await scene.accept()
        gate = scene.engine.hold("close_fork")
        stopping = asyncio.create_task(scene.session.stop("rest"))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stopping
        gate.set()
        assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.ERROR]

    async def test_an_observer_that_fails_at_the_end(self, scene: Scene) -> None:
        """C51: the end is told once, and the task ends in peace."""
        heard: list[SiprecEvent | None] = []

        def fail(_siprec: Siprec, event: SiprecEvent | None) -> None:
            heard.append(event)
            raise ValueError("a defect of the call")

        scene.observer.siprec_changed = fail  # type: ignore[method-assign]
        await scene.start()
        await scene.stop()
        assert scene.task is not None
        assert scene.task.exception() is None
        assert heard == [SiprecEvent.STOPPED]


SECURE = "sip:srs@192.0.2.50;secure=true"


def offered(scene: Scene) -> SessionDescription:
    """What the last INVITE offered."""
    invite = scene.agent.last("invite")
    headers = Headers([("Content-Type", invite["content_type"])])
    body = parse_body(Request("INVITE", invite["target"], headers, invite["body"]))
    assert body.sdp is not None
    return SessionDescription.parse(body.sdp)


async def test_secure_servers_are_offered_the_suites_of_the_connector() -> None:
    scene = Scene(targets=(SECURE,))
    await scene.start()
    for line in offered(scene).media:
        assert [crypto.key.suite for crypto in line.cryptos] == [CryptoSuite.AES_CM_128_HMAC_SHA1_80]
    assert all(fork.own_ports for fork in scene.engine.sessions["CA1"].forks.values())


async def test_a_secure_call_is_offered_to_secure_servers_only() -> None:
    """C39, RFC 7866 §12."""
    scene = Scene(targets=("sip:plain@192.0.2.50", SECURE))
    scene.call = replace(scene.call, is_secure=True)
    scene.session.update(scene.call)
    await scene.start()
    assert scene.agent.names.count("invite") == 1
    assert scene.agent.last("invite")["target"].user == "srs"


async def test_a_secure_call_without_a_secure_server_is_not_recorded_unless_that_is_allowed() -> None:
    """C39."""
    for allowed in (False, True):
        scene = Scene(options=ConnectorOptions(plain_copy_of_secure_calls=allowed))
        scene.session.update(replace(scene.call, is_secure=True))
        await scene.start()
        assert scene.agent.names.count("invite") == allowed
        assert scene.siprec.error_code == (None if allowed else 32208)
