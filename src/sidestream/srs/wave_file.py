"""WAV files of 16-bit PCM: their headers written, read and put right."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SAMPLE_RATE = 8000
SAMPLE_OCTETS = 2
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_CHUNK = struct.Struct("<4sI")
_SIZE_LIMIT = 0xFFFFFFFF  # a RIFF size has 32 bits; longer files keep this value and players read on to the end
_CHUNK_LIMIT = 32  # chunks before the data; real files have two or three


class WaveError(Exception):
    """A file that is no WAV of 16-bit mono PCM."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(path, what)
        self.path = path
        self.what = what

    def __str__(self) -> str:
        return f"{self.path.name}: {self.what}"


@dataclass(frozen=True, slots=True)
class WaveData:
    """Where the samples of a mono file lie. `samples` counts what is in the file, whatever its header says."""

    path: Path
    offset: int  # octets before the first sample
    samples: int


def header(channels: int, frames: int) -> bytes:
    """The 44 octets before the samples of a PCM file at 8000 Hz."""
    block = channels * SAMPLE_OCTETS
    size = min(frames * block, _SIZE_LIMIT - _HEADER.size + 8)
    return _HEADER.pack(
        *(b"RIFF", size + _HEADER.size - 8, b"WAVE", b"fmt ", 16, 1, channels),
        *(SAMPLE_RATE, SAMPLE_RATE * block, block, 8 * SAMPLE_OCTETS, b"data", size),
    )


def open_data(path: Path) -> WaveData:
    """Find the samples of a mono file. The size in the header is not believed: a crash leaves it behind the truth."""
    with path.open("rb") as file:
        offset = _data_offset(path, file)
        size = file.seek(0, 2)
    return WaveData(path, offset, max(0, size - offset) // SAMPLE_OCTETS)


def repair(path: Path) -> WaveData:
    """Make the sizes in the header those of the file, for players that believe them."""
    data = open_data(path)
    length = min(data.samples * SAMPLE_OCTETS, _SIZE_LIMIT)
    with path.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack("<I", min(data.offset + length - 8, _SIZE_LIMIT)))
        file.seek(data.offset - 4)
        file.write(struct.pack("<I", length))
    return data


def _data_offset(path: Path, file: BinaryIO) -> int:
    riff = file.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise WaveError(path, "is no WAV file")
    for _ in range(_CHUNK_LIMIT):
        chunk = file.read(_CHUNK.size)
        if len(chunk) < _CHUNK.size:
            break
        name, size = _CHUNK.unpack(chunk)
        if name == b"data":
            return file.tell()
        body = file.read(size + size % 2 if size < 4096 else 0)
        if name == b"fmt " and struct.unpack_from("<HHIIHH", body.ljust(16, b"\0")) != _MONO:
            raise WaveError(path, "is not 8 kHz mono of 16 bits")
        if size >= 4096:
            break
    raise WaveError(path, "holds no samples")


_MONO = (1, 1, SAMPLE_RATE, SAMPLE_RATE * SAMPLE_OCTETS, SAMPLE_OCTETS, 8 * SAMPLE_OCTETS)
