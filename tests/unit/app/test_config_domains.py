"""Domains, users and what the registrar allows."""

from pathlib import Path

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.domain import DomainRoute, SipUser
from sidestream.app.config import Config, ConfigError, load
from sidestream.base.secret import Secret
from sidestream.registrar.limits import Limits

SID, SID2 = "AC" + "1" * 32, "AC" + "2" * 32
ACCOUNT = '[[accounts]]\nsid = "{}"\nauth_token = "' + "t" * 32 + '"\n'
DOMAIN = '[[domains]]\nname = "a.example"\nroute = "users"\n'
BOB = '[[users]]\ndomain = "a.example"\nname = "bob"\npassword = "p"\n'


@pytest.fixture
def config(tmp_path: Path):
    def read(text: str) -> Config:
        (tmp_path / "c.toml").write_text(text)
        return load(tmp_path / "c.toml", {})

    return read


@pytest.fixture
def problems(config):
    def find(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            config(text)
        return [f"{p.key}: {p.message}" for p in caught.value.problems]

    return find


def test_a_domain_has_its_users_and_connects_them_without_more_ado(config):
    (domain,) = config(ACCOUNT.format(SID) + DOMAIN + 'aliases = "192.0.2.1"\n' + BOB).domains
    assert (domain.name, domain.account_sid, domain.aliases) == ("a.example", SID, ("192.0.2.1",))
    assert domain.users == (SipUser("bob", Secret("p")),)
    assert (domain.route, domain.voice) == (DomainRoute.USERS, None)


def test_a_domain_without_account_gets_the_one_that_the_server_makes(config):
    read = config(DOMAIN)
    assert read.domains[0].account_sid == ""
    assert read.with_account(Account(SID, "b" * 32)).domains[0].account_sid == SID


def test_twiml_may_name_the_called_and_the_caller(config):
    twiml = '<Response><Dial callerId="{{From}}"><Sip>{{To}}</Sip></Dial></Response>'
    (domain,) = config(f"[[domains]]\nname = \"a.example\"\ntwiml = '{twiml}'").domains
    assert domain.route is DomainRoute.VOICE
    assert domain.voice is not None
    assert domain.voice.twiml == twiml


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[domains]]\nname = "a.example"', 'domains[0]: needs voice_url or twiml, or route = "users"'),
        (
            f'{DOMAIN}twiml = "<Response/>"\nvoice_url = "https://a.example"',
            "domains[0].twiml: clashes with voice_url: give one of the two",
        ),
        (f'{DOMAIN}twiml = "<Nonsense"', None),
        (
            f'{DOMAIN}[[domains]]\nname = "b"\nroute = "users"\naliases = ["A.Example."]',
            "domains[1].aliases: A.Example. is there already",
        ),
        (f'{DOMAIN}account = "{SID}"', f"domains[0].account: there is no account {SID}"),
        (
            ACCOUNT.format(SID) + ACCOUNT.format(SID2) + DOMAIN,
            "domains[0].account: is missing, and there is more than one account",
        ),
        (BOB, "users[0].domain: there is no domain a.example"),
        (DOMAIN + BOB + BOB, "users[1].name: 'bob' is there already"),
        (
            DOMAIN + BOB.replace('"bob"', '"b@b"'),
            "users[0].name: 'b@b' must be 1 to 64 letters, digits and -_.!~*'+",
        ),
        (DOMAIN + '[[users]]\ndomain = "a.example"\nname = "bob"', "users[0].password: is missing"),
        (
            "[registrar]\nmin_expires = 600\nmax_expires = 300",
            "registrar.max_expires: must not be below min_expires",
        ),
        ("[registrar]\ndigest = []", "registrar.digest: must not be empty"),
    ],
)
def test_problems(problems, text, problem):
    found = problems(text)
    assert len(found) == 1
    assert problem is None or found == [problem]


def test_the_limits_of_the_registrar(config):
    text = "[registrar]\nmin_expires = 30\nmax_expires = 120\ncontacts = 2"
    assert config(text).registrar == Limits(30, 120, 120, 2)
    assert config('[registrar]\ndigest = ["SHA-512-256", "MD5"]').digest == ("SHA-512-256", "MD5")
    assert config("").digest == ("SHA-256", "MD5")
    assert config("").registrar == Limits()
