import pytest

from sidestream.sip.reasons import REASONS, reason_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(200, "OK"), (487, "Request Terminated"), (199, "Early Dialog Terminated"), (299, "OK"), (499, "Bad Request")],
)
def test_every_status_has_a_phrase(status, phrase):
    assert reason_phrase(status) == phrase


def test_phrases_can_stand_in_a_status_line():
    assert all(100 <= status <= 699 and phrase.isprintable() for status, phrase in REASONS.items())
