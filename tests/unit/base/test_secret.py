"""Secrets do not show."""

from dataclasses import dataclass

from sidestream.base.secret import Secret


def test_only_reveal_shows_the_value() -> None:
    @dataclass(frozen=True)
    class Holder:
        secret: Secret

    secret = Secret("hush")
    assert secret.reveal() == "hush"
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r}", repr(Holder(secret))):
        assert "hush" not in text


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
