"""X-Twilio-Signature: how an application knows that a request came from its own platform."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

SIGNATURE_HEADER = "X-Twilio-Signature"
BODY_HASH_PARAMETER = "bodySHA256"


def sign(url: str, parameters: Iterable[tuple[str, str]], auth_token: str) -> str:
    """The signature of a form POST of `parameters` to `url`, or of a GET when there are none.

    `url` is the one requested, character by character: scheme, user info, host, port if written, path and query, but no
    fragment. The parameters of a GET are in its query already and must not be given again.
    """
    values: dict[str, set[str]] = {}
    for name, value in parameters:
        values.setdefault(name, set()).add(value)
    # Python compares text by code point, which is the order that the receiving libraries sort by. Equal values of one
    # name count once.
    form = "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return _digest(url + form, auth_token)


def sign_body(url: str, body: bytes, auth_token: str) -> tuple[str, str]:
    """For a body that is not a form: the URL to request, which gains the body's hash, and the signature of that URL."""
    separator = "&" if "?" in url else "?"
    hashed = f"{url}{separator}{BODY_HASH_PARAMETER}={hashlib.sha256(body).hexdigest()}"
    return hashed, _digest(hashed, auth_token)


def _digest(text: str, auth_token: str) -> str:
    mac = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode("ascii")
