import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from sidestream.base.ids import Ids
from sidestream.media.engine import EngineLost, FirstPacket, RecorderStatistics, RecordingGap, SilenceTimeout
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.events import (
    AckReceived,
    ByeReceived,
    EndCause,
    InviteReceived,
    ReinviteReceived,
    RequestAnswered,
    RequestReceived,
    SessionEnded,
)
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.siprec.body import parse_body
from sidestream.siprec.srs import CONTACT_PARAMS
from sidestream.srs.archive import Archive, Folder
from sidestream.srs.manifest import Gap, Manifest, State
from sidestream.srs.session import SrsSession
from sidestream.testing.fake_engine import FakeEngine

from .conftest import FakeDriver, FixedClock

RequestOf = Callable[..., Request]
Sdp = Callable[..., str]
FIRST = 1_772_442_904_500_000_000


class Rig:
    """A session under test, its peer played by the test."""

    def __init__(self, session: SrsSession, archive: Archive, engine: FakeEngine, driver: FakeDriver, peer: Peer):
        self.session, self.archive, self.engine, self.agent, self.peer = session, archive, engine, driver.agent, peer
        self.task = asyncio.create_task(session.run())

    async def settled(self) -> None:
        """Until the session waits for its next event; files are written in threads, so this takes turns."""
        inbox = self.session._inbox
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            while not self.task.done() and not (inbox.empty() and inbox._getters):  # type: ignore[attr-defined]
                await asyncio.sleep(0)

    def ended(self, cause: EndCause = EndCause.REMOTE_BYE) -> None:
        self.session.take(SessionEnded("s1", cause))

    async def finished(self) -> Manifest | None:
        await asyncio.wait_for(self.task, 5)
        manifests = self.archive.manifests()
        return manifests[0] if manifests else None

    @property
    def manifest(self) -> Manifest:
        (found,) = self.archive.manifests()
        return found


@pytest.fixture
async def start(
    archive: Archive,
    engine: FakeEngine,
    driver: FakeDriver,
    clock: FixedClock,
    ids: Ids,
    peer: Peer,
) -> AsyncIterator[Callable[[Request], Rig]]:
    rigs: list[Rig] = []

    def begin(invite: Request) -> Rig:
        session = SrsSession(
            InviteReceived("s1", invite, peer),
            parse_body(invite),
            archive,
            driver=driver,  # type: ignore[arg-type]
            engine=engine,
            clock=clock,
            ids=ids,
            interface="default",
        )
        rigs.append(Rig(session, archive, engine, driver, peer))
        return rigs[-1]

    yield begin
    for rig in rigs:
        rig.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await rig.task


@pytest.fixture
async def running(start: Callable[[Request], Rig], request_of: RequestOf, sdp: Sdp, metadata: str) -> Rig:
    """A session of two lines, established."""
    rig = start(request_of(sdp=sdp("sendonly", "sendonly"), metadata=metadata))
    await rig.settled()
    rig.session.take(AckReceived("s1", request_of("ACK")))
    await rig.settled()
    return rig


async def test_the_invite_is_answered_with_plain_sdp_when_everything_is_open(running: Rig) -> None:
    (answer,) = running.agent.responses
    assert (answer["status"], answer["content_type"]) == (200, "application/sdp")
    assert answer["contact_params"] == CONTACT_PARAMS
    assert answer["headers"] == (("Accept", "application/sdp, application/rs-metadata+xml, application/rs-metadata"),)
    assert [m.label for m in SessionDescription.parse(answer["body"]).media] == ["inbound", "outbound"]
    assert list(running.engine.sessions) == [running.session.name]
    manifest = running.manifest
    assert manifest.state is State.RECORDING
    assert [stream.participant_aor for stream in manifest.streams] == ["sip:ada@example.com", "tel:+14155550142"]


