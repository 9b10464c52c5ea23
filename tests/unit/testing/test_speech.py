import wave
from pathlib import Path

import numpy as np
import pytest

from sidestream.testing.speech import AGENT, CALLER, SpeechError, read_channels, read_speech, write_channels


@pytest.mark.parametrize("path", [CALLER, AGENT])
def test_the_samples_are_some_seconds_of_sound_without_long_silence(path: Path) -> None:
    speech = read_speech(path)
    assert 6 <= speech.size / 8000 <= 8.5
    assert path.stat().st_size <= 130_000
    loud = np.abs(speech[: speech.size // 160 * 160].astype(int).reshape(-1, 160)).max(axis=1) > 80
    quiet = np.diff(np.flatnonzero(loud))
    assert quiet.max() * 20 <= 300


def test_the_samples_differ() -> None:
    assert not np.array_equal(read_speech(CALLER)[:8000], read_speech(AGENT)[:8000])


def test_channels_are_written_and_read(tmp_path: Path) -> None:
    left, right = np.array([1, -2, 3], dtype=np.int16), np.array([4, 5, -32768], dtype=np.int16)
    write_channels(tmp_path / "two.wav", (left, right))
    read = read_channels(tmp_path / "two.wav")
    assert [channel.tolist() for channel in read] == [[1, -2, 3], [4, 5, -32768]]
    with pytest.raises(SpeechError, match="2 channels"):
        read_speech(tmp_path / "two.wav")


def test_a_file_cut_inside_a_frame_loses_that_frame(tmp_path: Path) -> None:
    write_channels(tmp_path / "cut.wav", (np.arange(3, dtype=np.int16), np.arange(3, dtype=np.int16)))
    octets = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(octets[:-1])
    assert [channel.size for channel in read_channels(tmp_path / "cut.wav")] == [2, 2]


def test_what_telephony_cannot_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(SpeechError, match="no PCM WAV"):
        read_channels(tmp_path / "text.wav")
    with wave.open(str(tmp_path / "cd.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(b"\x00\x00")
    with pytest.raises(SpeechError, match="44100 Hz"):
        read_channels(tmp_path / "cd.wav")
    write_channels(tmp_path / "empty.wav", (np.zeros(0, dtype=np.int16),))
    with pytest.raises(SpeechError):
        read_speech(tmp_path / "empty.wav")
