"""From a file, the environment or neither to a configuration."""

from pathlib import Path

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.domain import DomainRoute
from sidestream.app.config import Config, ConfigError, load
from sidestream.app.config_schema import SECTIONS
from sidestream.app.config_values import ListenerConfig
from sidestream.base.secret import Secret
from sidestream.registrar.limits import Limits
from sidestream.sip.uri import Uri
from sidestream.trunks.trunk_book import TrunkCredentials, TrunkRegistration
from sidestream.twiml.document import Pause, Say, Start
from sidestream.twiml.parser import parse_twiml

EXAMPLE = Path(__file__).parents[3] / "sidestream.example.toml"
SID = "AC" + "0" * 32


def test_without_anything_the_server_listens_on_this_machine_and_records_every_call() -> None:
    config = load(None, {})
    assert config.listeners == (
        ListenerConfig("udp-5060", "udp", "127.0.0.1", 5060),
        ListenerConfig("tcp-5060", "tcp", "127.0.0.1", 5060),
    )
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8080)
    assert (config.srs.enabled, config.srs.host, config.srs.port) == (True, "127.0.0.1", 5070)
    (connector,) = config.connectors
    assert (connector.unique_name, connector.account_sid) == ("Default", None)
    assert str(connector.targets[0].uri) == "sip:srs@127.0.0.1:5070"
    assert config.storage_url == "sqlite:///sidestream-data/sidestream.db"
    assert config.accounts == ()
    (number,) = config.numbers
    assert (number.address, number.account_sid) == ("*", "")
    document, problems = parse_twiml((number.voice.twiml or "").encode())
    assert problems == ()
    assert document is not None
    assert [type(verb) for verb in document.verbs] == [Start, Say, Pause]


def test_the_defaults_of_the_table_and_of_the_values_are_the_same() -> None:
    loaded, plain = load(None, {}), Config()
    for name in ("accounts", "trunks", "media", "http", "srs", "storage_url", "data_dir", "log", "limits"):
        assert getattr(loaded, name) == getattr(plain, name), name


def test_the_account_that_the_server_makes_gets_the_numbers_without_one() -> None:
    account = Account(SID, "a" * 32)
    config = load(None, {}).with_account(account)
    assert config.accounts == (account,)
    assert [n.account_sid for n in config.numbers] == [SID]
    assert config.with_account(Account(SID, "b" * 32)) is config


def test_the_example_uses_every_section() -> None:
    config = load(EXAMPLE, {})
    assert [n.address for n in config.numbers] == ["+15550100001", "*"]
    assert {n.account_sid for n in config.numbers} == {SID}
    assert config.numbers[0].voice.status_callback_events == ("answered", "completed")
    trunk, carrier, branch = config.trunks
    assert [str(network) for network in trunk.sources] == ["127.0.0.1/32", "192.0.2.0/24"]
    assert str(trunk.outbound) == "sip:192.0.2.10:5060;transport=udp"
    assert trunk.credentials is not None
    assert trunk.credentials.password == Secret("changethis")
    assert carrier.registration == TrunkRegistration(
        Uri.parse("sip:sip.carrier.example"), Uri.parse("sip:15550100001@sip.carrier.example"), 600
    )
    assert branch.inbound == TrunkCredentials("branch", Secret("changethis-too"))
    (domain,) = config.domains
    assert (domain.name, domain.route, [user.name for user in domain.users]) == (
        "pbx.example.com",
        DomainRoute.USERS,
        ["alice", "bob"],
    )
    assert config.registrar == Limits(60, 3600, 3600)
    primary, default = config.connectors
    assert len(primary.targets) == 2
    assert primary.header == ("X-Auth-Token", Secret("changethis"))
    assert primary.options.answer_timeout_s == 5.0
    assert default.unique_name == "Default"
    assert [(x.name, x.nat) for x in config.listeners] == [("udp", False), ("tcp", False), ("phones", True)]
    assert {x.advertised for x in config.listeners} == {"198.51.100.7"}
    assert config.dns.servers == (("192.0.2.53", 53),)
    assert config.media.interfaces[0].advertised == "198.51.100.7"
    assert config.http.public_url == "https://sidestream.example.com"
    text = EXAMPLE.read_text()
    for name, section in SECTIONS.items():
        assert (f"[[{name}]]" if section.repeated else f"[{name}]") in text or not name


