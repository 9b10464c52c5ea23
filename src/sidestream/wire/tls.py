"""TLS contexts for both roles, made anew when their files change (RFC 3261 §26.3.1, RFC 5922)."""

import os
import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sidestream.base.clock import Clock
from sidestream.base.logs import get_logger

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
class TlsSettings:
    """PEM files. `certificate` (with its chain) and `key` are shown to clients, and to servers that ask for one.

    `ca` is what peers' certificates are judged by, None: the system's authorities. Outgoing connections work without a
    certificate of our own.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    client_auth: ClientAuth = ClientAuth.NONE

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.certificate, self.key, self.ca) if path is not None)


class TlsError(Exception):
    """Files of which no context can be made. `part` is `certificate` or `ca`; `reason` is for people."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(part, reason)
        self.part = part
        self.reason = reason

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
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if settings.certificate is not None else None
    for context in (client, server):
        if context is None:
            continue
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        _load_authorities(context, settings.ca)
        if settings.certificate is not None:
            _load_certificate(context, settings.certificate, settings.key)
    if server is not None:
        server.verify_mode = _VERIFY_MODES[settings.client_auth]
    return server, client


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
