"""REGISTER in, places out, and the same again after a restart."""

from datetime import UTC, datetime, timedelta

import pytest

from sidestream.registrar.limits import Limits
from sidestream.registrar.ports import StoredBinding
from sidestream.registrar.registrar import Registrar
from sidestream.sip.transport import Peer, Transport

BOB, CAROL = "sip:bob@example.com", "sip:carol@example.com"
WALL = datetime(2025, 1, 9, 12, 34, 56, tzinfo=UTC)
DESK = "<sip:bob@192.0.2.4:5060>"


class Store:
    """A BindingStore of dictionaries."""

    def __init__(self):
        self.rows = {}

    def save(self, aor, bindings):
        self.rows[aor] = bindings

    async def all(self):
        return [(aor, bindings) for aor, bindings in self.rows.items() if bindings]

    async def flush(self):
        pass


@pytest.fixture
def store():
    return Store()


def known(_aor: str) -> bool:
    return True


def test_the_answer_has_the_contacts_and_the_date(store, make_register, phone):
    outcome = Registrar(store).register(BOB, make_register(DESK, expires=60), phone, 10.0, WALL)
    assert outcome.status == 200
    assert outcome.headers == (("Contact", f"{DESK};expires=60"), ("Date", "Thu, 09 Jan 2025 12:34:56 GMT"))


def test_the_preferred_contact_comes_first_and_of_equals_the_newest(store, make_register, phone):
    registrar = Registrar(store)
    for seq, contact in enumerate(("<sip:1@192.0.2.4>;q=0.2", "<sip:2@192.0.2.4>", "<sip:3@192.0.2.4>"), 1):
        registrar.register(BOB, make_register(contact, seq=seq), phone, 0.0, WALL)
    assert [binding.contact.user for binding in registrar.bindings(BOB, 0.0)] == ["3", "2", "1"]
    assert registrar.count(0.0) == 1


def test_a_refusal_changes_nothing(store, make_register, phone):
    registrar = Registrar(store)
    registrar.register(BOB, make_register(DESK, expires=60), phone, 0.0, WALL)
    before = dict(store.rows)
    outcome = registrar.register(BOB, make_register(DESK, expires=1, seq=2), phone, 0.0, WALL)
    assert (outcome.status, outcome.headers) == (423, (("Min-Expires", "60"),))
    assert store.rows == before


def test_a_full_registrar_asks_for_patience(store, make_register, phone):
    registrar = Registrar(store, Limits(addresses=1))
    registrar.register(BOB, make_register(DESK), phone, 0.0, WALL)
    outcome = registrar.register(CAROL, make_register(DESK), phone, 0.0, WALL)
    assert (outcome.status, outcome.headers) == (503, (("Retry-After", "60"),))
    assert CAROL not in store.rows


async def test_bindings_outlive_the_process(store, make_register, phone):
    first = Registrar(store)
    first.register(BOB, make_register("<sip:bob@192.0.2.5>;q=0.5;expires=60", DESK, expires=600), phone, 1000.0, WALL)
    second = Registrar(store)
    later = WALL + timedelta(seconds=100)
    assert await second.recover(known, 5.0, later) == 1
    (binding,) = second.bindings(BOB, 5.0)
    assert binding.expires_at == 505.0
    assert (str(binding.contact), binding.way, binding.q, binding.call_id, binding.seq) == (
        "sip:bob@192.0.2.4:5060",
        phone,
        1.0,
        "one",
        1,
    )


async def test_a_contact_that_its_own_address_reaches_is_still_reached_so_after_a_restart(store, make_register, phone):
    via = "UDP 198.51.100.9:5060;branch=z9hG4bK1"
    Registrar(store).register(BOB, make_register("<sip:bob@198.51.100.9>", via=via), phone, 0.0, WALL)
    registrar = Registrar(store)
    await registrar.recover(known, 0.0, WALL)
    assert registrar.bindings(BOB, 0.0)[0].way is None


async def test_a_connection_does_not_outlive_the_process(store, make_register):
    connection = Peer(Transport.TCP, "198.51.100.9", 40123, "tcp")
    Registrar(store).register(BOB, make_register(DESK), connection, 0.0, WALL)
    registrar = Registrar(store)
    await registrar.recover(known, 0.0, WALL)
    assert registrar.bindings(BOB, 0.0)[0].way is None


async def test_what_is_of_no_use_any_more_is_forgotten(store, make_register, phone):
    Registrar(store).register(BOB, make_register(DESK), phone, 0.0, WALL)
    later = WALL + timedelta(hours=1)
    good = StoredBinding("sip:x@192.0.2.4", "c", 1, 1.0, later)
    store.rows["sip:gone@example.com"] = (good,)
    store.rows["sip:broken@example.com"] = (
        StoredBinding("no uri", "c", 1, 1.0, later),
        StoredBinding("sip:x@192.0.2.4", "c", 1, 1.0, later, "PIGEON", "192.0.2.4", 1, "udp"),
    )
    store.rows["sip:late@example.com"] = (StoredBinding("sip:x@192.0.2.4", "c", 1, 1.0, WALL),)
    registrar = Registrar(store)
    assert await registrar.recover(lambda aor: "gone" not in aor, 0.0, WALL) == 1
    assert {aor for aor, bindings in store.rows.items() if bindings} == {BOB}


@pytest.mark.parametrize(("source", "count"), [("198.51.100.9", 0), ("127.0.0.1", 1)])
async def test_a_contact_on_our_own_machine_is_that_of_a_phone_there_alone(store, make_register, source, count):
    connection = Peer(Transport.TCP, source, 40123, "tcp")
    Registrar(store).register(BOB, make_register("<sip:bob@127.0.0.1:6379>"), connection, 0.0, WALL)
    assert await Registrar(store).recover(known, 0.0, WALL) == count
