"""What happens between the INVITE and the end, over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from sidestream.sdp.session import SessionDescription
from sidestream.sip.message import Request
from sidestream.srs.config import SrsConfig
from sidestream.srs.manifest import State
from sidestream.testing.fake_engine import FakeEngine

from .conftest import Recorder
from .vendors import GATEWAY, HOSTED, PLATFORM, Vendor

METADATA_TYPE = "application/rs-metadata+xml"
DISPOSITION = ("Content-Disposition: recording-session",)


def sdp_of(vendor: Vendor, old: str = "", new: str = "") -> bytes:
    """The SDP of a vendor's INVITE, with the changes of a later offer."""
    text = vendor.octets.decode()
    text = text[text.index("v=0") :]
    text = text[: text.index("\r\n--")] + "\r\n"
    text = text.replace("{port_a}", "40016").replace("{port_b}", "40018")
    return text.replace(old, new).encode()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_inactive_at_first_then_sending_then_paused(recorder: Recorder, transport: str) -> None:
    peer = await recorder.peer(transport)
    await peer.invite(GATEWAY)
    for stated, expected in (("sendonly", "recvonly"), ("inactive", "inactive"), ("sendonly", "recvonly")):
        response = await peer.request("INVITE", sdp_of(GATEWAY, "a=inactive", f"a={stated}"), "application/sdp")
        assert response.status == 200
        await peer.acknowledge()
        answer = SessionDescription.parse(response.body)
        assert [answer.direction(index).value for index in range(2)] == [expected, expected]


async def test_pause_by_address_keeps_the_session(recorder: Recorder) -> None:
    peer = await recorder.peer("TCP")
    await peer.invite(HOSTED)
    held = sdp_of(HOSTED, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")
    response = await peer.request("INVITE", held, "application/sdp")
    assert response.status == 200
    await peer.acknowledge()
    assert (await peer.request("BYE")).status == 200


async def test_metadata_arrives_by_update_and_by_bye(recorder: Recorder) -> None:
    peer = await recorder.peer("TCP")
    await peer.invite(PLATFORM)
    joined = (
        '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>'
        '<participant participant_id="L0yHiwMvSo6sbfgjQ2s37g==">'
        '<nameID aor="sip:night@marsh.example.org"/></participant>'
        "</recording>"
    )
    response = await peer.request("UPDATE", joined.encode(), "application/rs-metadata", extra=DISPOSITION)
    assert (response.status, response.body) == (200, b"")
    manifest = await recorder.manifest(peer)
    assert manifest.streams[1].participant_aor == "sip:night@marsh.example.org"
    ended = (
        '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>'
        '<session session_id="+b6VvL1RRW24nrRQxci3lw=="><stop-time>2026-03-02T09:21:47.003910Z</stop-time></session>'
        "</recording>"
    )
    extra = (*DISPOSITION, "Require: siprec")
    assert (await peer.request("BYE", ended.encode(), METADATA_TYPE, extra=extra)).status == 200
    manifest = await recorder.manifest(peer, State.COMPLETE)
    assert manifest.sessions[0].stop_time == "2026-03-02T09:21:47.003910Z"
    assert manifest.metadata == ("metadata-001.xml", "metadata-002.xml", "metadata-003.xml")
    assert (recorder.folder(peer).path / "metadata-003.xml").read_bytes() == ended.encode()


async def test_options_are_answered_outside_and_inside(recorder: Recorder) -> None:
    peer = await recorder.peer("UDP")
    peer.vendor = PLATFORM
    outside = await peer.request("OPTIONS")
    assert outside.status == 200
    assert "siprec" in outside.supported
    await peer.invite(PLATFORM)
    assert (await peer.request("OPTIONS")).status == 200


async def test_cancel_ends_it_and_leaves_nothing(recorder: Recorder, engine: FakeEngine) -> None:
    gate = engine.hold("open_endpoint")
    peer = await recorder.peer("UDP")
    inviting = asyncio.create_task(peer.invite(PLATFORM))
    while not any(command == "open_endpoint" for command, _ in engine.commands):
        await asyncio.sleep(0.005)
    await peer.send("CANCEL")
    assert (await inviting).status == 487
    gate.set()
    while recorder.server.live:
        await asyncio.sleep(0.005)
    assert recorder.server.archive.manifests() == []
    assert engine.sessions == {}


async def test_an_ordinary_call_is_refused(recorder: Recorder) -> None:
    peer = await recorder.peer("UDP")
    ordinary = replace(
        PLATFORM,
        contact="<sip:a@127.0.0.1>",
        headers=(),
        content_type="application/sdp",
        body=sdp_of(PLATFORM).decode().replace("\r\n", "\n"),
    )
    assert (await peer.invite(ordinary)).status == 403


async def test_an_unknown_extension_is_420(recorder: Recorder) -> None:
    peer = await recorder.peer("UDP")
    response = await peer.invite(replace(PLATFORM, headers=("Require: siprec, 100rel-new",)))
    assert (response.status, response.headers.get("Unsupported")) == (420, "100rel-new")


async def test_nothing_to_record_is_488(recorder: Recorder) -> None:
    peer = await recorder.peer("UDP")
    video = replace(PLATFORM, body=PLATFORM.body.replace("m=audio", "m=video"))
    assert (await peer.invite(video)).status == 488


async def test_a_full_archive_says_when_to_come_back(
    start: Callable[..., Awaitable[Recorder]], engine: FakeEngine, config: SrsConfig
) -> None:
    recorder = await start(engine, replace(config, stored_limit=0))
    response = await (await recorder.peer("TCP")).invite(PLATFORM)
    assert (response.status, response.headers.get("Retry-After")) == (503, "60")


async def test_closing_the_server_hangs_up_and_finishes_the_files(
    start: Callable[..., Awaitable[Recorder]], engine: FakeEngine
) -> None:
    recorder = await start(engine)
    peer = await recorder.peer("TCP")
    await peer.invite(PLATFORM)
    closing = asyncio.create_task(recorder.server.close())
    message = await peer.message()
    assert isinstance(message, Request)
    assert message.method == "BYE"
    await closing
    assert (await recorder.manifest(peer)).state is State.COMPLETE


async def test_a_crash_leaves_what_the_next_start_finishes(
    start: Callable[..., Awaitable[Recorder]], engine: FakeEngine, config: SrsConfig
) -> None:
    crashed = await start(engine)
    peer = await crashed.peer("TCP")
    await peer.invite(PLATFORM)
    # A second server over the same archive stands for the restarted process: it sees an unfinished recording.
    again = await start(FakeEngine())
    assert again.server.archive.recording_of(peer.call_id) is not None
    manifest = await again.manifest(peer)
    assert manifest.state is State.INTERRUPTED
    assert manifest.problems == ("the recording server stopped in its midst",)
