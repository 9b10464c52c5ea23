"""Contexts from files, and from files that change."""

import os
import ssl
from pathlib import Path

import pytest

from sidestream.testing.certificates import Authority
from sidestream.testing.virtual_clock import VirtualClock
from sidestream.wire.tls import RELOAD_CHECK_S, ClientAuth, TlsContexts, TlsError, TlsSettings, make_contexts, reason_of


def test_both_roles(authority: Authority, server_files: tuple[Path, Path]) -> None:
    server, client = make_contexts(TlsSettings(*server_files, authority.path, ClientAuth.REQUIRED))
    assert server is not None
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    assert server.verify_mode is ssl.CERT_REQUIRED
    assert client.verify_mode is ssl.CERT_REQUIRED
    assert not client.check_hostname


def test_without_a_certificate_there_is_only_the_clients_role() -> None:
    server, client = make_contexts(TlsSettings())
    assert server is None
    assert client.get_ca_certs() is not None


@pytest.mark.parametrize(
    ("auth", "mode"),
    [(ClientAuth.NONE, ssl.CERT_NONE), (ClientAuth.OPTIONAL, ssl.CERT_OPTIONAL)],
)
def test_what_clients_are_asked_for(server_files: tuple[Path, Path], auth: ClientAuth, mode: ssl.VerifyMode) -> None:
    server, _ = make_contexts(TlsSettings(*server_files, client_auth=auth))
    assert server is not None
    assert server.verify_mode is mode


def test_files_that_cannot_be_used_are_named(
    authority: Authority, server_files: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, key = server_files
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no PEM")
    locked = authority.issue("locked", names=("a.example",), pass_phrase=b"x")
    other_key = authority.issue("other", names=("b.example",))[1]
    for settings, text in (
        (TlsSettings(tmp_path / "no.pem", key), "no.pem with key .*No such file"),
        (TlsSettings(certificate, other_key), "key values mismatch"),
        (TlsSettings(garbage, key), "garbage.pem"),
        (TlsSettings(*locked), "the key has a pass phrase"),
        (TlsSettings(certificate, key, tmp_path / "no-ca.pem"), "authorities .*no-ca.pem: No such file"),
        (TlsSettings(certificate, key, garbage), "authorities .*garbage.pem"),
    ):
        with pytest.raises(TlsError, match=text):
            make_contexts(settings)


def test_new_files_serve_new_connections(authority: Authority, tmp_path: Path) -> None:
    clock = VirtualClock()
    first = authority.issue("first", names=("a.example",))
    files = tmp_path / "used.pem", tmp_path / "used.key"

    def install(source: tuple[Path, Path], stamp: int) -> None:
        for path, used in zip(source, files, strict=True):
            used.write_bytes(path.read_bytes())
            os.utime(used, (stamp, stamp))

    install(first, 1)
    contexts = TlsContexts(TlsSettings(*files), clock)
    server, client = contexts.server(), contexts.client()
    clock.advance(RELOAD_CHECK_S)
    assert (contexts.server(), contexts.client()) == (server, client)
    install(authority.issue("second", names=("b.example",)), 2)
    assert contexts.server() is server  # looked at lately
    clock.advance(RELOAD_CHECK_S)
    renewed = contexts.server()
    assert renewed is not server
    assert contexts.client() is not client
    files[0].write_text("half")
    clock.advance(RELOAD_CHECK_S)
    assert contexts.server() is renewed
    files[1].unlink()
    clock.advance(RELOAD_CHECK_S)
    assert contexts.server() is renewed


def test_reasons_for_people() -> None:
    untrusted = ssl.SSLCertVerificationError(1, "x")
    untrusted.verify_message = "self-signed certificate"
    assert reason_of(untrusted) == "TLS: the peer's certificate is not trusted: self-signed certificate"
    alert = ssl.SSLError(1, "x")
    alert.reason = "TLSV1_ALERT_UNKNOWN_CA"
    assert reason_of(alert) == "TLS: tlsv1 alert unknown ca"
    assert reason_of(ConnectionResetError(104, "Connection reset by peer")) == "[Errno 104] Connection reset by peer"
    assert reason_of(TimeoutError()) == "TimeoutError"
