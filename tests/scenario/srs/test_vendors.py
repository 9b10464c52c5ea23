"""Clients of many makes record over both transports, and the files say who was recorded."""

import pytest

from sidestream.sdp.session import SessionDescription
from sidestream.srs.manifest import State

from .conftest import Recorder
from .vendors import BROKEN_XML, PLATFORM, VENDORS, Vendor


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_a_clients_invite_is_taken_as_it_comes(recorder: Recorder, vendor: Vendor, transport: str) -> None:
    peer = await recorder.peer(transport)
    response = await peer.invite(vendor)
    assert response.status == 200
    # S26: plain SDP. S2: our feature tag in Contact. S31: our own origin and an address for every line.
    assert response.content_type is not None
    assert response.content_type.media_type == "application/sdp"
    assert response.contacts[0].param("+sip.srs") is not None
    answer = SessionDescription.parse(response.body)
    assert answer.connection(0) is not None
    # S5, S6, S14: every line in order, received or inactive, with the offer's label.
    assert [(line.label, answer.direction(index).value) for index, line in enumerate(answer.media)] == [
        (label, direction) for label, direction, _ in vendor.expected
    ]
    assert all(line.port > 0 for line in answer.media)
    manifest = await recorder.manifest(peer)
    assert [(stream.label, stream.participant_aor) for stream in manifest.streams] == [
        (label, aor) for label, _, aor in vendor.expected
    ]
    assert (recorder.folder(peer).path / "metadata-001.xml").stat().st_size > 100
    assert (await peer.request("BYE")).status == 200
    assert (await recorder.manifest(peer, State.COMPLETE)).audio == "recording.wav"


async def test_metadata_that_cannot_be_read_is_kept_and_noted(recorder: Recorder) -> None:
    peer = await recorder.peer("TCP")
    assert (await peer.invite(BROKEN_XML)).status == 200
    manifest = await recorder.manifest(peer)
    assert manifest.problems
    assert b"Marsh & Sons <front>" in (recorder.folder(peer).path / "metadata-001.xml").read_bytes()


async def test_custom_parameters_come_through(recorder: Recorder) -> None:
    peer = await recorder.peer("TCP")
    await peer.invite(PLATFORM)
    manifest = await recorder.manifest(peer)
    assert {one.name: one.value for one in manifest.parameters} == {
        "Role": "inbound",
        "CalleeDisplayName": "Marsh & Sons, front desk",
    }
    assert manifest.sessions[0].session_id == "+b6VvL1RRW24nrRQxci3lw=="
