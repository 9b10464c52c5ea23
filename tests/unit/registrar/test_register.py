"""RFC 3261 §10.3: what a REGISTER changes."""

import pytest

from sidestream.registrar.limits import HOUR, Limits
from sidestream.registrar.register import register
from sidestream.sip.transport import Peer, Transport

DESK, MOBILE = "<sip:bob@192.0.2.4:5060>", "<sip:bob@192.0.2.5:5062>"
LIMITS = Limits(min_expires=60, max_expires=1800, default_expires=600, contacts=3)


@pytest.fixture
def run(make_register, phone):
    """Register with these contacts on top of the bindings known so far; gives the outcome."""

    def run(*contacts, known=(), now=0.0, limits=LIMITS, peer=phone, **fields):
        return register(make_register(*contacts, **fields), known, peer, limits, now)

    return run


def contacts(outcome):
    return [value for name, value in outcome.headers if name == "Contact"]


def uris(outcome):
    return [str(binding.contact) for binding in outcome.bindings]


def test_a_contact_is_bound_until_its_expires(run, phone):
    outcome = run(DESK, expires=120, now=1000.0)
    assert outcome.status == 200
    assert contacts(outcome) == ["<sip:bob@192.0.2.4:5060>;expires=120"]
    (binding,) = outcome.bindings
    assert (binding.expires_at, binding.way, binding.q, binding.call_id, binding.seq) == (1120.0, phone, 1.0, "one", 1)


@pytest.mark.parametrize(
    ("contact", "expires", "lasts"),
    [
        (DESK, None, 600),
        (f"{DESK};expires=61", 300, 61),
        (f"{DESK};expires=60", None, 60),
        (f"{DESK};expires=0000000000090", None, 90),
        (DESK, 999_999, 1800),
        (f"{DESK};expires=99999999999999999999", None, 1800),
        (f"{DESK};expires=soon", None, 1800),
    ],
)
def test_the_parameter_goes_before_the_field_and_that_before_our_own_choice(run, contact, expires, lasts):
    assert run(contact, expires=expires).bindings[0].expires_at == lasts


@pytest.mark.parametrize("expires", [1, 59])
def test_an_interval_that_is_too_brief_is_refused_with_the_least_one(run, expires):
    outcome = run(DESK, f"{MOBILE};expires=300", expires=expires)
    assert (outcome.status, outcome.headers, outcome.bindings) == (423, (("Min-Expires", "60"),), None)


def test_an_hour_is_never_too_brief(run):
    strict = Limits(min_expires=2 * HOUR, max_expires=3 * HOUR)
    assert run(DESK, expires=HOUR, limits=strict).status == 200
    assert run(DESK, expires=HOUR - 1, limits=strict).status == 423


def test_a_register_without_contact_only_asks(run):
    known = run(DESK, f"{MOBILE};q=0.25", expires=100).bindings
    outcome = run(known=known, now=40.2, seq=2)
    assert outcome.status == 200
    assert outcome.bindings is None
    assert contacts(outcome) == ["<sip:bob@192.0.2.5:5062>;q=0.25;expires=60", "<sip:bob@192.0.2.4:5060>;expires=60"]


def test_a_refresh_replaces_the_binding_of_an_equivalent_contact(run, phone):
    known = run(DESK, expires=100).bindings
    moved = Peer(Transport.UDP, phone.host, 40999, "udp")
    outcome = run("<sip:bob@192.0.2.4:5060;lr>", known=known, expires=100, seq=2, now=50.0, peer=moved)
    (binding,) = outcome.bindings
    assert (binding.expires_at, binding.seq, binding.way) == (150.0, 2, moved)


def test_expires_0_removes_one_contact_and_leaves_the_others(run):
    known = run(DESK, MOBILE).bindings
    outcome = run(f"{DESK};expires=0", known=known, seq=2)
    assert uris(outcome) == ["sip:bob@192.0.2.5:5062"]
    assert run(f"{DESK};expires=0").bindings == (), "removing what is not there is no error"


def test_a_star_removes_everything(run):
    outcome = run("*", expires=0, known=run(DESK, MOBILE).bindings, seq=2)
    assert (outcome.status, outcome.bindings, contacts(outcome)) == (200, (), [])


@pytest.mark.parametrize(("given", "expires"), [(("*",), None), (("*",), 60), (("*", DESK), 0)])
def test_a_star_stands_alone_and_with_expires_0(run, given, expires):
    outcome = run(*given, expires=expires, known=run(DESK).bindings, seq=2)
    assert (outcome.status, outcome.bindings) == (400, None)


@pytest.mark.parametrize(
    ("contact", "expires"),
    [(DESK, 100), (DESK, 0), ("*", 0)],
)
def test_a_number_that_is_not_higher_changes_nothing(run, contact, expires):
    known = run(DESK, expires=100, seq=5).bindings
    for seq in (4, 5):
        outcome = run(contact, expires=expires, known=known, seq=seq)
        assert (outcome.status, outcome.bindings) == (500, None)
    assert run(contact, expires=expires, known=known, seq=6).status == 200


def test_another_call_id_may_count_anew(run):
    known = run(DESK, expires=100, seq=5).bindings
    assert run(DESK, expires=100, seq=1, call_id="two", known=known).status == 200
    assert run("*", expires=0, seq=1, call_id="two", known=known).bindings == ()


def test_a_late_number_for_one_contact_keeps_the_others_out_too(run):
    known = run(DESK, expires=100, seq=5).bindings
    assert run(MOBILE, DESK, expires=100, seq=5, known=known).bindings is None


def test_the_newest_contacts_are_kept(run):
    known = ()
    for number in range(1, 5):
        known = run(f"<sip:bob@192.0.2.{number}>", expires=1000 - number, known=known, seq=number).bindings
    assert [str(binding.contact) for binding in known] == [f"sip:bob@192.0.2.{number}" for number in (4, 3, 2)]


@pytest.mark.parametrize(("q", "kept"), [("0.5", 0.5), ("0", 0.0), ("2", 1.0), ("x", 1.0), ("nan", 1.0), ("", 1.0)])
def test_q_is_kept_if_it_is_one(run, q, kept):
    assert run(f"{DESK};q={q}" if q else DESK).bindings[0].q == kept


def test_a_contact_that_cannot_be_called_is_refused(run):
    assert run("<tel:+15550100>", expires=60).status == 400


def test_path_is_left_alone(run):
    # RFC 3327 §5.3: we do not know Path, so we neither store it nor give it back.
    outcome = run(DESK, extra="Path: <sip:edge.example;lr>")
    assert outcome.status == 200
    assert {name for name, _ in outcome.headers} == {"Contact"}


def test_more_contacts_than_there_may_be_are_not_even_compared(run):
    outcome = run(*[f"<sip:bob@192.0.2.{last}>" for last in range(LIMITS.contacts + 1)])
    assert (outcome.status, outcome.reason, outcome.bindings) == (400, "Too Many Contacts", None)
