"""The manifest of a recording: what was recorded, of whom, and how well."""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

VERSION = 1  # of the shape below; raised when a reader of the old one would misread the new one


class State(StrEnum):
    RECORDING = "recording"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"  # the server or the media engine went away in its midst


class Gap(msgspec.Struct, frozen=True):
    """Silence of a stream's file that stands for lost packets, in milliseconds from the file's first sample."""

    at_ms: float
    length_ms: float


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded m-line. Counts are final once the recording is; times are RFC 3339 in UTC."""

    index: int  # of the m-line, from 0
    label: str | None
    file: str  # mono WAV beside the manifest
    codec: str
    stream_id: str | None = None
    participant_aor: str | None = None  # who sends the stream
    participant_name: str | None = None
    packets: int = 0
    lost: int = 0
    duplicates: int = 0
    late: int = 0
    samples: int = 0  # at 8000 Hz
    first_sample: str | None = None
    offset_ms: float | None = None  # of the first sample, from the beginning of recording.wav
    gaps: tuple[Gap, ...] = ()  # in order; no more than the media engine lists
    dropped_samples: int = 0  # received, but the disk did not take them: silent in the file


class SessionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded call (communication session) as the metadata names it; times as they stood there."""

    session_id: str
    sip_session_ids: tuple[str, ...] = ()
    group_ref: str | None = None
    start_time: str | None = None
    stop_time: str | None = None


class Parameter(msgspec.Struct, frozen=True):
    """One custom parameter of the metadata's ExtensionParameters."""

    name: str
    value: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The content of manifest.json. `audio` is null until recording.wav is written; its channels follow `streams`."""

    version: int = VERSION
    recording_id: str
    state: State
    sip_call_id: str
    from_: str
    to: str
    started: str
    ended: str | None = None
    duration_ms: int | None = None  # of recording.wav
    audio: str | None = None
    streams: tuple[StreamEntry, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    sessions: tuple[SessionEntry, ...] = ()
    metadata: tuple[str, ...] = ()  # file names, in the order received
    problems: tuple[str, ...] = ()


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(data: bytes) -> Manifest:
    """Raises `msgspec.DecodeError` for what is no manifest of this shape."""
    return msgspec.json.decode(data, type=Manifest)


def aligned(streams: tuple[StreamEntry, ...]) -> tuple[StreamEntry, ...]:
    """`streams` with each `offset_ms` counted from the earliest first sample; None where nothing was received."""
    starts = [datetime.fromisoformat(stream.first_sample) for stream in streams if stream.first_sample is not None]
    if not starts:
        return streams
    begin = min(starts)
    return tuple(
        stream
        if stream.first_sample is None
        else msgspec.structs.replace(
            stream, offset_ms=(datetime.fromisoformat(stream.first_sample) - begin) / timedelta(milliseconds=1)
        )
        for stream in streams
    )
