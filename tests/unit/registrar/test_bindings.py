"""The table: expiry and bounds."""

from sidestream.registrar.binding import Binding
from sidestream.registrar.bindings import Bindings
from sidestream.sip.uri import Uri

BOB, CAROL, DAVE = "sip:bob@example.com", "sip:carol@example.com", "sip:dave@example.com"


def binding(expires_at: float, host: str = "192.0.2.4") -> Binding:
    return Binding(Uri.parse(f"sip:bob@{host}"), "call", 1, expires_at)


def test_a_binding_is_gone_at_the_moment_it_expires():
    table = Bindings(10)
    short, long = binding(10.0), binding(20.0, "192.0.2.5")
    assert table.put(BOB, [short, long], 0.0)
    assert table.of(BOB, 9.9) == (short, long)
    assert table.of(BOB, 10.0) == (long,)
    assert table.of(BOB, 20.0) == ()
    assert (table.count(9.9), table.count(20.0)) == (1, 0)


def test_an_address_without_bindings_is_unknown():
    table = Bindings(10)
    table.put(BOB, [binding(10.0)], 0.0)
    assert table.put(BOB, [], 0.0)
    assert table.of(BOB, 0.0) == table.of(CAROL, 0.0) == ()
    assert table.count(0.0) == 0


def test_a_full_table_takes_no_new_address_until_an_old_one_expires():
    table = Bindings(2)
    table.put(BOB, [binding(10.0)], 0.0)
    table.put(CAROL, [binding(20.0)], 0.0)
    assert not table.put(DAVE, [binding(30.0)], 1.0)
    assert table.of(DAVE, 1.0) == ()
    assert table.put(BOB, [binding(11.0)], 1.0), "an address that is there may change"
    assert table.put(DAVE, [binding(30.0)], 11.0)
    assert table.of(CAROL, 11.0)
    assert table.of(DAVE, 11.0)
