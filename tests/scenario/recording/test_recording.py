from dataclasses import replace

import pytest

from sidestream.media.engine import EngineLost
from sidestream.recording.siprec import SiprecEvent
from sidestream.sdp.direction import Direction
from sidestream.sip.agent.events import AckReceived, Cancelled, ReinviteAccepted, RequestAnswered
from sidestream.sip.transport import Transport

from .conftest import Stage, until

STARTED, STOPPED, ERROR = SiprecEvent.STARTED, SiprecEvent.STOPPED, SiprecEvent.ERROR


async def test_a_call_is_recorded_from_its_start_to_its_end(stage: Stage) -> None:
    """C1, C2, C10-C18, B1, B2, B19, B27: start, hold, resume, end; every document valid and in step with the SDP."""
    recorder = await stage.recorder()
    session, call = await stage.record(recorder.uri, parameters=(("Role", "inbound"), ("Nasty", "<&\x00\"'>")))
    await until(lambda: stage.active == [True, True] and stage.heard == [STARTED])
    invite = recorder.requests[0]
    assert invite.contacts[0].param("+sip.src") == ""
    assert invite.require == ("siprec",)
    assert invite.from_.uri.user == "SRC"

    session.update(replace(call, inbound_sending=False))
    await until(lambda: len(recorder.offers) == 2)
    state = recorder.state
    assert state is not None
    assert [(len(a.send), len(a.recv)) for a in state.participant_streams] == [(0, 1), (1, 0)]
    session.update(call)
    await until(lambda: len(recorder.offers) == 3)
    assert {media.direction for media in recorder.offers[2].media} == {Direction.SENDONLY}
    versions = [offer.origin.version for offer in recorder.offers if offer.origin is not None]
    assert versions == [1, 1, 1]

    await session.stop("call-ended")
    await until(lambda: recorder.is_over)
    assert recorder.methods == ["INVITE", "INVITE", "INVITE", "BYE"]
    assert recorder.state is not None
    assert recorder.state.sessions[0].stop_time is not None
    assert recorder.state.sessions[0].extension is not None
    assert recorder.state.sessions[0].extension.parameters == (("Role", "inbound"), ("Nasty", "<&\"'>"))
    assert stage.heard == [STARTED, STOPPED]
    siprec = session.siprec
    assert (siprec.srs_uri, siprec.stopped_by, siprec.error_code) == (recorder.uri, "call-ended", None)
    assert siprec.sip_call_id == invite.call_id
    assert siprec.invite_ms is not None
    assert 0 < siprec.invite_ms < 1000


@pytest.mark.parametrize("transports", [(Transport.UDP,), (Transport.TCP,)])
async def test_a_recorder_with_one_transport(stage: Stage, transports: tuple[Transport, ...]) -> None:
    """The INVITE is over 1300 octets: TCP first, UDP where nobody listens on TCP (RFC 3261 §18.1.1)."""
    recorder = await stage.recorder(transports=transports)
    uri = recorder.uri if transports == (Transport.UDP,) else f"{recorder.uri};transport=tcp"
    session, _ = await stage.record(uri)
    await until(lambda: stage.heard == [STARTED])
    await session.stop("rest")
    await until(lambda: recorder.is_over)
    assert recorder.requests[0].via.transport == transports[0]
    # The call goes on, so its session is not said to have stopped.
    assert recorder.state is not None
    assert recorder.state.sessions[0].stop_time is None
    assert recorder.state.session_recordings[0].disassociate_time is not None


async def test_many_changes_at_once_become_one_exchange_at_a_time(stage: Stage) -> None:
    """C44, B27."""
    recorder = await stage.recorder()
    session, call = await stage.record(recorder.uri)
    await until(lambda: stage.heard == [STARTED])
    for held in (True, False) * 5:
        session.update(replace(call, outbound_sending=not held))
    session.update(replace(call, inbound_sending=False))
    await until(lambda: recorder.state is not None and recorder.state.participant_streams[0].send == ())
    assert 2 <= len(recorder.offers) <= 3
    await session.stop("rest")


async def test_the_recorder_hangs_up(stage: Stage) -> None:
    """B18."""
    recorder = await stage.recorder()
    session, _ = await stage.record(recorder.uri)
    await until(lambda: stage.active == [True, True])
    recorder.bye()
    await until(lambda: stage.heard == [STARTED, STOPPED])
    assert session.siprec.stopped_by == "srs"
    assert stage.engine.sessions["CA1"].forks == {}


