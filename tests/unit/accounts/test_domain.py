"""SIP domains and their users."""

import pytest

from sidestream.accounts.domain import Domain, DomainBook, SipUser
from sidestream.base.secret import Secret

BOB = SipUser("bob", Secret("word"))
OFFICE = Domain("Office.example", "AC1", (SipUser("alice", Secret("other")), BOB), aliases=("192.0.2.1", "2001:db8::1"))
LAB = Domain("2001:db8::2", "AC2", (BOB,))


@pytest.mark.parametrize("host", ["office.example", "OFFICE.EXAMPLE.", "192.0.2.1", "[2001:DB8::1]", "2001:db8::1"])
def test_a_domain_is_found_by_its_name_and_its_aliases(host: str) -> None:
    assert DomainBook((OFFICE, LAB)).at(host) is OFFICE
    assert OFFICE.has_host(host)


def test_other_hosts_are_no_domain() -> None:
    assert DomainBook((OFFICE,)).at("example") is None
    assert not OFFICE.has_host("example")


@pytest.mark.parametrize(
    ("name", "is_bob"),
    [("bob", True), ("bob@office.example", True), ("bob@192.0.2.1", True), ("Bob", False), ("bob@lab.example", False)],
)
def test_a_user_is_known_by_name_with_or_without_the_domain(name: str, is_bob: bool) -> None:
    assert OFFICE.user(name) is (BOB if is_bob else None)
    assert OFFICE.password_of(name) == ("word" if is_bob else None)


def test_nobody_has_no_name() -> None:
    assert OFFICE.user(None) is OFFICE.user("") is None


def test_the_address_of_record_is_the_same_for_every_alias() -> None:
    book = DomainBook((OFFICE, LAB))
    assert OFFICE.aor(BOB) == "sip:bob@Office.example"
    assert LAB.aor(BOB) == "sip:bob@[2001:db8::2]"
    assert book.domains == (OFFICE, LAB)
    assert book.owns("sip:bob@[2001:db8::2]")
    assert not book.owns("sip:carol@Office.example")


def test_a_password_is_not_in_the_text_of_its_user() -> None:
    assert "other" not in repr(OFFICE)


def test_a_book_can_become_another_one() -> None:
    book = DomainBook([Domain("a.test", "AC1")])
    book.become(DomainBook([Domain("b.test", "AC1")]))
    assert (book.at("a.test"), book.at("b.test")) == (None, Domain("b.test", "AC1"))
    assert len(book.domains) == 1
