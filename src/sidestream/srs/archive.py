"""The archive: one folder for each recording, under a name of our own making.

Blocking file work: call it from a thread when the event loop must not wait. Nothing that a peer sends becomes part of a
path (RFC 7865 ids hold `/`, `+` and `=`).
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from sidestream.base.clock import iso_micros
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.srs.manifest import Manifest, State, StreamEntry, aligned, decode, encode
from sidestream.srs.mixdown import Mixdown, Track, mix
from sidestream.srs.wave_file import WaveError, repair

MANIFEST = "manifest.json"
AUDIO = "recording.wav"
WAVEFORM = "waveform.json"
METADATA_LIMIT = 999  # documents kept of one recording; the number in a file's name has three digits
_ID_PREFIX = "RE"
_ID = re.compile(r"RE[0-9a-f]{32}")

_log = get_logger("srs")


@dataclass
class NoRoom(Exception):
    """The archive takes no further recording for now."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Folder:
    """One recording on disk."""

    path: Path

    @property
    def recording_id(self) -> str:
        return self.path.name

    def stream_path(self, number: int) -> Path:
        """The mono file of the recording's `number`-th stream, from 1."""
        return self.path / f"stream-{number}.wav"

    @property
    def audio_path(self) -> Path:
        return self.path / AUDIO

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest as a whole: a reader sees the old or the new one, also after a crash."""
        _write_whole(self.path / MANIFEST, encode(manifest))

    def read_manifest(self) -> Manifest | None:
        """None if it is missing or not of our shape."""
        try:
            return decode((self.path / MANIFEST).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def add_metadata(self, number: int, data: bytes) -> str:
        """Keep a metadata document as it was received; returns its file name."""
        name = f"metadata-{number:03}.xml"
        (self.path / name).write_bytes(data)
        return name

    def write_waveform(self, mixdown: Mixdown) -> None:
        _write_whole(self.path / WAVEFORM, msgspec.json.encode(mixdown.peaks))

    def read_waveform(self) -> tuple[tuple[float, ...], ...]:
        """The peaks of each channel; () while there are none."""
        try:
            return msgspec.json.decode((self.path / WAVEFORM).read_bytes(), type=tuple[tuple[float, ...], ...])
        except (OSError, msgspec.DecodeError):
            return ()

    def finish(self, manifest: Manifest) -> Manifest:
        """Write recording.wav, the waveform and the final manifest; returns that. OSError if the disk fails."""
        streams = aligned(manifest.streams)
        mixdown = mix([Track(self.path / stream.file, stream.offset_ms or 0.0) for stream in streams], self.audio_path)
        self.write_waveform(mixdown)
        finished = msgspec.structs.replace(manifest, streams=streams, audio=AUDIO, duration_ms=mixdown.duration_ms)
        self.write_manifest(finished)
        return finished

    def discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Archive:
    def __init__(self, root: Path, *, free_floor: int, stored_limit: int) -> None:
        self._root = root.absolute()
        self._free_floor = free_floor
        self._stored_limit = stored_limit
        self._by_call_id: dict[str, str] = {}

    def prepare(self) -> None:
        """Create the archive's directory, readable by nobody else (S25)."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, ids: Ids) -> Folder:
        """The name of a new recording; nothing is on disk before `create`."""
        return Folder(self._root / ids.sid(_ID_PREFIX))

    def recording_of(self, sip_call_id: str) -> str | None:
        """The id of the recording that this Call-ID made; of several the latest."""
        found = self._by_call_id.get(sip_call_id)
        return None if found is None or self.find(found) is None else found

    def create(self, folder: Folder, sip_call_id: str) -> None:
        """Make the folder of a new recording; raises `NoRoom`, or OSError when the disk fails."""
        free = shutil.disk_usage(self._root).free
        if free < self._free_floor:
            raise NoRoom(f"less than {self._free_floor // 2**20} MiB are free")
        if sum(1 for _ in self._ids()) >= self._stored_limit:
            raise NoRoom(f"{self._stored_limit} recordings are stored")
        folder.path.mkdir(mode=0o700)
        self._by_call_id[sip_call_id] = folder.recording_id

    def find(self, recording_id: str) -> Folder | None:
        """The recording of that id, which may come from anywhere; None if there is none."""
        if not _ID.fullmatch(recording_id):
            return None
        folder = Folder(self._root / recording_id)
        return folder if folder.path.is_dir() else None

    def manifests(self, *, offset: int = 0, limit: int | None = None) -> list[Manifest]:
        """Manifests of the recordings, that which changed last first; folders without a readable one are left out."""
        with os.scandir(self._root) as entries:
            changed = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if _ID.fullmatch(entry.name)]
        names = [name for _, name in sorted(changed, reverse=True)]
        chosen = names[offset:] if limit is None else names[offset : offset + limit]
        found = (Folder(self._root / name).read_manifest() for name in chosen)
        return [manifest for manifest in found if manifest is not None]

    def finish_interrupted(self, now: datetime) -> int:
        """Finalise what a crash left behind: state `interrupted`, files made whole. Returns how many there were.

        Reads every manifest; from then on `recording_of` knows them.
        """
        count = 0
        for manifest in reversed(self.manifests()):
            self._by_call_id[manifest.sip_call_id] = manifest.recording_id
            if manifest.state is not State.RECORDING:
                continue
            count += 1
            folder = Folder(self._root / manifest.recording_id)
            try:
                folder.finish(interrupted(folder, manifest, now, "the recording server stopped in its midst"))
            except OSError as error:
                _log.error("! recording not finalised", sid=manifest.recording_id, error=str(error))
        return count

    def _ids(self) -> Iterator[str]:
        with os.scandir(self._root) as entries:
            for entry in entries:
                if _ID.fullmatch(entry.name):
                    yield entry.name


def interrupted(folder: Folder, manifest: Manifest, now: datetime, why: str) -> Manifest:
    """The manifest of a recording whose end nobody saw, its stream files repaired; `now` is the latest it can be."""
    streams = tuple(_repaired(folder, stream) for stream in manifest.streams)
    return msgspec.structs.replace(
        manifest, state=State.INTERRUPTED, ended=iso_micros(now), streams=streams, problems=(*manifest.problems, why)
    )


def _repaired(folder: Folder, stream: StreamEntry) -> StreamEntry:
    try:
        return msgspec.structs.replace(stream, samples=repair(folder.path / stream.file).samples)
    except (OSError, WaveError):
        return stream


def _write_whole(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
