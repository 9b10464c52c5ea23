"""What concerns more than one key."""

import textwrap
from pathlib import Path

import pytest

from sidestream.app.config import Config, ConfigError, bundled_connector, load
from sidestream.media.address import TlsAddress
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.security import MediaSecurity

SID, SID2 = "AC" + "1" * 32, "AC" + "2" * 32
TOKEN = "t" * 32
ACCOUNTS = (
    f'[[accounts]]\nsid = "{SID}"\nauth_token = "{TOKEN}"\n[[accounts]]\nsid = "{SID2}"\nauth_token = "{TOKEN}"\n'
)
URL = 'voice_url = "https://a.example/v"'
SRS = 'srs = "sip:a@b"'


@pytest.fixture
def loaded(tmp_path: Path) -> "Loader":
    return Loader(tmp_path / "c.toml")


class Loader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def config(self, text: str) -> Config:
        self._path.write_text(textwrap.dedent(text))
        return load(self._path, {})

    def problems(self, text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.config(text)
        return [f"{p.line} {p.key}: {p.message}" for p in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f'[[accounts]]\nsid = "AC1"\nauth_token = "{TOKEN}"',
            "2 accounts[0].sid: must be AC and 32 hexadecimal digits",
        ),
        (f'[[accounts]]\nsid = "{SID}"\nauth_token = "x"', "3 accounts[0].auth_token: must be 32 letters and digits"),
        (f'[[accounts]]\nsid = "{SID}"', "1 accounts[0].auth_token: is missing"),
        (
            f'[[accounts]]\nsid = "{SID}"\nauth_token = "{TOKEN}"\n[[accounts]]\nsid = "{SID}"\nauth_token = "{TOKEN}"',
            f"5 accounts[1].sid: '{SID}' is there already",
        ),
        (f'[[numbers]]\nnumber = "1"\naccount = "{SID}"\n{URL}', f"3 numbers[0].account: there is no account {SID}"),
        (
            f'{ACCOUNTS}[[numbers]]\nnumber = "1"\n{URL}',
            "7 numbers[0].account: is missing, and there is more than one account",
        ),
        ('[[numbers]]\nnumber = "1"', "1 numbers[0]: needs voice_url or twiml"),
        (
            f'[[numbers]]\nnumber = "1"\n{URL}\ntwiml = "<Response/>"',
            "4 numbers[0].twiml: clashes with voice_url: give one of the two",
        ),
        (
            '[[numbers]]\nnumber = "1"\ntwiml = "<Dial/>"',
            "3 numbers[0].twiml: The root element is 'Dial' instead of <Response> (12102)",
        ),
        (
            f'[[numbers]]\nnumber = "1"\ntwiml = "<Response><!--{"x" * 4000}--></Response>"',
            "3 numbers[0].twiml: is longer than 4000 characters (32018)",
        ),
        (
            f'[[numbers]]\nnumber = "+1 00"\n{URL}\n[[numbers]]\nnumber = "100"\n{URL}',
            "5 numbers[1].number: 100 is there already",
        ),
        (
            f'[[numbers]]\nnumber = "*"\n{URL}\n[[numbers]]\nnumber = "*"\n{URL}',
            "5 numbers[1].number: * is there already",
        ),
        (f'[[numbers]]\nnumber = ""\n{URL}', "2 numbers[0].number: must not be empty"),
        ('[[trunks]]\nname = "t"\n[[trunks]]\nname = "t"', "4 trunks[1].name: 't' is there already"),
        (
            '[[trunks]]\nname = "t"\nsources = ["10.0.0.0/99"]',
            "3 trunks[0].sources: '10.0.0.0/99' is neither an IP address nor a network",
        ),
        ('[[trunks]]\nname = "t"\noutbound = "carrier"', "3 trunks[0].outbound: 'carrier' is not a SIP URI (32110)"),
        (
            '[[trunks]]\nname = "t"\noutbound = "sip:a;secure=true"',
            "3 trunks[0].outbound: secure=true does not stand here: say media_security and transport=tls (32209)",
        ),
        (
            '[[trunks]]\nname = "t"\noutbound = "sip:a@b"',
            "3 trunks[0].outbound: must have neither user nor headers: the number becomes its user",
        ),
        ('[[trunks]]\nname = "t"\nusername = "u"', "3 trunks[0].username: username and password belong together"),
        ('[[connectors]]\nname = "c"\nsrs = "b"', "3 connectors[0].srs: Not a SIP URI: 'b' (32110)"),
        (
            '[[connectors]]\nname = "c"\nsrs = "sip:a@b;secure=true"',
            "1 connectors: 'c' needs a listener with transport tls",
        ),
        (
            '[[connectors]]\nname = "c"\nsrs = "sip:a@b;secure=maybe"',
            "3 connectors[0].srs: secure=maybe counts as false: it is true or false (32114)",
        ),
        ('[[connectors]]\nname = "c"\nsrs = []', "3 connectors[0].srs: must not be empty"),
        ('[[connectors]]\nname = "c"\nsrs = 5', "3 connectors[0].srs: must be a list of texts"),
        ('[[connectors]]\nname = "c"', "1 connectors[0].srs: is missing"),
        (
            f'[[connectors]]\nname = "c"\n{SRS}\n[[connectors]]\nname = "c"\n{SRS}',
            "5 connectors[1].name: 'c' is there already",
        ),
        (
            f'[[connectors]]\nname = "c"\n{SRS}\nheader_name = "X-A"',
            "4 connectors[0].header_name: header_name and header_value belong together",
        ),
        (
            f'[[connectors]]\nname = "c"\n{SRS}\nheader_name = "Via"\nheader_value = "x"',
            "4 connectors[0].header_name: The header Via is written by the platform itself (32113)",
        ),
        (
            f'[[connectors]]\nname = "c"\n{SRS}\nextension_namespace = "a b"',
            "4 connectors[0].extension_namespace: The namespace of the parameters must be a URI (31942)",
        ),
        ("[media]\nport_low = 30000", "1 media.port_high: must be above port_low"),
        ("[media]\nexternal = true", "2 media.external: needs socket or address: where the engine listens"),
        (
            '[media]\nca = "a"',
            "1 media.address: is missing: the certificates are for an engine on another machine",
        ),
        ('[media]\nexternal = true\naddress = "tcp://a:1"', "3 media.address: must be tls://HOST:PORT"),
        (
            '[media]\naddress = "tls://a:1"',
            "2 media.address: needs external = true: who runs an engine there is not us",
        ),
        (
            '[media]\nexternal = true\naddress = "tls://a:1"\nsocket = "/s"',
            "3 media.address: stands beside socket: the engine is at one of them",
        ),
        (
            '[media]\nexternal = true\naddress = "tls://a:1"\nca = "c"',
            "3 media.address: needs ca, certificate and private_key",
        ),
        (f'[media]\nsocket = "/{"x" * 107}"', "2 media.socket: is longer than 107 octets"),
        (
            '[[media.interfaces]]\nname = "a"\naddress = "::"',
            "1 media.interfaces[0].advertised: is needed, since peers cannot be told ::",
        ),
        (
            '[storage]\nurl = "mysql://x"',
            "2 storage.url: must be sqlite:/// and the path of a file; no other database is supported yet",
        ),
    ],
)
def test_problems_between_keys(loaded: Loader, text: str, problem: str) -> None:
    assert loaded.problems(text) == [problem]


