"""Wrong guesses by source."""

import pytest

from sidestream.registrar.lockout import Lockout


def test_a_source_is_out_after_its_last_guess_until_the_first_is_old():
    lockout = Lockout(guesses=3, window=60.0)
    assert [lockout.fail("192.0.2.1", now) for now in (0.0, 10.0, 20.0)] == [False, False, True]
    assert lockout.is_out("192.0.2.1", 59.9)
    assert not lockout.is_out("192.0.2.1", 60.0)
    assert lockout.fail("192.0.2.1", 60.0), "one more guess is all it gets"
    assert lockout.is_out("192.0.2.1", 69.9)


def test_slow_mistakes_lock_nobody_out():
    lockout = Lockout(guesses=3, window=60.0)
    assert not any(lockout.fail("192.0.2.1", now) for now in (0.0, 31.0, 62.0, 93.0, 124.0))


def test_others_are_not_affected():
    lockout = Lockout(guesses=1)
    lockout.fail("192.0.2.1", 0.0)
    assert not lockout.is_out("192.0.2.2", 0.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
    ],
)
def test_what_counts_as_one_source(one, other, same):
    lockout = Lockout(guesses=1)
    lockout.fail(one, 0.0)
    assert lockout.is_out(other, 0.0) is same


def test_the_source_that_was_quiet_longest_is_forgotten_first():
    lockout = Lockout(guesses=2, sources=2)
    for source in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        lockout.fail(source, 0.0)
    assert lockout.is_out("192.0.2.1", 0.0)
    lockout.fail("192.0.2.2", 0.0)
    assert not lockout.is_out("192.0.2.2", 0.0), "its first guess was forgotten"
