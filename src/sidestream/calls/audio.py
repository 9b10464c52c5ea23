"""Audio files made ready for the engine's player: WAV, 8 kHz, mono, 16-bit; kept by content, so each is made once."""

import asyncio
import hashlib
import io
import math
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float64]  # one channel, -1.0 … 1.0

TELEPHONY_RATE = 8000  # Hz, of G.711
SOURCE_SECONDS_LIMIT = 4 * 3600  # a longer prompt is a mistake, and its samples would fill the memory
SOURCE_RATE_LIMIT = 192_000  # Hz; what libsndfile reads above this is not audio for people
_FILTER_ZERO_CROSSINGS = 16  # taps on each side of the resampling filter, per phase: 80 dB down at the stop band
_PASS_BAND = 0.92  # of the lower Nyquist frequency

# ITU-T E.180, the North American ringing tone: 440 Hz + 480 Hz, 2 s on, 4 s off.
_RINGING_HZ = (440.0, 480.0)
_RINGING_ON_S = 2.0
_RINGING_OFF_S = 4.0
_RINGING_LEVEL = 0.12


class AudioError(Exception):
    """The bytes are no audio that can be played. `reason` says what is wrong with them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"not playable: {self.reason}"


class AudioLibrary:
    """A directory of prepared files. Safe to call concurrently: files appear by rename, whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()  # the engine is another process

    async def prepared(self, data: bytes) -> Path:
        """The prepared file for an encoded one (WAV, MP3, FLAC, Ogg …). Raises AudioError."""
        path = self._directory / f"{hashlib.sha256(data).hexdigest()}.wav"
        if not path.exists():
            await asyncio.to_thread(self._prepare, data, path)
        return path

    async def ringing_tone(self) -> Path:
        """One period of the ringing tone; play it in a loop."""
        path = self._directory / "ringing-us.wav"
        if not path.exists():
            await asyncio.to_thread(self._write, path, _ringing_tone())
        return path

    def _prepare(self, data: bytes, path: Path) -> None:
        try:
            with soundfile.SoundFile(io.BytesIO(data)) as source:
                rate = source.samplerate
                if rate > SOURCE_RATE_LIMIT or source.frames > SOURCE_SECONDS_LIMIT * rate:
                    raise AudioError(f"{source.frames} frames at {rate} Hz are more than a prompt may have")
                frames = source.read(dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(error.error_string) from error
        self._write(path, resample(frames.mean(axis=1), rate, TELEPHONY_RATE))

    def _write(self, path: Path, samples: Samples) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        soundfile.write(partial, samples, TELEPHONY_RATE, format="WAV", subtype="PCM_16")
        partial.replace(path)


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """`samples` at `target_rate` Hz, by a windowed-sinc polyphase filter; the length is scaled and rounded up."""
    if source_rate == target_rate or not len(samples):
        return samples
    divisor = math.gcd(source_rate, target_rate)
    up, down = target_rate // divisor, source_rate // divisor
    # The low-pass filter runs at source_rate * up; it cuts at the lower of the two Nyquist frequencies.
    widest = max(up, down)
    half = _FILTER_ZERO_CROSSINGS * widest
    taps = np.sinc(np.arange(-half, half + 1) * _PASS_BAND / widest) * np.kaiser(2 * half + 1, 8.0)
    taps *= up / taps.sum()
    length = -(-len(samples) * up // down)
    positions = np.arange(length) * down + half  # in the upsampled axis, shifted by the filter's delay
    result = np.zeros(length)
    padded = np.concatenate([samples, np.zeros(2 * half // up + 2)])
    for phase in range(up):
        # Only every `up`-th tap meets a sample that is not a stuffed zero.
        chosen = np.flatnonzero(positions % up == phase)
        if not len(chosen):
            continue
        newest = positions[chosen] // up
        for tap_index, tap in enumerate(taps[phase::up]):
            source_index = newest - tap_index
            valid = (source_index >= 0) & (source_index < len(padded))
            result[chosen[valid]] += tap * padded[source_index[valid]]
    return np.clip(result, -1.0, 1.0)


def _ringing_tone() -> Samples:
    moments = np.arange(int(_RINGING_ON_S * TELEPHONY_RATE)) / TELEPHONY_RATE
    tone = sum(np.sin(2 * np.pi * hertz * moments) for hertz in _RINGING_HZ) * _RINGING_LEVEL
    return np.concatenate([tone, np.zeros(int(_RINGING_OFF_S * TELEPHONY_RATE))])
