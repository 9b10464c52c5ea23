"""Who may call in, and where calls to numbers go."""

from ipaddress import ip_network

import pytest

from sidestream.base.secret import Secret
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Admission, Question, Refusal, Route, Trunk, TrunkBook, TrunkCredentials

WIDE = Trunk("wide", "AC1", (ip_network("10.0.0.0/8"),))
NARROW = Trunk("narrow", "AC2", (ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")))
OUT = Trunk("out", "AC1", outbound=Uri.parse("sip:carrier.example:5080;transport=tcp"))
SHARED = Trunk("shared", None, outbound=Uri.parse("sip:shared.example"))


@pytest.mark.parametrize(
    ("source", "trunk"),
    [("10.2.0.1", WIDE), ("10.1.0.1", NARROW), ("2001:db8::5", NARROW), ("::ffff:10.1.0.1", NARROW)],
)
def test_the_most_specific_network_decides(source: str, trunk: Trunk) -> None:
    assert TrunkBook((WIDE, NARROW)).admit(source, "100") == Admission(trunk, trunk.account_sid)


@pytest.mark.parametrize("source", ["192.0.2.1", "127.0.0.1", "::1", "2001:db9::1"])
def test_other_addresses_are_refused(source: str) -> None:
    refusal = TrunkBook((WIDE, NARROW)).admit(source, "100")
    assert isinstance(refusal, Refusal)
    assert (refusal.sip_status, refusal.code) == (403, 32201)
    assert source in refusal.text


@pytest.mark.parametrize("trunks", [(), (OUT,)])
def test_while_no_trunk_has_sources_this_machine_may_call(trunks: tuple[Trunk, ...]) -> None:
    book = TrunkBook(trunks)
    assert book.admit("127.0.0.1", "100") == Admission(None, None)
    assert book.admit("127.9.9.9", "100") == Admission(None, None)
    assert book.admit("::1", "100") == Admission(None, None)
    assert isinstance(book.admit("192.0.2.1", "100"), Refusal)


def test_numbers_leave_by_the_accounts_own_trunk_first() -> None:
    book = TrunkBook((SHARED, WIDE, OUT))
    route = book.outbound_for("AC1", "+15551234567")
    assert route == Route(Uri.parse("sip:+15551234567@carrier.example:5080;transport=tcp"), OUT)
    assert book.outbound_for("AC2", "100") == Route(Uri.parse("sip:100@shared.example"), SHARED)


def test_a_star_code_can_be_dialled() -> None:
    route = TrunkBook((SHARED,)).outbound_for("AC1", "*97#")
    assert isinstance(route, Route)
    assert str(route.uri) == "sip:*97%23@shared.example"


def test_without_a_trunk_numbers_cannot_be_called() -> None:
    refusal = TrunkBook((WIDE, OUT)).outbound_for("AC2", "100")
    assert isinstance(refusal, Refusal)
    assert (refusal.sip_status, refusal.code) == (404, 13224)


def test_credentials_do_not_show() -> None:
    trunk = Trunk("t", credentials=TrunkCredentials("u", Secret("hush")))
    assert "hush" not in repr(trunk)


PROVEN = Trunk("proven", "AC1", inbound=TrunkCredentials("pbx", Secret("word")))
BOTH = Trunk("both", "AC2", (ip_network("10.1.0.0/16"),), inbound=TrunkCredentials("both", Secret("ways")))


def test_a_trunk_with_credentials_of_its_own_may_call_from_anywhere_once_it_proves_itself() -> None:
    question = TrunkBook((PROVEN, BOTH, SHARED)).admit("192.0.2.1", "100")
    assert question == Question((PROVEN,))
    assert isinstance(question, Question)
    assert question.trunk("pbx") is PROVEN
    assert question.password_of("pbx") == "word"
    assert question.trunk("both") is question.password_of("both") is None


def test_a_trunk_with_sources_has_to_prove_itself_on_top_of_them() -> None:
    book = TrunkBook((WIDE, BOTH))
    assert book.admit("10.1.0.1", "100") == Question((BOTH,))
    assert book.admit("10.2.0.1", "100") == Admission(WIDE, "AC1")
    assert isinstance(book.admit("192.0.2.1", "100"), Refusal)


@pytest.mark.parametrize("trunk", [WIDE, PROVEN, BOTH])
def test_this_machine_may_not_call_once_a_trunk_can(trunk: Trunk) -> None:
    assert not isinstance(TrunkBook((trunk,)).admit("127.0.0.1", "100"), Admission)
    assert TrunkBook((trunk,)).trunks == (trunk,)


def test_a_book_can_become_another_one() -> None:
    book = TrunkBook()
    assert isinstance(book.admit("127.0.0.1", "x"), Admission)
    book.become(TrunkBook([Trunk("t", sources=(ip_network("192.0.2.0/24"),))]))
    assert isinstance(book.admit("127.0.0.1", "x"), Refusal)
    assert isinstance(book.admit("192.0.2.9", "x"), Admission)
