"""Listeners, TLS and DNS."""

from pathlib import Path

import pytest

from sidestream.app.config import Config, ConfigError, ListenerConfig, load
from sidestream.sip.session_timer import Refresher, SessionTimerPolicy
from sidestream.testing.certificates import Authority
from sidestream.wire.tls import CertificateFiles, ClientAuth, TlsSettings

TLS_LISTENER = '[[listeners]]\ntransport = "tls"\n'


class Loader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def config(self, text: str) -> Config:
        self._path.write_text(text)
        return load(self._path, {})

    def problems(self, text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.config(text)
        return [f"{p.line} {p.key}: {p.message}" for p in caught.value.problems]


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "c.toml")


def tls(**keys: object) -> str:
    return "[tls]\n" + "".join(f'{name} = "{value}"\n' for name, value in keys.items())


def named(certificate: Path, key: Path) -> str:
    return f'[[certificates]]\ncertificate = "{certificate}"\nkey = "{key}"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[[listeners]]\ntransport = "udp"\nhost = "0.0.0.0"',
            "1 listeners[0].advertised: is needed, since peers cannot be told 0.0.0.0",
        ),
        (
            '[[listeners]]\nname = "a"\ntransport = "udp"\n[[listeners]]\nname = "b"\ntransport = "udp"',
            "4 listeners[1].port: two listeners share udp 127.0.0.1:5060",
        ),
        (
            '[[listeners]]\ntransport = "udp"\n[[listeners]]\ntransport = "udp"\nhost = "127.0.0.2"',
            "3 listeners[1].name: two listeners have the name 'udp-5060'",
        ),
        (
            '[[listeners]]\ntransport = "wss"',
            "None tls.certificate: is needed by the listener with transport wss",
        ),
        (
            '[[listeners]]\ntransport = "tcp"\norigins = ["https://phone.example.com"]',
            "3 listeners[0].origins: are for ws and wss, not for tcp",
        ),
        (TLS_LISTENER, "None tls.certificate: is needed by the listener with transport tls"),
        ('[[trunks]]\nname = "t"\noutbound = "sips:a"', "3 trunks[0].outbound: needs a listener with transport tls"),
        (
            '[[trunks]]\nname = "t"\noutbound = "sip:a;transport=TLS"',
            "3 trunks[0].outbound: needs a listener with transport tls",
        ),
        (
            '[[connectors]]\nname = "c"\nsrs = ["sip:a@b", "sip:a@b;transport=tls"]',
            "1 connectors: 'c' needs a listener with transport tls",
        ),
        (
            '[dns]\nservers = ["dns.example"]',
            "2 dns.servers: 'dns.example' is not an IP address, with or without a port",
        ),
        (
            '[dns]\nservers = ["1.2.3.4:0"]',
            "2 dns.servers: '1.2.3.4:0' is not an IP address, with or without a port",
        ),
    ],
)
def test_problems(loaded: Loader, text: str, problem: str) -> None:
    assert loaded.problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_dns_servers(loaded: Loader, text: str, server: tuple[str, int]) -> None:
    assert loaded.config(f'[dns]\nservers = "{text}"').dns.servers == (server,)


@pytest.mark.parametrize("text", ["[::1", "[::1]5", "1.2.3.4:", "1.2.3.4:99999", "1.2.3.4:x", "[x]:5"])
def test_what_is_no_dns_server(loaded: Loader, text: str) -> None:
    if text == "1.2.3.4:":
        assert loaded.config(f'[dns]\nservers = "{text}"').dns.servers == (("1.2.3.4", 53),)
    else:
        assert loaded.problems(f'[dns]\nservers = "{text}"')[0].startswith("2 dns.servers: ")


