"""TLS contexts for both roles, made anew when their files change (RFC 3261 §26.3.1, RFC 5922)."""

import os
import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from sidestream.base.clock import Clock
from sidestream.base.logs import get_logger
from sidestream.wire import identity

RELOAD_CHECK_S = 1.0  # how long a renewed certificate may go unnoticed by new connections

log = get_logger("wire")


class ClientAuth(StrEnum):
    """Whether clients show a certificate of their own."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


_VERIFY_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of a certificate (with its chain) and of its key, None: in the same file."""

    certificate: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files. `certificate` (with its chain) and `key` are shown to clients, and to servers that ask for one.

    `ca` is what peers' certificates are judged by, None: the system's authorities. Outgoing connections work without a
    certificate of our own. `named`: certificates that are shown to clients which ask for a name in them (RFC 6066 §3).
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    client_auth: ClientAuth = ClientAuth.NONE
    named: tuple[CertificateFiles, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        named = (path for files in self.named for path in (files.certificate, files.key))
        return tuple(path for path in (self.certificate, self.key, self.ca, *named) if path is not None)


class TlsError(Exception):
    """Files of which no context can be made.

    `part` is `certificate` or `ca`; `reason` is for people; `place` is the index in `named`, None: it is none of those.
    """

    def __init__(self, part: str, reason: str, place: int | None = None) -> None:
        super().__init__(part, reason, place)
        self.part = part
        self.reason = reason
        self.place = place

    def __str__(self) -> str:
        return self.reason


class TlsContexts:
    """The contexts for new connections. Those that stand keep what they began with."""

    def __init__(self, settings: TlsSettings, clock: Clock) -> None:
        """Raises TlsError."""
        self._settings = settings
        self._clock = clock
        self._stamps = _stamps(settings)
        self._checked_at = clock.monotonic()
        self._server, self._client = make_contexts(settings)

    def server(self) -> ssl.SSLContext | None:
        """For connections that come in; None without a certificate."""
        self._refresh()
        return self._server

    def client(self) -> ssl.SSLContext:
        """For connections that go out. It verifies the chain; the name is for `identity.is_for` to judge."""
        self._refresh()
        return self._client

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now < self._checked_at + RELOAD_CHECK_S:
            return
        self._checked_at = now
        stamps = _stamps(self._settings)
        if stamps == self._stamps:
            return
        try:
            self._server, self._client = make_contexts(self._settings)
        except TlsError as error:
            # Half-written files are tried again; until they are whole the old certificate serves.
            log.warning("! TLS files cannot be used, the old ones stay", reason=str(error))
            return
        self._stamps = stamps
        log.info("= TLS files read again")


def make_contexts(settings: TlsSettings) -> tuple[ssl.SSLContext | None, ssl.SSLContext]:
    """Contexts for the server's and the client's role. Raises TlsError."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # RFC 5922 §7.1 knows SIP URIs in certificates, which OpenSSL's own check does not.
    client.check_hostname = False
    _prepare(client, settings)
    if settings.certificate is None:
        return None, client
    _load_certificate(client, settings.certificate, settings.key)
    server = _server_context(settings, CertificateFiles(settings.certificate, settings.key))
    by_name = _contexts_by_name(settings)
    if by_name:
        server.sni_callback = _Chooser(by_name)
    return server, client


def _prepare(context: ssl.SSLContext, settings: TlsSettings) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_authorities(context, settings.ca)


def _server_context(settings: TlsSettings, shown: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _prepare(context, settings)
    _load_certificate(context, shown.certificate, shown.key)
    context.verify_mode = _VERIFY_MODES[settings.client_auth]
    return context


def _contexts_by_name(settings: TlsSettings) -> dict[str, ssl.SSLContext]:
    found: dict[str, tuple[Path, ssl.SSLContext]] = {}
    for place, files in enumerate(settings.named):
        try:
            context = _server_context(settings, files)
        except TlsError as error:
            raise error if error.part == "ca" else TlsError(error.part, error.reason, place) from error
        names = identity.hosts(_read_names(files.certificate))
        if not names:
            raise TlsError("certificate", f"certificate {files.certificate} names no host", place)
        for name in names:
            if name in found:
                raise TlsError("certificate", f"{found[name][0]} and {files.certificate} are both for {name}", place)
            found[name] = files.certificate, context
    return {name: context for name, (_, context) in found.items()}


class _Chooser:
    """Has a client see the certificate for the name that it asks for (RFC 6066 §3), if there is one."""

    def __init__(self, by_name: dict[str, ssl.SSLContext]) -> None:
        self._by_name = by_name

    def __call__(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        wanted = (name or "").lower()
        # Browsers, unlike RFC 5922 §7.2, take a star for one label.
        wildcard = "*." + wanted.partition(".")[2]
        context = self._by_name.get(wanted) or self._by_name.get(wildcard)
        if context is not None:
            connection.context = context


def _read_names(certificate: Path) -> identity.Certificate:
    """Of a file that OpenSSL has taken, in the form of `ssl.SSLObject.getpeercert`."""
    first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = first.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return {"subject": tuple((("commonName", str(name.value)),) for name in common)}
    domains = names.get_values_for_type(x509.DNSName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return {"subjectAltName": (*(("DNS", name) for name in domains), *(("URI", uri) for uri in uris))}


def reason_of(error: BaseException) -> str:
    """Why a TLS connection failed, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the peer's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return str(error) or type(error).__name__


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        # A key with a pass phrase would make OpenSSL ask on the terminal.
        context.load_cert_chain(certificate, key, password=_refuse_pass_phrase)
    except (OSError, ValueError) as error:
        files = f"{certificate} with key {key or certificate}"
        raise TlsError("certificate", f"certificate {files}: {_text(error)}") from error


def _load_authorities(context: ssl.SSLContext, ca: Path | None) -> None:
    if ca is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise TlsError("ca", f"authorities {ca}: {_text(error)}") from error


def _refuse_pass_phrase() -> str:
    raise ValueError("the key has a pass phrase")


def _text(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _stamps(settings: TlsSettings) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_stamp(path) for path in settings.files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
