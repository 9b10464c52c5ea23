import struct
import wave
from pathlib import Path

import pytest

from sidestream.srs.wave_file import WaveError, header, open_data, repair


def test_header_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(header(2, 3) + bytes(12))
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (2, 2, 8000, 3)


def test_a_length_that_no_header_can_hold_is_capped() -> None:
    riff, data = struct.unpack_from("<4xI", header(2, 2**40))[0], struct.unpack_from("<I", header(2, 2**40), 40)[0]
    assert riff == 0xFFFFFFFF
    assert data == riff - 36


def test_samples_are_counted_in_the_file_and_not_in_its_header(tmp_path: Path, write_wave) -> None:
    path = tmp_path / "a.wav"
    write_wave(path, [1, 2, 3, 4], claimed=1)
    path.write_bytes(path.read_bytes() + b"\x07")  # half a sample, cut off by a crash
    data = open_data(path)
    assert (data.offset, data.samples) == (44, 4)


def test_other_chunks_before_the_data_are_passed_over(tmp_path: Path) -> None:
    plain = header(1, 1)
    path = tmp_path / "a.wav"
    path.write_bytes(plain[:36] + b"LIST" + struct.pack("<I", 3) + b"abc\0" + plain[36:] + b"\1\0")
    assert open_data(path).offset == 56


def test_repair_makes_the_header_true(tmp_path: Path, write_wave) -> None:
    path = tmp_path / "a.wav"
    write_wave(path, range(100), claimed=0)
    assert repair(path).samples == 100
    with wave.open(str(path)) as file:
        assert file.getnframes() == 100
    assert struct.unpack_from("<I", path.read_bytes(), 4)[0] == path.stat().st_size - 8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"no wave at all, not at all....................",
        header(2, 0),  # two channels
        header(1, 0)[:36],  # no data
        header(1, 0)[:12] + b"junk" + struct.pack("<I", 1_000_000),
        header(1, 0)[:12] + (b"junk" + struct.pack("<I", 0)) * 40,
    ],
)
def test_what_is_no_mono_wave_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(WaveError) as caught:
        open_data(path)
    assert str(caught.value).startswith("a.wav: ")