async def test_bye_finishes_the_files_with_the_recorders_figures(
    running: Rig, request_of: RequestOf, metadata: str, write_wave
) -> None:
    folder = running.archive.find(running.manifest.recording_id)
    assert folder is not None
    for number, name in enumerate(("line-1", "line-2"), 1):
        write_wave(folder.stream_path(number), [number] * 800)
        recorder = running.engine.sessions[running.session.name].recorders[name]
        recorder.statistics = RecorderStatistics(
            recorder.path, 40 + number, number, 0, 0, 800, FIRST + number * 10**6, (RecordingGap(40.0, 20.0 * number),)
        )
    running.session.take(ByeReceived("s1", request_of("BYE", metadata=metadata.replace("complete", "partial"))))
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert (manifest.state, manifest.audio, manifest.duration_ms) == (State.COMPLETE, "recording.wav", 101)
    assert [(s.packets, s.lost, s.samples, s.offset_ms) for s in manifest.streams] == [
        (41, 1, 800, 0.0),
        (42, 2, 800, 1.0),
    ]
    assert [stream.gaps for stream in manifest.streams] == [(Gap(40.0, 20.0),), (Gap(40.0, 40.0),)]
    assert len(manifest.metadata) == 2
    assert manifest.problems == ()
    assert running.engine.sessions == {}


async def test_what_the_disk_did_not_take_is_told(
    running: Rig, request_of: RequestOf, metadata: str, write_wave
) -> None:
    folder = running.archive.find(running.manifest.recording_id)
    assert folder is not None
    for number, name in enumerate(("line-1", "line-2"), 1):
        write_wave(folder.stream_path(number), [number] * 800)
        recorder = running.engine.sessions[running.session.name].recorders[name]
        dropped = 12_000 if number == 2 else 0
        recorder.statistics = RecorderStatistics(recorder.path, 40, 0, 0, 0, 800, FIRST, (), dropped)
    running.session.take(ByeReceived("s1", request_of("BYE", metadata=metadata)))
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert [stream.dropped_samples for stream in manifest.streams] == [0, 12_000]
    assert manifest.problems == ("1.5 s of stream-2.wav are silent: the disk did not take them",)


async def test_pause_by_reinvite_and_metadata_by_update(
    running: Rig, request_of: RequestOf, sdp: Sdp, metadata: str
) -> None:
    running.session.take(ReinviteReceived("s1", request_of(sdp=sdp("inactive", "inactive")), running.peer))
    await running.settled()
    answer = SessionDescription.parse(running.agent.responses[-1]["body"])
    assert [m.direction for m in answer.media] == ["inactive", "inactive"]
    changed = metadata.replace("Ada Field", "Ada Meadow")
    running.session.take(RequestReceived("r1", "s1", request_of("UPDATE", metadata=changed), running.peer))
    await running.settled()
    (reply,) = running.agent.answers
    assert (reply["request_id"], reply["status"], reply["body"], reply["content_type"]) == ("r1", 200, b"", None)
    assert running.manifest.streams[0].participant_name == "Ada Meadow"
    running.session.take(RequestReceived("r2", "s1", request_of("UPDATE", sdp=sdp("sendonly", "-")), running.peer))
    await running.settled()
    resumed = SessionDescription.parse(running.agent.answers[-1]["body"])
    assert [(m.direction, m.port > 0) for m in resumed.media] == [("recvonly", True), (None, False)]


async def test_a_reinvite_without_offer_gets_our_description_as_one(
    running: Rig, request_of: RequestOf, sdp: Sdp
) -> None:
    before = running.agent.responses[0]["body"]
    running.session.take(ReinviteReceived("s1", request_of(), running.peer))
    await running.settled()
    assert running.agent.responses[-1]["body"] == before
    running.session.take(AckReceived("s1", request_of("ACK", sdp=sdp("inactive", "sendonly"))))
    await running.settled()
    endpoints = running.engine.sessions[running.session.name].endpoints
    assert [endpoint.receive for endpoint in endpoints.values()] == [False, True]
    running.session.take(AckReceived("s1", request_of("ACK", sdp="no sdp")))
    await running.settled()
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.problems == ("the answer in an ACK could not be used",)


