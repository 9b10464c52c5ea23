from collections.abc import Callable

import pytest

from sidestream.base.ids import Ids
from sidestream.media.engine import Address, Format, Latch, RecorderStatistics, SessionStatistics, SrtpKey
from sidestream.sdp.direction import Direction
from sidestream.sdp.session import SessionDescription
from sidestream.srs.archive import Folder
from sidestream.srs.lines import LINE_LIMIT, Lines, UnusableOffer, first_sample_text
from sidestream.testing.fake_engine import FakeEngine

FIRST = 1_772_442_904_500_000_000  # 2026-03-02T09:15:04.5Z


@pytest.fixture
async def lines(folder: Folder, engine: FakeEngine, ids: Ids) -> Lines:
    await engine.open_session("srs-1")
    return Lines("srs-1", folder, engine, ids, "default")


def parsed(text: str) -> SessionDescription:
    return SessionDescription.parse(text.encode())


async def test_each_line_gets_an_endpoint_and_a_recorder(
    lines: Lines, engine: FakeEngine, folder: Folder, sdp: Callable[..., str]
) -> None:
    reply = await lines.apply(parsed(sdp("sendonly", "sendonly")))
    assert [(m.port, m.label, m.direction) for m in reply.media] == [
        (40000, "inbound", Direction.RECVONLY),
        (40002, "outbound", Direction.RECVONLY),
    ]
    session = engine.sessions["srs-1"]
    assert [recorder.path for recorder in session.recorders.values()] == [
        str(folder.stream_path(1)),
        str(folder.stream_path(2)),
    ]
    endpoint = session.endpoints["line-1"]
    assert (endpoint.remote, endpoint.remote_rtcp) == (Address("192.0.2.20", 40016), Address("192.0.2.20", 40017))
    assert endpoint.formats == (Format(0, "PCMU", 8000), Format(101, "TELEPHONE-EVENT", 8000))
    assert (endpoint.latch, endpoint.send, endpoint.receive) == (Latch.EACH, False, True)
    # M15: the recorder stands before the endpoint is told to take packets.
    commands = [command for command, target in engine.commands if target.endswith("line-1")]
    assert commands == ["open_endpoint", "open_recorder", "configure_endpoint"]


async def test_pause_and_resume_keep_ports_and_raise_the_version(
    lines: Lines, engine: FakeEngine, sdp: Callable[..., str]
) -> None:
    first = await lines.apply(parsed(sdp("sendonly", "sendonly")))
    paused = await lines.apply(parsed(sdp("inactive", "sendonly")))
    assert [m.direction for m in paused.media] == [Direction.INACTIVE, Direction.RECVONLY]
    assert [m.port for m in paused.media] == [m.port for m in first.media]
    assert engine.sessions["srs-1"].endpoints["line-1"].receive is False
    resumed = await lines.apply(parsed(sdp("sendonly", "sendonly")))
    again = await lines.apply(parsed(sdp("sendonly", "sendonly")))
    versions = [reply.origin.version for reply in (first, paused, resumed, again) if reply.origin is not None]
    assert versions == [1, 2, 3, 3]
    assert len(lines.all) == 2
    assert lines.current == again


async def test_removed_lines_are_closed_and_new_ones_get_new_files(
    lines: Lines, engine: FakeEngine, sdp: Callable[..., str]
) -> None:
    await lines.apply(parsed(sdp("sendonly", "sendonly")))
    reply = await lines.apply(parsed(sdp("-", "sendonly")))
    assert [m.port for m in reply.media] == [0, 40002]
    assert [line.is_open for line in lines.all] == [False, True]
    assert list(engine.sessions["srs-1"].endpoints) == ["line-2"]
    back = await lines.apply(parsed(sdp("sendonly", "sendonly")))
    assert [m.port for m in back.media] == [40004, 40002]
    assert [line.path.name for line in lines.all] == ["stream-1.wav", "stream-2.wav", "stream-3.wav"]


async def test_all_lines_may_be_taken_away_later_but_not_at_first(lines: Lines, sdp: Callable[..., str]) -> None:
    with pytest.raises(UnusableOffer):
        await lines.apply(parsed(sdp("-", "-")))
    await lines.apply(parsed(sdp("sendonly")))
    reply = await lines.apply(parsed(sdp("-", "-")))
    assert [m.port for m in reply.media] == [0, 0]
    assert lines.is_silent_by_agreement()


