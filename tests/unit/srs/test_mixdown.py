import wave
from pathlib import Path

import numpy as np
import pytest

from sidestream.srs import mixdown
from sidestream.srs.mixdown import Track, mix


def channels_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        return frames.reshape(-1, file.getnchannels()).T


@pytest.fixture
def pair(tmp_path: Path, write_wave) -> list[Track]:
    write_wave(tmp_path / "a.wav", range(1, 41))
    write_wave(tmp_path / "b.wav", range(-30, 0))
    return [Track(tmp_path / "a.wav", 0.0), Track(tmp_path / "b.wav", 2.5)]


@pytest.mark.parametrize("chunk", [1, 7, 20, 21, 1000])
def test_channels_are_aligned_by_their_offsets(
    tmp_path: Path, pair: list[Track], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixdown, "CHUNK_FRAMES", chunk)
    written = mix(pair, tmp_path / "mix.wav")
    assert written.frames == 50  # 2.5 ms are 20 samples, then 30 more
    left, right = channels_of(tmp_path / "mix.wav")
    assert left.tolist() == [*range(1, 41), *[0] * 10]
    assert right.tolist() == [*[0] * 20, *range(-30, 0)]
    assert not list(tmp_path.glob("*.partial"))


def test_duration_and_peaks(tmp_path: Path, write_wave) -> None:
    samples = np.zeros(6000, dtype="<i2")
    samples[10], samples[5999] = -32768, 16384
    write_wave(tmp_path / "a.wav", samples)
    written = mix([Track(tmp_path / "a.wav", 0.0)], tmp_path / "mix.wav")
    assert written.duration_ms == 750
    (peaks,) = written.peaks
    assert len(peaks) == mixdown.WAVEFORM_COLUMNS
    assert (peaks[0], peaks[1], peaks[2], peaks[-1]) == (0.0, 1.0, 0.0, 0.5)


def test_missing_and_broken_files_are_silent_channels(tmp_path: Path, pair: list[Track]) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no")
    written = mix([Track(tmp_path / "none.wav", 0.0), Track(tmp_path / "broken.wav", 9.0), pair[0]], tmp_path / "m.wav")
    assert written.frames == 40
    none, broken, good = channels_of(tmp_path / "m.wav")
    assert not none.any()
    assert not broken.any()
    assert good.tolist() == list(range(1, 41))


def test_nothing_received_is_an_empty_recording(tmp_path: Path, write_wave) -> None:
    write_wave(tmp_path / "a.wav", [])
    written = mix([Track(tmp_path / "a.wav", 0.0), Track(tmp_path / "b.wav", 0.0)], tmp_path / "m.wav")
    assert (written.frames, written.duration_ms) == (0, 0)
    with wave.open(str(tmp_path / "m.wav")) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 0)
    assert mix([], tmp_path / "n.wav").frames == 0
