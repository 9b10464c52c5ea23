"""Trunks: credentials in both directions, and registration."""

from pathlib import Path

import pytest

from sidestream.app.config import ConfigError, load
from sidestream.base.secret import Secret
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import Trunk, TrunkCredentials, TrunkRegistration

OURS = 'username = "100"\npassword = "p"\n'


@pytest.fixture
def trunk(tmp_path: Path):
    """The trunk that this text configures, behind its name."""

    def read(text: str) -> Trunk:
        (tmp_path / "c.toml").write_text(f'[[trunks]]\nname = "t"\n{text}')
        return load(tmp_path / "c.toml", {}).trunks[0]

    return read


@pytest.fixture
def problems(trunk):
    def find(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            trunk(text)
        return [f"{p.key}: {p.message}" for p in caught.value.problems]

    return find


def test_a_trunk_may_have_credentials_for_each_direction(trunk):
    read = trunk(OURS + 'inbound_username = "theirs"\ninbound_password = "q"')
    assert read.credentials == TrunkCredentials("100", Secret("p"))
    assert read.inbound == TrunkCredentials("theirs", Secret("q"))
    assert read.registration is None


def test_it_is_registered_where_calls_go_to_as_the_user_that_it_asks_for(trunk):
    read = trunk(OURS + 'outbound = "sip:carrier.example:5070;transport=tcp"\nregister = true')
    assert read.registration == TrunkRegistration(
        Uri.parse("sip:carrier.example:5070;transport=tcp"), Uri.parse("sip:100@carrier.example"), 3600
    )


def test_registrar_address_and_time_can_be_chosen(trunk):
    read = trunk(
        OURS + 'register = true\nregistrar = "sip:[2001:db8::1]"\nregister_as = "sip:line@carrier.example"\n'
        "register_expires = 300"
    )
    assert read.registration == TrunkRegistration(
        Uri.parse("sip:[2001:db8::1]"), Uri.parse("sip:line@carrier.example"), 300
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('inbound_username = "x"', "trunks[0].inbound_username: inbound_username and inbound_password belong together"),
        (OURS + "register = true", "trunks[0].register: needs registrar or outbound: where to register"),
        ('outbound = "sip:a.example"\nregister = true', "trunks[0].register: needs username and password"),
        (
            OURS + 'register = true\nregistrar = "sip:me@a.example"',
            "trunks[0].registrar: must have neither user nor headers",
        ),
        (OURS + 'register = true\nregistrar = "tel:+1"', "trunks[0].registrar: 'tel:+1' is not a SIP URI (32110)"),
        (
            OURS + 'register = true\nregistrar = "sip:a.example"\nregister_as = "sip:a.example"',
            "trunks[0].register_as: needs a user",
        ),
        ('register_as = "nobody"', "trunks[0].register_as: 'nobody' is not a SIP URI (32110)"),
        ("register_expires = 5", "trunks[0].register_expires: must be from 30 to 86400"),
    ],
)
def test_problems(problems, text, problem):
    assert problems(text) == [problem]


def test_two_trunks_cannot_prove_themselves_alike(problems):
    twin = 'inbound_username = "x"\ninbound_password = "y"\n'
    assert problems(f'{twin}[[trunks]]\nname = "u"\n{twin}') == ["trunks[1].inbound_username: 'x' is there already"]


def test_redirections_and_transfers_are_its_owners_choice(trunk):
    assert (trunk(OURS).follow_redirects, trunk(OURS).accepts_refer) == (0, True)
    read = trunk(OURS + 'follow_redirects = 3\nrefer = "refuse"')
    assert (read.follow_redirects, read.accepts_refer) == (3, False)
