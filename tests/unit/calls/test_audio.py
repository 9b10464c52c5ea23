import io

import numpy as np
import pytest
import soundfile

from sidestream.calls.audio import SOURCE_RATE_LIMIT, AudioError, AudioLibrary, resample


def encoded(samples, rate, *, format="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def tone(hertz, rate, seconds=1.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone_in_the_pass_band(rate):
    result = resample(tone(1000, rate), rate, 8000)
    assert len(result) == 8000
    middle = slice(1000, -1000)
    assert np.abs(result - tone(1000, 8000))[middle].max() < 0.001


def test_resampling_removes_what_8_khz_cannot_hold():
    result = resample(tone(5000, 22050), 22050, 8000)
    assert np.abs(result[1000:-1000]).max() < 0.001


def test_nothing_resampled_is_nothing():
    assert len(resample(np.zeros(0), 44100, 8000)) == 0


async def test_a_stereo_file_becomes_8_khz_mono_16_bit(tmp_path):
    library = AudioLibrary(tmp_path / "audio")
    stereo = np.stack([tone(500, 44100), tone(500, 44100)], axis=1)
    path = await library.prepared(encoded(stereo, 44100))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (8000, 1, "PCM_16", 8000)
    assert path.is_absolute()


@pytest.mark.parametrize(("format", "subtype"), [("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("WAV", "ULAW")])
async def test_the_usual_formats_are_read(tmp_path, format, subtype):
    path = await AudioLibrary(tmp_path).prepared(encoded(tone(500, 16000), 16000, format=format, subtype=subtype))
    assert abs(soundfile.info(path).frames - 8000) < 800


async def test_the_same_bytes_are_prepared_once(tmp_path):
    library = AudioLibrary(tmp_path)
    data = encoded(tone(500, 8000), 8000)
    first = await library.prepared(data)
    stamp = first.stat().st_mtime_ns
    assert await library.prepared(data) == first
    assert first.stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize("data", [b"", b"not audio", b"RIFF\x00\x00\x00\x00WAVEjunk"])
async def test_what_is_no_audio_is_refused(tmp_path, data):
    with pytest.raises(AudioError, match="not playable"):
        await AudioLibrary(tmp_path).prepared(data)
    assert list(tmp_path.iterdir()) == []


async def test_a_rate_beyond_audio_is_refused(tmp_path):
    with pytest.raises(AudioError, match="more than a prompt may have"):
        await AudioLibrary(tmp_path).prepared(encoded(np.zeros(100), SOURCE_RATE_LIMIT + 8000))


async def test_the_ringing_tone_is_two_seconds_in_six(tmp_path):
    path = await AudioLibrary(tmp_path).ringing_tone()
    samples, rate = soundfile.read(path)
    assert (rate, len(samples)) == (8000, 48000)
    assert np.abs(samples[: 2 * rate]).max() > 0.1
    assert np.abs(samples[2 * rate :]).max() == 0
