"""Waveforms as SVG paths."""

from collections.abc import Sequence

HEIGHT = 100  # of the drawing's view box, whose width is the number of peaks
_MIDDLE = HEIGHT / 2
_REST = 0.6  # half the height of a silent column, so that silence is a line and not nothing


def path_of(peaks: Sequence[float]) -> str:
    """The outline of a channel: its peaks (0 to 1) from left to right above the middle, and back below it."""
    if not peaks:
        return ""
    heights = [max(_REST, min(peak, 1.0) * _MIDDLE) for peak in peaks]
    above = [f"{x} {_MIDDLE - height:.1f}" for x, height in enumerate(heights)]
    below = [f"{x} {_MIDDLE + height:.1f}" for x, height in reversed(list(enumerate(heights)))]
    return f"M{'L'.join(above)}L{'L'.join(below)}Z"
