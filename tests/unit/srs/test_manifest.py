import json

import msgspec
import pytest

from sidestream.srs.manifest import Manifest, Parameter, SessionEntry, State, StreamEntry, aligned, decode, encode

STREAM = StreamEntry(index=0, label="inbound", file="stream-1.wav", codec="PCMU")


def manifest(**changes: object) -> Manifest:
    return Manifest(
        recording_id="RE1",
        state=State.COMPLETE,
        sip_call_id="c",
        from_="sip:a@b",
        to="sip:c@d",
        started="2026-03-02T09:15:04.000000Z",
        streams=(STREAM,),
        parameters=(Parameter("Role", "inbound"),),
        sessions=(SessionEntry(session_id="s"),),
        metadata=("metadata-001.xml",),
        **changes,
    )


def test_shape() -> None:
    shown = json.loads(encode(manifest()))
    assert set(shown) == {
        *("version", "recording_id", "state", "sip_call_id", "from", "to", "started", "ended", "duration_ms", "audio"),
        *("streams", "parameters", "sessions", "metadata", "problems"),
    }
    assert set(shown["streams"][0]) == {
        *("index", "label", "file", "codec", "stream_id", "participant_aor", "participant_name", "packets", "lost"),
        *("duplicates", "late", "samples", "first_sample", "offset_ms", "gaps", "dropped_samples"),
    }
    assert shown["from"] == "sip:a@b"
    assert shown["state"] == "complete"
    assert shown["parameters"] == [{"name": "Role", "value": "inbound"}]


def test_round_trip() -> None:
    assert decode(encode(manifest())) == manifest()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"state": "lost"}', b"[]"])
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)


def test_offsets_count_from_the_earliest_first_sample() -> None:
    early = msgspec.structs.replace(STREAM, first_sample="2026-03-02T09:15:04.500000Z")
    late = msgspec.structs.replace(STREAM, first_sample="2026-03-02T09:15:05.000250Z")
    assert [stream.offset_ms for stream in aligned((late, early, STREAM))] == [500.25, 0.0, None]
    assert aligned((STREAM,)) == (STREAM,)
