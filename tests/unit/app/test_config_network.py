"""Listeners, TLS and DNS."""

from pathlib import Path

import pytest

from sidestream.app.config import Config, ConfigError, ListenerConfig, load
from sidestream.testing.certificates import Authority
from sidestream.wire.tls import ClientAuth

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