def test_media_goes_by_an_interface_that_there_is(loaded: Loader) -> None:
    peers = f"""
    [[accounts]]
    sid = "{SID}"
    auth_token = "{TOKEN}"
    [[media.interfaces]]
    name = "public"
    address = "10.0.0.1"
    [[trunks]]
    name = "t"
    sources = ["10.0.0.9"]
    media_interface = "public"
    [[domains]]
    name = "d.example"
    {URL}
    media_interface = "public"
    [[connectors]]
    name = "c"
    {SRS}
    media_interface = "public"
    """
    config = loaded.config(peers)
    named = (config.trunks[0], config.domains[0], config.connectors[0].options)
    assert [one.media_interface for one in named] == ["public"] * 3
    assert loaded.problems(peers.replace('media_interface = "public"', 'media_interface = "vault"')) == [
        f"{line} {place}.media_interface: there is no interface vault in [[media.interfaces]]"
        for line, place in ((11, "trunks[0]"), (15, "domains[0]"), (19, "connectors[0]"))
    ]
    assert loaded.config("").connectors[0].options.media_interface is None


def test_stars_of_several_accounts_go_together(loaded: Loader) -> None:
    star = '[[numbers]]\nnumber = "*"\naccount = "{}"\n' + URL + "\n"
    config = loaded.config(ACCOUNTS + star.format(SID) + star.format(SID2))
    assert [n.account_sid for n in config.numbers] == [SID, SID2]


def test_a_number_gets_the_only_account_or_waits_for_one(loaded: Loader) -> None:
    number = f'[[numbers]]\nnumber = "1"\n{URL}\n'
    assert loaded.config(number).numbers[0].account_sid == ""
    one = f'[[accounts]]\nsid = "{SID}"\nauth_token = "{TOKEN}"\n'
    assert loaded.config(number + one).numbers[0].account_sid == SID


