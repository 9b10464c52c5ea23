"""Time by hand."""

from datetime import timedelta

import pytest

from sidestream.base.clock import Clock
from sidestream.testing.virtual_clock import EPOCH, VirtualClock


def test_both_axes_move_together() -> None:
    clock: Clock = VirtualClock()
    virtual = VirtualClock()
    assert (clock.monotonic(), clock.wall()) == (virtual.monotonic(), EPOCH)
    assert virtual.advance(1.5) == virtual.monotonic() == 1001.5
    assert virtual.wall() == EPOCH + timedelta(seconds=1.5)


def test_it_does_not_go_back() -> None:
    clock = VirtualClock()
    with pytest.raises(ValueError):
        clock.advance(-0.1)