def test_listeners_of_all_kinds(loaded: Loader, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("sip", names=("sip.example",))
    config = loaded.config(
        tls(certificate=certificate, key=key)
        + TLS_LISTENER
        + '[[listeners]]\ntransport = "udp"\nhost = "::1"\nnat = true\n'
        + '[[trunks]]\nname = "t"\noutbound = "sips:a"\n'
        + '[[connectors]]\nname = "c"\nsrs = "sips:a@b"\n'
    )
    assert config.listeners == (
        ListenerConfig("tls-5061", "tls", "127.0.0.1", 5061),
        ListenerConfig("udp-5060", "udp", "::1", 5060, nat=True),
    )
    assert config.tls.files == (certificate, key)
    assert config.tls.client_auth is ClientAuth.NONE


def test_the_files_are_tried(loaded: Loader, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("sip", names=("sip.example",))
    text = tls(certificate=certificate, key=key, ca=authority.path, client_auth="required")
    assert loaded.config(text).tls.client_auth is ClientAuth.REQUIRED
    (problem,) = loaded.problems(tls(certificate=tmp_path / "no.pem"))
    assert problem.startswith("2 tls.certificate: certificate ")
    (problem,) = loaded.problems(tls(certificate=certificate, key=key, ca=tmp_path / "no.pem"))
    assert problem.startswith("4 tls.ca: authorities ")
    assert loaded.problems(tls(key=key)) == ["2 tls.key: belongs to a certificate"]
    assert loaded.problems(tls(certificate=certificate, key=key, client_auth="optional")) == [
        "1 tls.ca: is needed to judge the certificates of clients"
    ]


class TestCertificatesByName:
    def test_they_are_beside_the_usual_one(self, loaded: Loader, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        usual, other = (authority.issue(stem, names=(f"{stem}.example",)) for stem in ("usual", "other"))
        text = tls(certificate=usual[0], key=usual[1]) + named(*other)
        assert loaded.config(text).tls.named == (CertificateFiles(*other),)

    def test_without_a_usual_one(self, loaded: Loader, tmp_path: Path) -> None:
        other = Authority(tmp_path).issue("other", names=("other.example",))
        assert loaded.problems(named(*other)) == [
            "None tls.certificate: is needed for clients that ask for no name of [[certificates]]"
        ]

    def test_each_is_tried(self, loaded: Loader, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        usual, other = (authority.issue(stem, names=(f"{stem}.example",)) for stem in ("usual", "other"))
        text = tls(certificate=usual[0], key=usual[1]) + named(*other) + named(*other)
        (problem,) = loaded.problems(text)
        assert problem.startswith("8 certificates[1].certificate: ")
        assert problem.endswith("are both for other.example")


class TestSessionTimer:
    def test_what_is_said_is_asked_for(self, loaded: Loader) -> None:
        text = '[session_timer]\ninterval = 600\nmin_interval = 120\nrefresher = "peer"\n'
        assert loaded.config(text).session_timer == SessionTimerPolicy(600, 120, Refresher.PEER)

    def test_it_can_be_left_out(self, loaded: Loader) -> None:
        assert loaded.config("[session_timer]\nenabled = false\n").session_timer is None
        assert loaded.config("").session_timer == SessionTimerPolicy()

    def test_no_peer_can_be_asked_for_what_we_refuse(self, loaded: Loader) -> None:
        assert loaded.problems("[session_timer]\ninterval = 100\nmin_interval = 120\n") == [
            "3 session_timer.min_interval: must not be above interval"
        ]


class TestSrs:
    def test_it_takes_tls_with_its_own_certificate_or_the_one_of_sip(self, loaded: Loader, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        mine, theirs = authority.issue("srs"), authority.issue("sip")
        own = f'[srs]\ntls_port = 5071\ncertificate = "{mine[0]}"\nkey = "{mine[1]}"\n'
        config = loaded.config(own)
        assert (config.srs.tls_port, config.srs.tls) == (5071, TlsSettings(*mine))
        config = loaded.config("[srs]\ntls_port = 5071\n" + tls(certificate=theirs[0], key=theirs[1]))
        assert config.srs.tls == TlsSettings(*theirs)
        assert loaded.config("").srs.tls_port is None

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("tls_port = 5071", "1 srs.certificate: is needed for tls_port, here or in [tls]"),
            ('key = "x"', "2 srs.key: belongs to a certificate"),
        ],
    )
    def test_what_is_missing_is_said(self, loaded: Loader, text: str, problem: str) -> None:
        assert problem in loaded.problems(f"[srs]\n{text}\n")

    def test_a_certificate_is_for_a_port_of_its_own_and_can_be_read(self, loaded: Loader, tmp_path: Path) -> None:
        certificate, key = Authority(tmp_path).issue("srs")
        files = f'certificate = "{certificate}"\nkey = "{key}"\n'
        assert "tls_port: is missing" in loaded.problems(f"[srs]\n{files}")[0]
        assert "tls_port: must not be" in loaded.problems(f"[srs]\ntls_port = 5070\n{files}")[0]
        assert "certificate" in loaded.problems('[srs]\ntls_port = 5071\ncertificate = "nowhere.pem"\n')[0]


def test_the_engine_can_be_told_not_to_wait(loaded: Loader) -> None:
    assert loaded.config("").media.pacing is True
    assert loaded.config("[media]\npacing = false\n").media.pacing is False


def test_websocket_has_ports_of_its_own_and_says_whose_pages_may_connect(loaded: Loader) -> None:
    listener = '[[listeners]]\ntransport = "ws"\norigins = ["https://phone.example.com"]'
    assert loaded.config(listener).listeners == (
        ListenerConfig("ws-80", "ws", "127.0.0.1", 80, origins=("https://phone.example.com",)),
    )
