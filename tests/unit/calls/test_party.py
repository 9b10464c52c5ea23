"""Who is at the other end of a leg."""

from sidestream.base.ids import Ids
from sidestream.calls.party import domain_home, party_of, trunk_home
from sidestream.sip.values import NameAddr


def test_it_is_named_as_the_address_names_it():
    party = party_of(NameAddr.parse('"Ada" <sip:ada@example.com>;tag=1'), Ids(), home="trunk x", accepts_refer=False)
    assert (party.aor, party.name, party.home, party.accepts_refer) == ("sip:ada@example.com", "Ada", "trunk x", False)


def test_an_empty_name_is_none_and_each_party_has_an_id_of_its_own():
    ids = Ids()
    address = NameAddr.parse('"" <sip:ada@example.com>')
    one, other = party_of(address, ids), party_of(address, ids)
    assert one.name is None
    assert one.participant_id != other.participant_id


def test_a_trunk_and_a_domain_of_one_name_are_two_homes():
    assert trunk_home("a") != domain_home("a")
