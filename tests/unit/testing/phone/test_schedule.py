import pytest

from sidestream.testing.phone.schedule import Schedule


def test_ticks_are_due_at_whole_intervals_from_the_start() -> None:
    schedule = Schedule(100.0, 0.02)
    assert schedule.take(99.99) == 0
    assert schedule.take(100.0) == 1
    assert schedule.take(100.019) == 0
    assert schedule.next_due == pytest.approx(100.02)
    assert schedule.take(100.02) == 1


def test_lateness_is_made_good_and_never_adds_up() -> None:
    schedule = Schedule(0.0, 0.02)
    taken = sum(schedule.take(now) for now in (0.0013, 0.0471, 0.0472, 0.2, 0.9999))
    assert taken == 50
    assert schedule.next_due == pytest.approx(1.0)


def test_waking_at_exactly_the_due_time_is_never_a_tick_short() -> None:
    schedule = Schedule(12345.678, 0.02)
    for tick in range(10000):
        assert schedule.take(schedule.next_due) == 1, tick
