import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from sidestream.debugger.catalog import entry
from sidestream.webhooks import failures
from sidestream.webhooks.failures import FailureKind, FetchError, classify

KEY = ConnectionKey("app.example", 80, False, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (aiohttp.ConnectionTimeoutError(), 11201, FailureKind.CONNECT),
        (aiohttp.SocketTimeoutError(), 11203, FailureKind.READ),
        (TimeoutError(), 11203, FailureKind.READ),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "x")), 11202, FailureKind.CONNECT),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ETIMEDOUT, "x")), 11201, FailureKind.CONNECT),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EHOSTUNREACH, "x")), 11205, FailureKind.CONNECT),
        (aiohttp.ClientConnectorError(KEY, OSError("Multiple exceptions")), 11205, FailureKind.CONNECT),
        (aiohttp.ClientConnectorDNSError(KEY, OSError("x")), 11210, FailureKind.CONNECT),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError("x")), 11220, FailureKind.CONNECT),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("x")), 11220, FailureKind.CONNECT),
        (aiohttp.ServerDisconnectedError(), 11205, FailureKind.READ),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), 11205, FailureKind.READ),
        (aiohttp.ClientPayloadError(), 11206, FailureKind.READ),
        (aiohttp.ClientError(), 11200, FailureKind.FINAL),
    ],
)
def test_every_exception_has_its_code(error: BaseException, code: int, kind: FailureKind) -> None:
    found = classify(error)
    assert (found.code, found.kind) == (code, kind)


def test_every_code_is_in_the_catalogue() -> None:
    codes = [value for name, value in vars(failures).items() if name.isupper() and isinstance(value, int)]
    assert len(codes) == 18
    for code in codes:
        assert entry(code).code == code


def test_the_error_says_what_and_why() -> None:
    error = FetchError(11202, "The connection was refused", url="http://app.example/", method="POST")
    assert str(error) == "11202: The connection was refused"
    assert error.details == {}
