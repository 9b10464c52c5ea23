"""Speech to send and WAVs to look into: reading them as arrays of 16-bit samples at 8000 Hz."""

import wave
from pathlib import Path

import numpy as np

from sidestream.testing.g711 import Samples

SAMPLE_RATE = 8000
SAMPLE_OCTETS = 2

_SAMPLES = Path(__file__).parent / "samples"
CALLER = _SAMPLES / "caller.wav"
AGENT = _SAMPLES / "agent.wav"


class SpeechError(Exception):
    """A WAV is not what telephony needs; `path` names it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def read_channels(path: Path) -> tuple[Samples, ...]:
    """The channels of an 8 kHz 16-bit WAV, all of one length. Raises `SpeechError`, or `OSError` when unreadable."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getframerate(), file.getsampwidth())
            channels = file.getnchannels()
            octets = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SpeechError(path, f"no PCM WAV file: {error}") from error
    if shape != (SAMPLE_RATE, SAMPLE_OCTETS):
        raise SpeechError(path, f"{shape[0]} Hz and {8 * shape[1]} bits, not 8000 Hz and 16 bits")
    # A file still being written may end inside a frame.
    frames = np.frombuffer(octets[: len(octets) // (SAMPLE_OCTETS * channels) * SAMPLE_OCTETS * channels], dtype="<i2")
    return tuple(frames[channel::channels].astype(np.int16) for channel in range(channels))


def read_speech(path: Path) -> Samples:
    """The samples of a mono WAV. Raises `SpeechError`, or `OSError` when unreadable."""
    channels = read_channels(path)
    if len(channels) != 1 or not channels[0].size:
        raise SpeechError(path, f"{len(channels)} channels of {channels[0].size} samples, not one with sound")
    return channels[0]


def write_channels(path: Path, channels: tuple[Samples, ...]) -> None:
    """A WAV of these channels, all of one length."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(SAMPLE_OCTETS)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