def test_no_secret_shows() -> None:
    shown = repr(load(EXAMPLE, {}))
    assert "changethis" not in shown


def test_the_environment_wins(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[http]\nport = 1\n[log]\nlevel = "error"\n')
    environ = {
        "SIDESTREAM_HTTP_PORT": "2",
        "SIDESTREAM_LOG_JSON": "yes",
        "SIDESTREAM_DATA_DIR": "/srv/x",
        "SIDESTREAM_SRS_DIRECTORY": "/srv/recordings",
        "SIDESTREAM_MEDIA_SOCKET": "/run/media.sock",
        "SIDESTREAM_ACCOUNTS_0_SID": SID,
        "SIDESTREAM_ACCOUNTS_0_AUTH_TOKEN": "b" * 32,
        "SIDESTREAM_MEDIA_INTERFACES_0_NAME": "lan",
        "SIDESTREAM_MEDIA_INTERFACES_0_ADDRESS": "10.0.0.1",
        "SIDESTREAM_TRUNKS_0_NAME": "t",
        "SIDESTREAM_TRUNKS_0_SOURCES": "10.0.0.0/8, 192.0.2.1",
        "SIDESTREAM_CONNECTORS_0_NAME": "Default",
        "SIDESTREAM_CONNECTORS_0_SRS": "sip:a@b",
        "SIDESTREAM_CONNECTORS_0_ANSWER_TIMEOUT": "2.5",
        "PATH": "/bin",
    }
    config = load(path, environ)
    assert (config.http.port, config.log.level, config.log.json) == (2, "error", True)
    assert config.storage_url == "sqlite:////srv/x/sidestream.db"
    assert (config.srs.directory, config.media.socket) == (Path("/srv/recordings"), Path("/run/media.sock"))
    assert config.accounts == (Account(SID, "b" * 32),)
    assert config.media.interfaces[0].address == "10.0.0.1"
    assert len(config.trunks[0].sources) == 2
    (connector,) = config.connectors
    assert (str(connector.targets[0].uri), connector.options.answer_timeout_s) == ("sip:a@b", 2.5)


def test_the_welcome_belongs_to_an_account_of_the_environment_and_yields_to_other_numbers() -> None:
    account = {"SIDESTREAM_ACCOUNTS_0_SID": SID, "SIDESTREAM_ACCOUNTS_0_AUTH_TOKEN": "b" * 32}
    assert [n.account_sid for n in load(None, account).numbers] == [SID]
    number = {"SIDESTREAM_NUMBERS_0_NUMBER": "100", "SIDESTREAM_NUMBERS_0_VOICE_URL": "http://127.0.0.1:9/v"}
    assert [n.address for n in load(None, account | number).numbers] == ["100"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", ": Not UTF-8 at octet 0"),
        (b"a = \n", ":1: Not valid TOML: Invalid value"),
        (b"a = 1\na = 2\n", ":2: Not valid TOML: Cannot overwrite"),
        (b'a = """', ": Not valid TOML: "),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}{message}")


def test_twiml_that_only_deserves_a_warning_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[numbers]]\nnumber = "1"\ntwiml = "<Response><Whistle/></Response>"\n')
    assert load(path, {}).numbers[0].voice.twiml == "<Response><Whistle/></Response>"


def test_problems_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[log]\nlevel = 1\n[http]\nport = -1\n[bogus]\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {"SIDESTREAM_SRS_PORT": "x"})
    assert [(p.line, p.key) for p in caught.value.problems] == [
        (2, "log.level"),
        (4, "http.port"),
        (5, "bogus"),
        (None, "SIDESTREAM_SRS_PORT"),
    ]


def test_the_embedded_listeners_can_be_moved_by_the_environment():
    config = load(None, {"SIDESTREAM_LISTENERS_0_PORT": "5090", "SIDESTREAM_LISTENERS_1_PORT": "5091"})
    assert [(listener.name, listener.transport, listener.port) for listener in config.listeners] == [
        ("udp-5090", "udp", 5090),
        ("tcp-5091", "tcp", 5091),
    ]


def test_the_embedded_media_address_can_be_changed_by_the_environment():
    config = load(None, {"SIDESTREAM_MEDIA_INTERFACES_0_ADDRESS": "127.0.0.2"})
    assert [interface.address for interface in config.media.interfaces] == ["127.0.0.2"]
