"""A recorded call as tshark sees it: nothing malformed, every stream whole."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .capture import Capture
from .conftest import Stage
from .server_process import MEDIA_PORTS

pytestmark = pytest.mark.interop

_WARNING = 0x600000  # PI_WARN of tshark's expert items; errors are above
_INVITE_TO_SRS = 'sip.Method == "INVITE" && sip.Require contains "siprec"'


@pytest.fixture(scope="module")
def capture(stage: Stage, recorded_call: Callable[[], Path]) -> Capture:
    """One call with speech to and fro, recorded by the bundled server."""
    sip_ports = (stage.server.sip_port, stage.server.srs_port)
    ports = " or ".join(f"port {port}" for port in sip_ports)
    with Capture(
        stage.directory / "call.pcapng",
        f"{ports} or udp portrange {MEDIA_PORTS[0]}-{MEDIA_PORTS[1]}",
        decode=[f"{transport}.port=={port},sip" for port in sip_ports for transport in ("udp", "tcp")],
    ) as capture:
        recorded_call()
    return capture


def test_nothing_is_malformed(capture: Capture) -> None:
    assert (
        len(capture.frames("sip", "frame.number")) >= 15
    )  # three INVITEs to their ACKs, three BYEs with their answers
    assert capture.frames("_ws.malformed", "frame.number", "_ws.col.Info") == []
    complaints = f"(sip || rtp || rtcp) && !tcp.analysis.flags && _ws.expert.severity >= {_WARNING}"
    assert capture.frames(complaints, "frame.number", "_ws.col.Info", "_ws.expert.message") == []


def test_every_request_is_answered(capture: Capture) -> None:
    asked = set(capture.frames('sip.Method && sip.Method != "ACK"', "sip.Call-ID", "sip.CSeq"))
    final = set(capture.frames("sip.Status-Code >= 200", "sip.Call-ID", "sip.CSeq"))
    assert asked == final
    # Two legs and the recording session, each with INVITE and BYE.
    assert sorted(cseq.split()[1] for _, cseq in asked) == ["BYE"] * 3 + ["INVITE"] * 3


def test_body_of_the_recording_session_is_recognised(capture: Capture) -> None:
    ((types, dispositions, labels, media, tags),) = capture.frames(
        _INVITE_TO_SRS,
        "mime_multipart.header.content-type",
        "mime_multipart.header.content-disposition",
        "sdp.media_attr",
        "sdp.media.media",
        "xml.tag",
    )
    assert types == "application/sdp,application/rs-metadata+xml"
    assert dispositions == "recording-session"
    assert [attribute for attribute in labels.split(",") if attribute.startswith(("label:", "sendonly"))] == [
        *("sendonly", "label:inbound"),
        *("sendonly", "label:outbound"),
    ]
    assert media == "audio,audio"
    assert tags.startswith('<recording xmlns="urn:ietf:params:xml:ns:recording:1">')
    assert tags.count("<stream ") == tags.count("<participant ") == 2


def test_streams_are_whole(capture: Capture) -> None:
    streams = _streams(capture)
    # Caller and callee, each to the platform and back, and a fork of either.
    assert len(streams) == 6
    assert all(lost == 0 for _, _, lost in streams)
    assert all(packets >= 100 for _, packets, _ in streams)  # of three seconds, 150


def test_forks_have_reports_and_goodbye(capture: Capture) -> None:
    found = [ssrc for ssrc, _, _ in _streams(capture)]
    # SIPp echoes its stream with the same SSRC, and the platform passes it on as it came; only forks are alone.
    forks = {ssrc for ssrc in found if found.count(ssrc) == 1}
    assert len(forks) == 2
    # RFC 3550 §6.1: a compound packet begins with a report and holds a CNAME.
    reports = capture.frames("rtcp.pt == 200 && rtcp.sdes.type == 1", "rtcp.senderssrc")
    assert {int(sender, 16) for (sender,) in reports} >= forks
    goodbyes = capture.frames("rtcp.pt == 203", "rtcp.senderssrc")
    assert {int(sender, 16) for (sender,) in goodbyes} >= forks


def _streams(capture: Capture) -> list[tuple[int, int, int]]:
    """SSRC, packets and losses of every RTP stream."""
    rows = re.findall(r"0x([0-9A-F]{8})\s+\S+\s+(\d+)\s+(-?\d+) \(", capture.statistics("rtp,streams"))
    return [(int(ssrc, 16), int(packets), int(lost)) for ssrc, packets, lost in rows]
