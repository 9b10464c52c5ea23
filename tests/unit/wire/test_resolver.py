"""Names and literals."""

import socket

import pytest

from sidestream.testing.virtual_clock import VirtualClock
from sidestream.wire import resolver
from sidestream.wire.resolver import Resolver, is_literal


@pytest.mark.parametrize(
    ("host", "literal"),
    [("10.0.0.1", True), ("2001:db8::1", True), ("localhost", False), ("10.0.0", False), ("", False)],
)
def test_what_is_an_address(host: str, literal: bool) -> None:
    assert is_literal(host) is literal


def test_a_literal_needs_no_question() -> None:
    assert Resolver(VirtualClock()).known("10.0.0.1", socket.AF_INET) == "10.0.0.1"


async def test_a_name_is_remembered_for_a_while() -> None:
    clock = VirtualClock()
    names = Resolver(clock)
    assert names.known("localhost", socket.AF_INET) is None
    assert await names.resolve("localhost", socket.AF_INET) == "127.0.0.1"
    assert names.known("LOCALHOST", socket.AF_INET) == "127.0.0.1"
    clock.advance(resolver.CACHE_S + 0.1)
    assert names.known("localhost", socket.AF_INET) is None


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_CACHED", 1)
    names = Resolver(VirtualClock())
    for name in ("localhost", "LocalHost", "127.0.0.1"):
        await names.resolve(name, socket.AF_INET)
    assert len(names._cache) == 1


async def test_a_name_without_address_is_an_error() -> None:
    with pytest.raises(OSError):
        await Resolver(VirtualClock()).resolve("nowhere.invalid", socket.AF_INET)