@pytest.mark.parametrize("status", [486, 503])
async def test_a_refusal_leads_to_the_next_recorder(stage: Stage, status: int) -> None:
    """B37, B38: the second gets a full offer and a full snapshot of its own."""
    first, second = await stage.recorder(status), await stage.recorder()
    session, _ = await stage.record(first.uri, second.uri)
    await until(lambda: stage.heard == [STARTED])
    assert first.requests[0].call_id != second.requests[0].call_id
    assert session.siprec.srs_uri == second.uri
    assert [media.label for media in second.offers[0].media] == ["inbound", "outbound"]
    await session.stop("rest")
    await until(lambda: second.is_over)
    assert stage.heard == [STARTED, STOPPED]


async def test_a_silent_recorder_is_given_up(stage: Stage) -> None:
    """B22: after the answer time the INVITE is cancelled, and the next recorder takes over."""
    silent, second = await stage.recorder("silent"), await stage.recorder()
    session, _ = await stage.record(silent.uri, second.uri, answer_timeout_s=1.0)
    await until(lambda: stage.heard == [STARTED])
    assert session.siprec.srs_uri == second.uri
    await until(lambda: silent.answered(Cancelled))
    await session.stop("rest")


async def test_nobody_is_there(stage: Stage) -> None:
    """Never accepted: one siprec-error, the forks are gone, and nothing is raised."""
    session, _ = await stage.record("sip:srs@127.0.0.1:9;transport=tcp", answer_timeout_s=1.0)
    await until(lambda: stage.heard == [ERROR])
    assert session.siprec.error_code in (31901, 31902)
    assert stage.engine.sessions["CA1"].forks == {}
    await session.stop("rest")
    assert stage.heard == [ERROR]


async def test_every_line_refused(stage: Stage) -> None:
    """B39: 2xx with port 0 everywhere: ACK, BYE, next recorder."""
    refusing, second = await stage.recorder("refuse-lines"), await stage.recorder()
    session, _ = await stage.record(refusing.uri, second.uri)
    await until(lambda: stage.heard == [STARTED])
    assert refusing.answered(AckReceived)
    await until(lambda: refusing.is_over)
    assert refusing.methods == ["INVITE", "BYE"]
    assert session.siprec.srs_uri == second.uri
    await session.stop("rest")


async def test_a_recorder_that_is_not_ready(stage: Stage) -> None:
    """B10: inactive first, the forks wait; recvonly later, they run. B9: inactive again, they rest."""
    recorder = await stage.recorder("inactive")
    session, _ = await stage.record(recorder.uri)
    await until(lambda: stage.heard == [STARTED] and recorder.answered(AckReceived))
    assert stage.active == [False, False]
    recorder.behaviour = "accept"
    recorder.reinvite("recvonly")
    await until(lambda: stage.active == [True, True])
    await until(lambda: recorder.answered(ReinviteAccepted))
    answered = next(event for event in recorder.events if isinstance(event, ReinviteAccepted)).response
    assert answered.contacts[0].param("+sip.src") == ""
    recorder.reinvite("inactive")
    await until(lambda: stage.active == [False, False])
    await session.stop("rest")


async def test_a_snapshot_request(stage: Stage) -> None:
    """C21, B12: 200 without a body, then a full snapshot in a re-INVITE."""
    recorder = await stage.recorder()
    session, _ = await stage.record(recorder.uri)
    await until(lambda: stage.heard == [STARTED])
    recorder.state = None
    recorder.request_snapshot()
    await until(lambda: len(recorder.offers) == 2)
    answered = next(event for event in recorder.events if isinstance(event, RequestAnswered)).response
    assert answered is not None
    assert (answered.status, answered.body) == (200, b"")
    # C1: the feature tag also in the 2xx to an UPDATE.
    assert answered.contacts[0].param("+sip.src") == ""
    await session.stop("rest")
    await until(lambda: recorder.is_over)


async def test_the_call_ends_before_the_answer(stage: Stage) -> None:
    """B20: CANCEL; one siprec-stopped and no siprec-started."""
    silent = await stage.recorder("silent")
    session, _ = await stage.record(silent.uri)
    await until(lambda: silent.requests != [])
    await session.stop("call-ended")
    await until(lambda: silent.is_over)
    assert silent.answered(Cancelled)
    assert stage.heard == [STOPPED]
    assert session.siprec.accepted_at is None


async def test_the_engine_dies(stage: Stage) -> None:
    """The recording ends with siprec-error and says goodbye; nothing is raised."""
    recorder = await stage.recorder()
    session, _ = await stage.record(recorder.uri)
    await until(lambda: stage.heard == [STARTED])
    stage.engine.lose("died")
    session.receive_media(EngineLost("CA1", "died"))
    await until(lambda: stage.heard == [STARTED, ERROR])
    await until(lambda: recorder.is_over)
    assert session.siprec.error_code == 31900
