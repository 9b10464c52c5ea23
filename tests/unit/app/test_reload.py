"""What a running platform takes from another configuration."""

from dataclasses import replace

from sidestream.accounts.account import Account
from sidestream.accounts.domain import Domain
from sidestream.app.config_values import Config, Limits, ListenerConfig
from sidestream.app.reload import FIRST_DOMAIN, REGISTERING, left_for_restart
from sidestream.base.secret import Secret
from sidestream.connectors.connector import make_connector
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Trunk, TrunkCredentials, TrunkRegistration

BEFORE = Config()
REGISTRATION = TrunkRegistration(Uri.parse("sip:carrier.example"), Uri.parse("sip:me@carrier.example"))
CARRIER = Trunk("carrier", credentials=TrunkCredentials("me", Secret("x")), registration=REGISTRATION)


def test_nothing_has_changed() -> None:
    assert left_for_restart(BEFORE, Config()) == ()


def test_who_calls_whom_and_who_records_is_taken() -> None:
    after = replace(
        BEFORE,
        accounts=(Account("AC1", "t"),),
        trunks=(Trunk("a", outbound=Uri.parse("sip:a.example")),),
        connectors=(make_connector("Default", None, ("sip:srs.example",)),),
    )
    assert left_for_restart(BEFORE, after) == ()


def test_what_was_bound_or_begun_is_left() -> None:
    after = replace(
        BEFORE,
        listeners=(ListenerConfig("a", "udp", "127.0.0.1", 5060),),
        digest=("MD5",),
        storage_url="sqlite:///other",
        limits=Limits(calls=1),
    )
    assert left_for_restart(BEFORE, after) == ("registrar", "listeners", "storage", "limits")


def test_a_section_is_named_once() -> None:
    after = replace(BEFORE, digest=("MD5",), registrar=replace(BEFORE.registrar, contacts=1))
    assert left_for_restart(BEFORE, after) == ("registrar",)


def test_a_trunk_that_registers_is_left_but_its_other_keys_are_not() -> None:
    before = replace(BEFORE, trunks=(CARRIER,))
    assert left_for_restart(BEFORE, before) == (REGISTERING,)
    assert left_for_restart(before, replace(before, trunks=(replace(CARRIER, accepts_refer=False),))) == ()


def test_the_first_domain_is_left_and_another_one_is_not() -> None:
    one, two = Domain("a.test", "AC1"), Domain("b.test", "AC1")
    before = replace(BEFORE, domains=(one,))
    assert left_for_restart(BEFORE, before) == (FIRST_DOMAIN,)
    assert left_for_restart(before, replace(before, domains=(one, two))) == ()