def test_the_bundled_server_is_default_unless_it_is_off_or_the_name_is_taken(loaded: Loader) -> None:
    assert [c.unique_name for c in loaded.config("[srs]\nport = 5555").connectors] == ["Default"]
    assert loaded.config("[srs]\nenabled = false").connectors == ()
    assert loaded.config("[srs]\nport = 0").connectors == ()
    own = loaded.config(f'[[connectors]]\nname = "Default"\n{SRS}').connectors
    assert [str(c.targets[0].uri) for c in own] == ["sip:a@b"]
    account = f'[[accounts]]\nsid = "{SID}"\nauth_token = "{TOKEN}"\n'
    both = loaded.config(f'{account}[[connectors]]\nname = "Default"\naccount = "{SID}"\n{SRS}').connectors
    assert [c.account_sid for c in both] == [SID, None]


@pytest.mark.parametrize(
    ("host", "uri"),
    [("0.0.0.0", "sip:srs@127.0.0.1:9"), ("::", "sip:srs@[::1]:9"), ("10.0.0.1", "sip:srs@10.0.0.1:9")],
)
def test_a_server_on_every_address_is_reached_on_this_machine(host: str, uri: str) -> None:
    assert str(bundled_connector(host, 9).targets[0].uri) == uri


def test_listeners_are_named_after_what_they_are(loaded: Loader) -> None:
    config = loaded.config(
        '[[listeners]]\ntransport = "tcp"\nport = 0\n[[listeners]]\ntransport = "udp"\nport = 5062\n'
    )
    assert [listener.name for listener in config.listeners] == ["tcp-0", "udp-5062"]


def test_a_host_name_needs_no_advertised_address(loaded: Loader) -> None:
    config = loaded.config('[[listeners]]\ntransport = "tcp"\nhost = "sip.example.com"\n')
    assert config.listeners[0].advertised is None


def test_the_public_url_ends_without_a_slash(loaded: Loader) -> None:
    assert loaded.config('[http]\npublic_url = "https://x.example/"\n').http.public_url == "https://x.example"


def test_a_database_elsewhere(loaded: Loader) -> None:
    assert loaded.config('[storage]\nurl = "sqlite:////srv/a.db"\n').storage_url == "sqlite:////srv/a.db"


def test_how_connectors_offer_srtp(loaded: Loader) -> None:
    text = '[[connectors]]\nname = "c"\nsrs = "sip:a@b;transport=tcp;secure=true"\nkeys_without_tls = true\n'
    (connector,) = (c for c in loaded.config(text).connectors if c.unique_name == "c")
    assert connector.options.srtp_suites == (CryptoSuite.AES_CM_128_HMAC_SHA1_80,)
    assert (connector.options.keys_without_tls, connector.options.plain_copy_of_secure_calls) == (True, False)
    text += 'srtp_suites = ["AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]\nplain_copy_of_secure_calls = true\n'
    (connector,) = (c for c in loaded.config(text).connectors if c.unique_name == "c")
    assert connector.options.srtp_suites == (CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AES_CM_128_HMAC_SHA1_80)
    assert connector.options.plain_copy_of_secure_calls
    twice = text.replace("AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")
    assert loaded.problems(twice) == [
        "5 connectors[0].srtp_suites: SRTP needs one or more suites, each of them once (31942)"
    ]


def test_who_may_or_must_use_srtp(loaded: Loader) -> None:
    config = loaded.config(
        f"""
        [[trunks]]
        name = "t"
        media_security = "required"
        [[trunks]]
        name = "plain"
        [[numbers]]
        number = "1"
        media_security = "optional"
        {URL}
        [[numbers]]
        number = "2"
        {URL}
        [[domains]]
        name = "example.com"
        media_security = "optional"
        route = "users"
        """
    )
    assert [trunk.media_security for trunk in config.trunks] == [MediaSecurity.REQUIRED, MediaSecurity.NONE]
    assert [number.media_security for number in config.numbers] == [MediaSecurity.OPTIONAL, None]
    assert [domain.media_security for domain in config.domains] == [MediaSecurity.OPTIONAL]


def test_the_engine_may_be_on_another_machine(loaded: Loader) -> None:
    text = """
        [media]
        external = true
        address = "tls://engine.example:7443"
        ca = "/etc/ca.pem"
        certificate = "/etc/serve.pem"
        private_key = "/etc/serve.key"
        dscp = 34
        max_mbit = 500
        max_sessions = 7
    """
    media = loaded.config(text).media
    files = (Path("/etc/ca.pem"), Path("/etc/serve.pem"), Path("/etc/serve.key"))
    assert media.address == TlsAddress("engine.example", 7443, *files)
    assert (media.dscp, media.max_mbit, media.max_sessions) == (34, 500, 7)
