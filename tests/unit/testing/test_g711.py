import numpy as np
import pytest

from sidestream.testing import g711

# ITU-T G.711 tables 1a, 2a: the largest value, one in the middle and the smallest of each law, scaled to 16 bits.
VALUES = [
    ("PCMU", 0x80, 32124),
    ("PCMU", 0x00, -32124),
    ("PCMU", 0xFF, 0),
    ("PCMU", 0x7F, 0),
    ("PCMU", 0xFE, 8),
    ("PCMU", 0xCF, 924),
    ("PCMA", 0xAA, 32256),
    ("PCMA", 0x2A, -32256),
    ("PCMA", 0xD5, 8),
    ("PCMA", 0x55, -8),
]


@pytest.mark.parametrize(("encoding", "code", "value"), VALUES)
def test_values_are_those_of_the_recommendation(encoding: str, code: int, value: int) -> None:
    assert g711.decode(bytes([code]), encoding).tolist() == [value]


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_decoded_speech_survives_being_encoded_again(encoding: str) -> None:
    values = g711.decode(bytes(range(256)), encoding)
    again = g711.encode(values, encoding)
    assert np.array_equal(g711.decode(again, encoding), values)
    different = [code for code in range(256) if again[code] != code]
    assert different == ([0x7F] if encoding == "PCMU" else [])


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_coding_errs_by_no_more_than_half_a_step(encoding: str) -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    decoded = g711.decode(g711.encode(samples, encoding), encoding).astype(int)
    error = np.abs(decoded - samples)
    unclipped = np.abs(samples.astype(int)) <= 32000
    # 8 steps of 16 in each segment: at most 1/32 of the value, and half of the smallest step near zero
    assert (error[unclipped] <= np.maximum(np.abs(samples.astype(int)[unclipped]) / 32 + 8, 8)).all()


def test_other_encodings_are_unknown() -> None:
    with pytest.raises(KeyError):
        g711.decode(b"", "G729")
