"""G.711 for the test doubles: 16-bit linear samples to and from PCMU and PCMA, by table."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_BIAS = 33  # ITU-T G.711 table 2: mu-law segments start at 33 on the 14-bit scale
_MU_LAW_CLIP = 8158  # largest 14-bit magnitude mu-law can code


def _mu_law_value(code: int) -> int:
    """ITU-T G.711 §3.2: all bits inverted on the line; sign, 3 bits of segment, 4 bits of step; 14 bits into 16."""
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 1) + _BIAS) << (code >> 4 & 7)) - _BIAS
    return -4 * magnitude if code & 0x80 else 4 * magnitude


def _mu_law_code(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample) >> 2, _MU_LAW_CLIP) + _BIAS
    segment = max(magnitude.bit_length() - 6, 0)
    return ~(sign | segment << 4 | (magnitude >> (segment + 1)) & 0x0F) & 0xFF


def _a_law_value(code: int) -> int:
    """ITU-T G.711 §3.1: even bits inverted on the line; sign, 3 bits of segment, 4 bits of step; 13 bits into 16."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = (step << 1) + 1 if segment == 0 else ((step << 1) + 33) << (segment - 1)
    return 8 * magnitude if code & 0x80 else -8 * magnitude


def _a_law_code(sample: int) -> int:
    sign, magnitude = (0x80, sample >> 3) if sample >= 0 else (0, ~sample >> 3)
    segment = max(magnitude.bit_length() - 5, 0)
    step = magnitude >> 1 if segment == 0 else magnitude >> segment
    return (sign | segment << 4 | step & 0x0F) ^ 0x55


LAWS: dict[str, tuple[Callable[[int], int], Callable[[int], int]]] = {
    "PCMU": (_mu_law_value, _mu_law_code),
    "PCMA": (_a_law_value, _a_law_code),
}


@cache
def _decoding(encoding: str) -> Samples:
    value, _ = LAWS[encoding]
    return np.array([value(code) for code in range(256)], dtype=np.int16)


@cache
def _encoding(encoding: str) -> NDArray[np.uint8]:
    _, code = LAWS[encoding]
    return np.array([code(sample) for sample in range(-32768, 32768)], dtype=np.uint8)


def encode(samples: Samples, encoding: str) -> bytes:
    """16-bit samples as `encoding` ("PCMU" or "PCMA"; KeyError otherwise), one octet a sample."""
    return _encoding(encoding)[samples.astype(np.int32) + 32768].tobytes()


def decode(payload: bytes, encoding: str) -> Samples:
    """The 16-bit samples of a G.711 payload. Encoding them again gives the payload, but for mu-law's negative zero."""
    return _decoding(encoding)[np.frombuffer(payload, dtype=np.uint8)]
