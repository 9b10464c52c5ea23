"""Whose a certificate is: RFC 5922 §7."""

from typing import Any

import pytest

from sidestream.wire.identity import describe, domains, hosts, is_for

SUBJECT = ((("commonName", "CN.example"),),)


def certificate(*alternatives: tuple[str, str]) -> dict[str, Any]:
    return {"subject": SUBJECT, "subjectAltName": alternatives} if alternatives else {"subject": SUBJECT}


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ((("URI", "sip:Example.com"), ("DNS", "host.example.com")), {"example.com"}),
        ((("DNS", "A.example."), ("DNS", "b.example")), {"a.example", "b.example"}),
        ((("URI", "sip:alice@example.com"), ("DNS", "host.example.com")), {"host.example.com"}),
        ((("URI", "https://example.com/"), ("URI", "not a uri"), ("DNS", "a.example")), {"a.example"}),
        ((("IP Address", "10.0.0.1"),), set()),
        ((), {"cn.example"}),
    ],
)
def test_the_domains_of_a_certificate(alternatives: tuple[tuple[str, str], ...], expected: set[str]) -> None:
    assert domains(certificate(*alternatives)) == expected


def test_a_server_may_be_asked_for_by_each_of_its_names() -> None:
    both = certificate(("URI", "sip:Example.com"), ("DNS", "host.example.com"), ("DNS", "*.example.com"))
    assert hosts(both) == {"example.com", "host.example.com", "*.example.com"}
    assert hosts(certificate()) == {"cn.example"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example", True),
        ("A.EXAMPLE.", True),
        ("b.a.example", False),
        ("x.star.example", False),
        ("10.0.0.1", True),
        ("10.0.0.2", False),
        ("2001:db8::1", True),
    ],
)
def test_names_match_as_a_whole(name: str, expected: bool) -> None:
    alternatives = (
        ("DNS", "a.example"),
        ("DNS", "*.star.example"),
        ("IP Address", "10.0.0.1"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
        ("IP Address", "<invalid>"),
    )
    assert is_for(certificate(*alternatives), name) is expected


def test_a_certificate_that_is_not_there_is_for_nobody() -> None:
    assert not is_for({}, "a.example")
    assert not is_for({}, "10.0.0.1")


def test_whose_it_is_for_people() -> None:
    assert describe(certificate(("DNS", "b.example"), ("DNS", "a.example"))) == "a.example, b.example"
    assert describe(certificate(("IP Address", "10.0.0.1"))) == "nobody that it names"
