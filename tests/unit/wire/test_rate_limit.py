"""Token buckets by source."""

from ipaddress import ip_network

import pytest

from sidestream.wire import rate_limit
from sidestream.wire.rate_limit import RateLimit, RateSettings, site_of

FIVE = RateSettings(per_second=5, burst=10)
HERE = "203.0.113.1"


def test_a_burst_is_let_in_and_then_the_rate() -> None:
    limit = RateLimit(FIVE)
    assert [limit.admit(HERE, 100.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.admit(HERE, 100.2)
    assert not limit.admit(HERE, 100.2)
    assert sum(limit.admit(HERE, 200.0) for _ in range(20)) == 10


def test_sources_are_told_apart_and_ipv6_sites_are_one() -> None:
    limit = RateLimit(RateSettings(1, 1))
    assert limit.admit(HERE, 0)
    assert limit.admit("203.0.113.2", 0)
    assert limit.admit("2001:db8::1", 0)
    assert not limit.admit("2001:db8::ffff", 0)
    assert limit.admit("2001:db8:0:1::1", 0)
    assert site_of("fe80::1%eth0") == "fe80::/64"


def test_a_debt_is_paid_by_waiting() -> None:
    limit = RateLimit(RateSettings(2, 1))
    assert limit.charge(HERE, 0) == 0
    assert limit.charge(HERE, 0) == 0.5
    assert limit.charge(HERE, 0) == 1.0
    assert limit.charge(HERE, 10) == 0


def test_who_may_send_as_it_likes() -> None:
    limit = RateLimit(RateSettings(1, 1, (ip_network("198.51.100.0/24"),)))
    for host in ("127.0.0.1", "::1", "198.51.100.7"):
        assert all(limit.admit(host, 0) for _ in range(5))
        assert limit.charge(host, 0) == 0


def test_without_a_rate_all_may() -> None:
    limit = RateLimit(RateSettings())
    assert all(limit.admit(HERE, 0) for _ in range(100))
    assert limit.charge(HERE, 0) == 0


def test_the_source_heard_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_SOURCES", 2)
    limit = RateLimit(RateSettings(1, 1))
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        limit.admit(host, 0)
    assert not limit.admit("192.0.2.1", 0)
    assert limit.admit("192.0.2.2", 0)
