"""One WAV with a channel per stream, laid side by side on the wall clock, and the waveform drawn from it.

Runs in a thread: it reads and writes files. Memory does not grow with the length of the call.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sidestream.srs.wave_file import SAMPLE_OCTETS, SAMPLE_RATE, WaveData, WaveError, header, open_data

CHUNK_FRAMES = 30 * SAMPLE_RATE  # half a minute a step: a megabyte for two channels
WAVEFORM_COLUMNS = 600  # peaks a channel; as many as a page shows points


@dataclass(frozen=True, slots=True)
class Track:
    """One channel: its mono file and the silence before it. A file that is missing or broken is a silent channel."""

    path: Path
    offset_ms: float


@dataclass(frozen=True, slots=True)
class Mixdown:
    """What was written: its length, and the loudest sample of each column of each channel, from 0 to 1."""

    frames: int
    peaks: tuple[tuple[float, ...], ...]

    @property
    def duration_ms(self) -> int:
        return self.frames * 1000 // SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class _Channel:
    data: WaveData
    start: int  # frame of its first sample

    @property
    def end(self) -> int:
        return self.start + self.data.samples


def mix(tracks: Sequence[Track], target: Path) -> Mixdown:
    """Write `target` from `tracks`, a channel each in their order; it appears under its name only when it is whole.

    Raises OSError when the disk fails.
    """
    channels = [_channel(track) for track in tracks]
    frames = max((channel.end for channel in channels if channel is not None), default=0)
    peaks = np.zeros((len(channels), WAVEFORM_COLUMNS), dtype=np.int32)
    partial = target.with_name(f".{target.name}.partial")
    with ExitStack() as stack:
        output = stack.enter_context(partial.open("wb"))
        inputs = [None if c is None else stack.enter_context(c.data.path.open("rb")) for c in channels]
        output.write(header(max(len(channels), 1), frames))
        for begin in range(0, frames, CHUNK_FRAMES):
            block = np.zeros((min(CHUNK_FRAMES, frames - begin), len(channels)), dtype="<i2")
            for number, (channel, file) in enumerate(zip(channels, inputs, strict=True)):
                if channel is not None and file is not None:
                    _copy(channel, file, begin, block[:, number])
            output.write(block.tobytes())
            _measure(block, begin, frames, peaks)
        output.flush()
        os.fsync(output.fileno())
    partial.replace(target)
    return Mixdown(frames, tuple(tuple((row / 32768).round(3).tolist()) for row in peaks))


def _channel(track: Track) -> _Channel | None:
    try:
        return _Channel(open_data(track.path), max(0, round(track.offset_ms * SAMPLE_RATE / 1000)))
    except (WaveError, FileNotFoundError):
        return None


def _copy(channel: _Channel, file: BinaryIO, begin: int, column: NDArray[np.int16]) -> None:
    """Put the part of `channel` that lies in this block, which begins at frame `begin`, into its column."""
    first, last = max(channel.start, begin), min(channel.end, begin + len(column))
    if first >= last:
        return
    file.seek(channel.data.offset + (first - channel.start) * SAMPLE_OCTETS)
    samples = np.frombuffer(file.read((last - first) * SAMPLE_OCTETS), dtype="<i2")
    column[first - begin : first - begin + len(samples)] = samples


def _measure(block: NDArray[np.int16], begin: int, frames: int, peaks: NDArray[np.int32]) -> None:
    columns = (np.arange(begin, begin + len(block), dtype=np.int64) * WAVEFORM_COLUMNS) // frames
    loud = np.abs(block.astype(np.int32))
    for number in range(block.shape[1]):
        np.maximum.at(peaks[number], columns, loud[:, number])
