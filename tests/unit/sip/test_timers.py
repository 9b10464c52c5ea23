"""RFC 3261 table 4."""

from sidestream.sip.timers import Timer, Timers


def test_the_defaults_are_those_of_the_rfc() -> None:
    timers = Timers()
    assert (timers.t1, timers.t2, timers.t4, timers.d, timers.patience) == (0.5, 4.0, 5.0, 32.0, 32.0)


def test_fast_timers_keep_the_proportions() -> None:
    fast, usual = Timers.fast(), Timers()
    assert usual.t1 / fast.t1 == usual.t2 / fast.t2 == usual.t4 / fast.t4 == usual.d / fast.d == 100


def test_every_timer_says_what_it_is_for() -> None:
    assert [timer.name for timer in Timer] == list("ABDEFGHIJKLM")
    assert all(len(timer.value) > 20 for timer in Timer)
