"""Contexts from files, and from files that change."""

import os
import ssl
from contextlib import suppress
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import pytest

from sidestream.testing.certificates import Authority
from sidestream.testing.virtual_clock import VirtualClock
from sidestream.wire.tls import (
    RELOAD_CHECK_S,
    CertificateFiles,
    ClientAuth,
    TlsContexts,
    TlsError,
    TlsSettings,
    make_contexts,
    reason_of,
)

USUAL = "test"  # whom the usual certificate was issued to


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


class TestNames:
    """Which certificate a client sees that asks for a name."""

    def shown(self, settings: TlsSettings, asked: str | None, client: TlsSettings | None = None) -> str:
        """The subject of the certificate that a client gets which asks for `asked`. Raises what TLS fails with."""
        server, _ = make_contexts(settings)
        _, context = make_contexts(client or settings)
        assert server is not None
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = context.wrap_bio(to_client, to_server, server_hostname=asked)
        called = server.wrap_bio(to_server, to_client, server_side=True)
        for end in (caller, called, caller, called):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
        certificate = caller.getpeercert()
        assert certificate is not None
        return str(dict(field[0] for field in certificate["subject"])["commonName"])

    @pytest.fixture
    def settings(self, authority: Authority, server_files: tuple[Path, Path]) -> TlsSettings:
        named = [
            authority.issue("one", names=("one.example", "www.one.example"), common_name="one"),
            authority.issue("two", uris=("sip:two.example",), names=("host.two.example",), common_name="two"),
            authority.issue("star", names=("*.star.example",), common_name="star"),
            authority.issue("bare", common_name="bare.example"),
        ]
        return TlsSettings(*server_files, authority.path, named=tuple(starmap(CertificateFiles, named)))

    @pytest.mark.parametrize(
        ("asked", "seen"),
        [
            ("www.one.example", "one"),
            ("ONE.example", "one"),
            ("two.example", "two"),
            ("host.two.example", "two"),
            ("a.star.example", "star"),
            ("a.b.star.example", USUAL),
            ("star.example", USUAL),
            ("bare.example", "bare.example"),
            ("sip.test", USUAL),
            ("nobody.example", USUAL),
            (None, USUAL),
        ],
    )
    def test_it_is_the_one_for_that_name_or_the_usual_one(
        self, settings: TlsSettings, asked: str | None, seen: str
    ) -> None:
        assert self.shown(settings, asked) == seen

    def test_clients_are_asked_for_theirs_under_every_name(self, settings: TlsSettings) -> None:
        strict, anonymous = replace(settings, client_auth=ClientAuth.REQUIRED), TlsSettings(ca=settings.ca)
        assert self.shown(strict, "one.example") == "one"
        with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
            self.shown(strict, "one.example", anonymous)

    def test_what_nobody_could_ask_for_is_refused(
        self, authority: Authority, server_files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        one, other = (authority.issue(stem, names=("same.example",)) for stem in ("same", "same-too"))
        nameless = authority.issue("nameless", addresses=("192.0.2.1",))
        for named, place, text in (
            ((one, other), 1, "same.pem and .*same-too.pem are both for same.example"),
            ((one, nameless), 1, "nameless.pem names no host"),
            (((tmp_path / "no.pem", None),), 0, "no.pem with key .*No such file"),
        ):
            with pytest.raises(TlsError, match=text) as caught:
                make_contexts(TlsSettings(*server_files, named=tuple(starmap(CertificateFiles, named))))
            assert (caught.value.part, caught.value.place) == ("certificate", place)

    def test_a_renewed_one_is_seen(self, authority: Authority, server_files: tuple[Path, Path], tmp_path: Path) -> None:
        used = tmp_path / "used.pem", tmp_path / "used.key"
        for path, copy in zip(authority.issue("early", names=("early.example",)), used, strict=True):
            copy.write_bytes(path.read_bytes())
            os.utime(copy, (1, 1))
        clock = VirtualClock()
        contexts = TlsContexts(TlsSettings(*server_files, named=(CertificateFiles(*used),)), clock)
        before = contexts.server()
        for path, copy in zip(authority.issue("late", names=("early.example",)), used, strict=True):
            copy.write_bytes(path.read_bytes())
        clock.advance(RELOAD_CHECK_S)
        assert contexts.server() is not before
