"""Why an application could not be asked: one table from exception to catalogue code."""

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

INVALID_URL = 11100
HTTP_FAILURE = 11200
CONNECT_TIMEOUT = 11201
CONNECTION_REFUSED = 11202
TOTAL_TIMEOUT = 11203
CONNECTION_FAILURE = 11205
PROTOCOL_VIOLATION = 11206
UNKNOWN_HOST = 11210
TOO_MANY_REDIRECTS = 11215
INVALID_REDIRECT = 11216
HTTP_ERROR_STATUS = 11217
TLS_HANDSHAKE = 11220
CERTIFICATE_NAME = 11235
CERTIFICATE_EXPIRED = 11236
CERTIFICATE_UNTRUSTED = 11237
DOCUMENT_TOO_LARGE = 11750
DOCUMENT_EMPTY = 11770
CALLBACK_REFUSED = 15003


class FailureKind(StrEnum):
    """When a request failed, in the words of the retry policy (the `rp` override)."""

    CONNECT = "ct"  # before the request was sent, so that a retry cannot repeat anything
    READ = "rt"  # after it was sent: no answer, or only part of one
    FINAL = "final"  # a retry would give the same


class FetchError(Exception):
    """The application gave nothing usable. `code` is a catalogue code, `status` the HTTP status if there was one.

    `url` is the one that failed, without user info and fragment; `details` go into the alert. Report it, and go on as
    without an answer.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        *,
        url: str,
        method: str,
        kind: FailureKind = FailureKind.FINAL,
        status: int | None = None,
        attempts: int = 1,
        details: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code, reason, url)
        self.code = code
        self.reason = reason
        self.url = url
        self.method = method
        self.kind = kind
        self.status = status
        self.attempts = attempts
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Failure:
    """What one exception of the HTTP client means."""

    code: int
    kind: FailureKind
    reason: str


_BY_TYPE: tuple[tuple[type[BaseException], Failure], ...] = (
    (socket.gaierror, Failure(UNKNOWN_HOST, FailureKind.CONNECT, "The host name does not resolve")),
    (aiohttp.ClientConnectorDNSError, Failure(UNKNOWN_HOST, FailureKind.CONNECT, "The host name does not resolve")),
    (ssl.SSLError, Failure(TLS_HANDSHAKE, FailureKind.CONNECT, "The TLS handshake failed")),
    (aiohttp.ClientSSLError, Failure(TLS_HANDSHAKE, FailureKind.CONNECT, "The TLS handshake failed")),
    (ConnectionRefusedError, Failure(CONNECTION_REFUSED, FailureKind.CONNECT, "The connection was refused")),
    (aiohttp.ConnectionTimeoutError, Failure(CONNECT_TIMEOUT, FailureKind.CONNECT, "No connection in time")),
    (aiohttp.ServerTimeoutError, Failure(TOTAL_TIMEOUT, FailureKind.READ, "No answer in time")),
    (aiohttp.ClientConnectorError, Failure(CONNECTION_FAILURE, FailureKind.CONNECT, "The connection failed")),
    (aiohttp.ServerDisconnectedError, Failure(CONNECTION_FAILURE, FailureKind.READ, "The connection broke")),
    (aiohttp.ClientPayloadError, Failure(PROTOCOL_VIOLATION, FailureKind.READ, "The answer ended too early")),
    (aiohttp.ClientResponseError, Failure(PROTOCOL_VIOLATION, FailureKind.READ, "The answer is not HTTP")),
    (aiohttp.ClientOSError, Failure(CONNECTION_FAILURE, FailureKind.READ, "The connection broke")),
    (asyncio.TimeoutError, Failure(TOTAL_TIMEOUT, FailureKind.READ, "No answer in time")),
)
_OTHER = Failure(HTTP_FAILURE, FailureKind.FINAL, "The request failed")

# The happy-eyeballs connector folds the errors of several addresses into one plain OSError that keeps only the number.
_BY_ERRNO = {
    errno.ECONNREFUSED: Failure(CONNECTION_REFUSED, FailureKind.CONNECT, "The connection was refused"),
    errno.ETIMEDOUT: Failure(CONNECT_TIMEOUT, FailureKind.CONNECT, "No connection in time"),
}

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_BY_VERIFY_CODE = {
    10: Failure(CERTIFICATE_EXPIRED, FailureKind.CONNECT, "The certificate has expired"),
    18: Failure(CERTIFICATE_UNTRUSTED, FailureKind.CONNECT, "The certificate is self-signed"),
    19: Failure(CERTIFICATE_UNTRUSTED, FailureKind.CONNECT, "The certificate's root is not trusted"),
    20: Failure(CERTIFICATE_UNTRUSTED, FailureKind.CONNECT, "The certificate's issuer is not known"),
    21: Failure(CERTIFICATE_UNTRUSTED, FailureKind.CONNECT, "The certificate's chain is incomplete"),
    62: Failure(CERTIFICATE_NAME, FailureKind.CONNECT, "The certificate is for another host name"),
    64: Failure(CERTIFICATE_NAME, FailureKind.CONNECT, "The certificate is for another address"),
}


def classify(error: BaseException) -> Failure:
    """What an exception out of aiohttp means; the operating system's own error inside it speaks first."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    for candidate in (inner, error):
        found = _BY_VERIFY_CODE.get(getattr(candidate, "verify_code", 0))
        if found is not None:
            return found
    for candidate in (inner, error):
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(candidate, OSError):
            found = _BY_ERRNO.get(candidate.errno or 0)
            if found is not None:
                return found
        for kind, failure in _BY_TYPE:
            if isinstance(candidate, kind):
                return failure
    return _OTHER
