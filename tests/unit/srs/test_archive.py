import json
import os
import wave
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from sidestream.base.ids import Ids
from sidestream.srs.archive import Archive, Folder, NoRoom, interrupted
from sidestream.srs.manifest import Manifest, State, StreamEntry

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def manifest(folder: Folder, state: State = State.RECORDING, **changes: object) -> Manifest:
    return Manifest(
        recording_id=folder.recording_id,
        state=state,
        sip_call_id=f"call-of-{folder.recording_id}",
        from_="sip:a@b",
        to="sip:c@d",
        started="2026-03-02T09:15:04.000000Z",
        streams=(
            StreamEntry(
                index=0, label="in", file="stream-1.wav", codec="PCMU", first_sample="2026-03-02T09:15:04.500000Z"
            ),
            StreamEntry(
                index=1, label="out", file="stream-2.wav", codec="PCMU", first_sample="2026-03-02T09:15:04.510000Z"
            ),
        ),
        **changes,
    )


def test_the_archive_is_private(archive: Archive, folder: Folder) -> None:
    assert folder.path.parent.stat().st_mode & 0o777 == 0o700
    assert folder.path.stat().st_mode & 0o777 == 0o700
    archive.prepare()  # again, with content


def test_a_recording_is_found_by_its_id_and_nothing_else_is(archive: Archive, folder: Folder) -> None:
    assert archive.find(folder.recording_id) == folder
    (folder.path.parent / "other").mkdir()
    for name in ("other", "..", "", ".", folder.recording_id.upper(), f"{folder.recording_id}/..", "RE" + "0" * 32):
        assert archive.find(name) is None


def test_a_recording_is_found_by_its_call_id_while_it_is_kept(archive: Archive, folder: Folder) -> None:
    assert archive.recording_of("call-1") == folder.recording_id
    assert archive.recording_of("call-2") is None
    folder.discard()
    assert archive.recording_of("call-1") is None


def test_no_room_on_the_disk(tmp_path: Path, ids: Ids) -> None:
    archive = Archive(tmp_path, free_floor=2**62, stored_limit=10)
    with pytest.raises(NoRoom, match="MiB are free"):
        archive.create(archive.folder(ids), "c")
    assert list(tmp_path.iterdir()) == []


def test_no_room_in_the_archive(tmp_path: Path, ids: Ids) -> None:
    archive = Archive(tmp_path, free_floor=0, stored_limit=1)
    archive.create(archive.folder(ids), "c")
    with pytest.raises(NoRoom, match="1 recordings are stored"):
        archive.create(archive.folder(ids), "c")


def test_a_manifest_is_replaced_as_a_whole(folder: Folder) -> None:
    assert folder.read_manifest() is None
    folder.write_manifest(manifest(folder))
    folder.write_manifest(manifest(folder, State.COMPLETE))
    found = folder.read_manifest()
    assert found is not None
    assert found.state is State.COMPLETE
    assert [path.name for path in folder.path.iterdir()] == ["manifest.json"]


def test_metadata_is_kept_as_received(folder: Folder) -> None:
    assert folder.add_metadata(7, b"<not & xml") == "metadata-007.xml"
    assert (folder.path / "metadata-007.xml").read_bytes() == b"<not & xml"


def test_finishing_mixes_and_tells_length_and_offsets(folder: Folder, write_wave) -> None:
    write_wave(folder.stream_path(1), [1] * 800)
    write_wave(folder.stream_path(2), [2] * 800)
    finished = folder.finish(manifest(folder, State.COMPLETE))
    assert finished == folder.read_manifest()
    assert (finished.audio, finished.duration_ms) == ("recording.wav", 110)
    assert [stream.offset_ms for stream in finished.streams] == [0.0, 10.0]
    with wave.open(str(folder.audio_path)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 880)
    assert len(folder.read_waveform()) == 2


def test_a_waveform_that_is_missing_or_broken_is_none(folder: Folder) -> None:
    assert folder.read_waveform() == ()
    (folder.path / "waveform.json").write_text(json.dumps({"no": 1}))
    assert folder.read_waveform() == ()


def test_manifests_are_listed_latest_change_first(archive: Archive, ids: Ids) -> None:
    folders = [archive.folder(ids) for _ in range(4)]
    for age, folder in enumerate(folders):
        archive.create(folder, "c")
        if age != 2:
            folder.write_manifest(manifest(folder))
        os.utime(folder.path, (1000 + age, 1000 + age))
    expected = [folders[3].recording_id, folders[1].recording_id, folders[0].recording_id]
    assert [one.recording_id for one in archive.manifests()] == expected
    assert [one.recording_id for one in archive.manifests(offset=0, limit=1)] == expected[:1]
    assert [one.recording_id for one in archive.manifests(offset=2, limit=5)] == expected[1:]


def test_what_a_crash_left_is_finalised(archive: Archive, folder: Folder, ids: Ids, write_wave) -> None:
    write_wave(folder.stream_path(1), [1] * 800, claimed=0)
    folder.write_manifest(manifest(folder))
    done = archive.folder(ids)
    archive.create(done, "d")
    done.write_manifest(manifest(done, State.COMPLETE, problems=("kept",)))
    again = Archive(folder.path.parent, free_floor=0, stored_limit=10)
    assert again.finish_interrupted(NOW) == 1
    found = folder.read_manifest()
    assert found is not None
    assert (found.state, found.ended) == (State.INTERRUPTED, "2026-03-02T10:00:00.000000Z")
    assert found.problems == ("the recording server stopped in its midst",)
    assert [stream.samples for stream in found.streams] == [800, 0]
    with wave.open(str(folder.stream_path(1))) as file:
        assert file.getnframes() == 800
    with wave.open(str(folder.audio_path)) as file:
        assert file.getnframes() == 800
    assert done.read_manifest() == manifest(done, State.COMPLETE, problems=("kept",))
    assert again.recording_of(f"call-of-{done.recording_id}") == done.recording_id
    assert again.finish_interrupted(NOW) == 0


def test_one_recording_that_cannot_be_finalised_does_not_stop_the_start(
    archive: Archive, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_manifest(manifest(folder))

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "finish", full)
    assert archive.finish_interrupted(NOW) == 1


def test_interrupted_keeps_what_cannot_be_repaired(folder: Folder) -> None:
    folder.stream_path(1).write_bytes(b"no wave")
    before = manifest(folder)
    after = interrupted(folder, before, NOW, "why")
    assert after == msgspec.structs.replace(
        before, state=State.INTERRUPTED, ended="2026-03-02T10:00:00.000000Z", problems=("why",)
    )
