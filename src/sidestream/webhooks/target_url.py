"""The URL of an application as it is requested and signed."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from yarl import URL

URL_LIMIT = 8_000  # characters; RFC 9110 §4.1 recommends that every HTTP party can take this many
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_SAFE = "%/:?#[]@!$&'()*+,;=-._~"  # RFC 3986 §2.2 and §2.3, and the percent sign of what is encoded already


class InvalidUrl(ValueError):
    """Not an absolute http or https URL. `url` is the text as given, `reason` plain words."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"Not a usable URL: {self.reason}"


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """An absolute http or https URL in ASCII, without a fragment.

    `text` is what is signed: as configured, with user info if it was written, and with `/` for an absent path, since
    that is what the receiver sees.
    """

    text: str
    user_info: str | None
    bare: str  # `text` without user info

    @classmethod
    def parse(cls, url: str) -> "TargetUrl":
        """Raises InvalidUrl. Characters that a URL may not hold, such as spaces, are percent-encoded."""
        if len(url) > URL_LIMIT:
            raise InvalidUrl(url, f"longer than {URL_LIMIT} characters")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in url):
            raise InvalidUrl(url, "it holds a control character")
        try:
            parts = urlsplit(url.strip(" "))
            _ = parts.port  # checked only when it is read
        except ValueError as error:
            raise InvalidUrl(url, str(error)) from error
        if parts.scheme not in ("http", "https"):
            raise InvalidUrl(url, "it must begin with http:// or https://")
        user_info, at, authority = parts.netloc.rpartition("@")
        authority = _ascii_authority(url, authority)
        path = quote(parts.path or "/", safe=_SAFE)
        rest = authority + path + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
        user_info = quote(user_info, safe=_SAFE)
        return cls(
            text=f"{parts.scheme}://{user_info}{at}{rest}",
            user_info=user_info if at else None,
            bare=f"{parts.scheme}://{rest}",
        )

    def with_query(self, parameters: tuple[tuple[str, str], ...]) -> "TargetUrl":
        """The URL with `parameters` after its own query, as a GET carries them."""
        if not parameters:
            return self
        extra = ("&" if "?" in self.text else "?") + urlencode(parameters)
        return TargetUrl(self.text + extra, self.user_info, self.bare + extra)

    def join(self, reference: str) -> "TargetUrl":
        """The URL that `reference`, absolute or relative, means in a document or redirect of this one."""
        try:
            joined = urljoin(self.text, reference)
        except ValueError as error:
            raise InvalidUrl(reference, str(error)) from error
        return TargetUrl.parse(joined.partition("#")[0])

    @property
    def request(self) -> URL:
        """For the HTTP client, which must send it as it stands."""
        return URL(self.bare, encoded=True)

    @property
    def authorization(self) -> str | None:
        """The value of an Authorization header made of the user info (RFC 7617), None without one."""
        if self.user_info is None:
            return None
        return "Basic " + base64.b64encode(unquote(self.user_info).encode()).decode("ascii")

    @property
    def loggable(self) -> str:
        """Without user info and query, either of which may hold secrets."""
        return self.bare.partition("?")[0]


def resolve(base: str, reference: str) -> str:
    """`reference` of a document fetched from `base` as an absolute URL, its fragment of overrides kept.

    Raises InvalidUrl.
    """
    address, hash_sign, fragment = reference.partition("#")
    return TargetUrl.parse(base).join(address).text + hash_sign + fragment


def _ascii_authority(url: str, authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        host, colon, port = authority, "", ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidUrl(url, "its host name cannot be encoded") from error
    if not _HOST.fullmatch(host):
        raise InvalidUrl(url, "its host name is missing or malformed")
    return host + colon + port