async def test_an_offer_of_nothing_usable_changes_nothing(
    lines: Lines, engine: FakeEngine, sdp: Callable[..., str]
) -> None:
    await lines.apply(parsed(sdp("sendonly")))
    count = len(engine.commands)
    with pytest.raises(UnusableOffer):
        await lines.apply(parsed(sdp("sendonly", codec="18")))
    assert len(engine.commands) == count


async def test_lines_over_the_limit_are_refused(lines: Lines, sdp: Callable[..., str]) -> None:
    count = LINE_LIMIT + 2
    reply = await lines.apply(parsed(sdp(*["sendonly"] * count, labels=tuple(str(n) for n in range(count)))))
    assert [m.is_refused for m in reply.media] == [False] * LINE_LIMIT + [True, True]


async def test_an_offer_without_address_is_learned_from_its_packets(
    lines: Lines, engine: FakeEngine, sdp: Callable[..., str]
) -> None:
    await lines.apply(parsed(sdp("sendonly").replace("c=IN IP4 192.0.2.20\r\n", "")))
    endpoint = engine.sessions["srs-1"].endpoints["line-1"]
    assert (endpoint.remote, endpoint.latch) == (None, Latch.EACH)


async def test_first_packet_is_an_estimate_until_the_recorder_tells(lines: Lines, sdp: Callable[..., str]) -> None:
    await lines.apply(parsed(sdp("sendonly", "sendonly")))
    lines.first_packet("line-1", FIRST)
    lines.first_packet("line-1", FIRST + 10**9)
    lines.first_packet("line-9", FIRST)
    assert first_sample_text(lines.all[0]) == "2026-03-02T09:15:04.500000Z"
    assert first_sample_text(lines.all[1]) is None
    told = RecorderStatistics("p", 5, 1, 0, 0, 800, FIRST - 20_000_000)
    lines.settle(SessionStatistics({}, {}, {"line-1": told}))
    assert lines.all[0].statistics == told
    assert first_sample_text(lines.all[0]) == "2026-03-02T09:15:04.480000Z"
    assert lines.all[1].is_open
    lines.settle(None)
    assert lines.all[1].is_open


async def test_silence_is_agreed_on_while_no_line_may_carry_media(lines: Lines, sdp: Callable[..., str]) -> None:
    assert lines.is_silent_by_agreement()
    await lines.apply(parsed(sdp("inactive", "inactive")))
    assert lines.is_silent_by_agreement()
    await lines.apply(parsed(sdp("inactive", "sendonly")))
    assert not lines.is_silent_by_agreement()


def secured(text: str, *, key: str = "D1XUCwxWKr43/V91ZNrdz41mggc7XcajhKkolPwt") -> SessionDescription:
    text = text.replace("RTP/AVP", "RTP/SAVP")
    return parsed(text.replace("a=rtpmap", f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=rtpmap"))


async def test_srtp_is_recorded_under_a_key_of_each_side(
    lines: Lines, engine: FakeEngine, sdp: Callable[..., str]
) -> None:
    """S13, M4: our key stays while the client does, and is new when it has moved."""
    offered = secured(sdp("sendonly"))
    reply = await lines.apply(offered)
    (ours,) = reply.media[0].cryptos
    endpoint = engine.sessions["srs-1"].endpoints["line-1"]
    assert (reply.media[0].protocol, ours.tag) == ("RTP/SAVP", 3)
    assert endpoint.send_key == SrtpKey("AES_CM_128_HMAC_SHA1_80", ours.key.key)
    assert endpoint.receive_key == SrtpKey("AES_CM_128_HMAC_SHA1_80", offered.media[0].cryptos[0].key.key)
    assert (await lines.apply(secured(sdp("inactive")))).media[0].cryptos == (ours,)
    moved = await lines.apply(secured(sdp("sendonly").replace("40016", "40116")))
    (new,) = moved.media[0].cryptos
    assert new.key.key != ours.key.key
    assert endpoint.send_key == SrtpKey("AES_CM_128_HMAC_SHA1_80", new.key.key)


async def test_srtp_without_a_usable_key_is_refused(lines: Lines, sdp: Callable[..., str]) -> None:
    with pytest.raises(UnusableOffer):
        await lines.apply(secured(sdp("sendonly"), key="c2hvcnQ="))