@pytest.mark.parametrize("bad", ["v=1\r\n", "v=0\r\nm=audio 5000 RTP/AVP 18\r\n"])
async def test_a_change_that_cannot_be_met_leaves_the_recording_as_it_is(
    running: Rig, request_of: RequestOf, bad: str
) -> None:
    running.session.take(ReinviteReceived("s1", request_of(sdp=bad), running.peer))
    await running.settled()
    assert running.agent.responses[-1]["status"] == 488
    assert all(e.receive for e in running.engine.sessions[running.session.name].endpoints.values())


async def test_a_change_that_the_engine_refuses_is_noted(running: Rig, request_of: RequestOf, sdp: Sdp) -> None:
    running.engine.fail("configure_endpoint")
    running.session.take(RequestReceived("r1", "s1", request_of("UPDATE", sdp=sdp("inactive")), running.peer))
    await running.settled()
    assert running.agent.answers[-1]["status"] == 500
    assert "a change of media failed" in running.manifest.problems[0]


@pytest.mark.parametrize(("method", "status"), [("INFO", 200), ("OPTIONS", 200), ("MESSAGE", 501)])
async def test_other_requests_in_the_session(running: Rig, request_of: RequestOf, method: str, status: int) -> None:
    running.session.take(RequestReceived("r1", "s1", request_of(method), running.peer))
    await running.settled()
    assert running.agent.answers[-1]["status"] == status


async def test_the_first_packet_is_written_down_at_once(running: Rig) -> None:
    running.engine.emit(FirstPacket(running.session.name, "line-2", FIRST))
    await running.settled()
    assert [stream.first_sample for stream in running.manifest.streams] == [None, "2026-03-02T09:15:04.500000Z"]


async def test_silence_makes_it_ask_whether_the_client_lives(running: Rig, request_of: RequestOf, sdp: Sdp) -> None:
    for _ in range(2):
        running.engine.emit(SilenceTimeout(running.session.name, "line-1", 30000))
    await running.settled()
    assert running.agent.requests == [("s1", "OPTIONS")]
    running.session.take(RequestAnswered("another", "s1", None))
    running.session.take(RequestAnswered("request-1", "s1", None))
    running.engine.emit(SilenceTimeout(running.session.name, "line-1", 30000))
    await running.settled()
    assert len(running.agent.requests) == 2
    running.session.take(RequestAnswered("request-2", "s1", None))
    running.session.take(ReinviteReceived("s1", request_of(sdp=sdp("inactive", "inactive")), running.peer))
    running.engine.emit(SilenceTimeout(running.session.name, "line-1", 30000))
    await running.settled()
    assert len(running.agent.requests) == 2


@pytest.mark.parametrize("cause", [EndCause.LOST, EndCause.NO_ACK])
async def test_a_client_that_went_away_is_noted(running: Rig, cause: EndCause) -> None:
    running.ended(cause)
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.problems == (f"the recording client went away: {cause.value}",)
    assert manifest.state is State.COMPLETE


async def test_a_lost_engine_ends_the_session_and_keeps_the_files(running: Rig, write_wave) -> None:
    folder = running.archive.find(running.manifest.recording_id)
    assert folder is not None
    write_wave(folder.stream_path(1), [1] * 80, claimed=0)
    running.session.take(EngineLost(running.session.name, "died"))
    await running.settled()
    assert running.agent.byes == ["s1"]
    running.ended(EndCause.LOCAL_BYE)
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.state is State.INTERRUPTED
    assert manifest.problems == ("the media engine was lost: died", "the recording was cut off")
    assert (manifest.streams[0].samples, manifest.duration_ms) == (80, 10)


async def test_an_engine_that_does_not_close_leaves_an_interrupted_recording(running: Rig) -> None:
    running.engine.fail("close_session")
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.state is State.INTERRUPTED


async def test_stop_hangs_up(running: Rig) -> None:
    running.session.stop()
    await running.settled()
    assert running.agent.byes == ["s1"]
    running.ended(EndCause.LOCAL_BYE)
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.state is State.COMPLETE


async def test_a_session_never_acknowledged_and_silent_leaves_nothing(
    start: Callable[[Request], Rig], request_of: RequestOf, sdp: Sdp
) -> None:
    rig = start(request_of(sdp=sdp("sendonly")))
    await rig.settled()
    rig.ended(EndCause.CANCELLED)
    assert await rig.finished() is None
    assert rig.engine.sessions == {}


async def test_what_was_heard_before_the_ack_is_kept(
    start: Callable[[Request], Rig], request_of: RequestOf, sdp: Sdp
) -> None:
    rig = start(request_of(sdp=sdp("sendonly")))
    await rig.settled()
    rig.engine.emit(FirstPacket(rig.session.name, "line-1", FIRST))
    rig.ended(EndCause.NO_ACK)
    assert await rig.finished() is not None


@pytest.mark.parametrize("text", [None, "no sdp", "v=0\r\nm=audio 5000 RTP/AVP 18\r\nc=IN IP4 192.0.2.1\r\n"])
async def test_offers_that_cannot_be_recorded_are_488(
    start: Callable[[Request], Rig], request_of: RequestOf, metadata: str, text: str | None
) -> None:
    rig = start(request_of(sdp=text, metadata=metadata))
    await rig.settled()
    (answer,) = rig.agent.responses
    assert (answer["status"], answer["body"]) == (488, b"")
    rig.ended(EndCause.REJECTED)
    assert await rig.finished() is None


@pytest.mark.parametrize(
    ("command", "code", "status"),
    [
        ("open_session", "limit", 503),
        ("open_session", "overload", 503),
        ("open_endpoint", "no-ports", 503),
        ("open_recorder", "internal", 500),
    ],
)
async def test_an_engine_that_refuses(
    start: Callable[[Request], Rig],
    request_of: RequestOf,
    sdp: Sdp,
    engine: FakeEngine,
    command: str,
    code: str,
    status: int,
) -> None:
    engine.fail(command, code)
    rig = start(request_of(sdp=sdp("sendonly")))
    await rig.settled()
    (answer,) = rig.agent.responses
    assert answer["status"] == status
    assert (("Retry-After", "60") in answer["headers"]) is (status == 503)
    rig.ended(EndCause.REJECTED)
    assert await rig.finished() is None
    assert engine.sessions == {}


async def test_a_full_archive_is_503_with_retry_after(
    start: Callable[[Request], Rig], request_of: RequestOf, sdp: Sdp, archive: Archive
) -> None:
    archive._stored_limit = 0
    rig = start(request_of(sdp=sdp("sendonly")))
    await rig.settled()
    (answer,) = rig.agent.responses
    assert (answer["status"], answer["headers"]) == (503, (("Retry-After", "60"),))


async def test_a_failure_of_ours_ends_only_this_session(running: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(running.session._lines, "first_packet", broken)
    running.engine.emit(FirstPacket(running.session.name, "line-1", FIRST))
    manifest = await running.finished()
    assert running.agent.byes == ["s1"]
    assert manifest is not None
    assert manifest.problems[0] == "the recording server failed; its log says why"


async def test_a_manifest_that_cannot_be_written_does_not_stop_the_recording(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write_manifest", full)
        running.engine.emit(FirstPacket(running.session.name, "line-1", FIRST))
        await running.settled()
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.problems == ("the manifest could not be written: No space left on device",)


async def test_a_disk_that_fails_at_the_end_leaves_the_recording_for_the_next_start(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "finish", full)
    running.ended()
    manifest = await running.finished()
    assert manifest is not None
    assert manifest.state is State.RECORDING
