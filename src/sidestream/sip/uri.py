"""URIs: sip, sips and tel in parts, any other scheme as opaque text (RFC 3261 §19.1, RFC 3966)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

from sidestream.sip import grammar
from sidestream.sip.errors import LocalError, malformed
from sidestream.sip.grammar import Params

DEFAULT_PORT = 5060
DEFAULT_TLS_PORT = 5061
MAX_PORT = 65535

# RFC 3261 §25.1: unreserved and user-unreserved; `#` is added because phones send star codes unescaped.
_USER = r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%#]++"
_PASSWORD = r"[A-Za-z0-9\-_.!~*'()&=+$,%]*+"
_URI_PARAMS = r"(?:;[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]++(?:=[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]++)?+)*+"
_URI_HEADERS = r"\?[A-Za-z0-9\-_.!~*'()\[\]/?:+$%=&]++"
_SIP = re.compile(
    rf"([sS][iI][pP][sS]?+):(?:({_USER})(?::({_PASSWORD}))?+@)?+({grammar.HOST})(?::([0-9]{{1,5}}+))?+"
    rf"({_URI_PARAMS})({_URI_HEADERS})?+"
)
_TEL = re.compile(rf"[tT][eE][lL]:([0-9A-Fa-f+\-.()*#]++)({_URI_PARAMS})")
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*+):([!#-;=?-_a-z|~]++)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")
# RFC 3261 §25.1 `reserved`: an escape of one of these is not the same as the character itself.
_RESERVED = frozenset(";/?:@&=+$,")
# RFC 3261 §19.1.4: these count even if only one of the two URIs has them.
_NEVER_IGNORED = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI, each part as written on the wire (escapes kept, IPv6 in brackets).

    sip and sips use every field but `opaque`; tel uses `user` (the number) and `params`; another scheme keeps the text
    behind its colon in `opaque`. Build one from plain text with `Uri.sip`, which escapes; compare with `equivalent`,
    for `==` compares the spelling.
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    opaque: str = ""

    @staticmethod
    def parse(text: str) -> "Uri":
        """Read a URI without surrounding blanks or brackets. Raises MessageError 400."""
        match = _SIP.fullmatch(text)
        if match is None:
            return _parse_other(text)
        if "%" in text and _BAD_ESCAPE.search(text):
            raise malformed("URI")
        scheme, user, password, host, digits, params, headers = match.groups()
        port = int(digits) if digits else None
        if port is not None and port > MAX_PORT:
            raise malformed("URI")
        return Uri(
            scheme.lower(),
            user,
            password,
            host,
            port,
            _split_params(params) if params else (),
            _split_headers(headers) if headers else (),
        )

    @staticmethod
    def sip(
        user: str | None,
        host: str,
        port: int | None = None,
        params: Iterable[tuple[str, str | None]] = (),
        *,
        secure: bool = False,
    ) -> "Uri":
        """A sip (or sips) URI from plain text: user and parameters get escaped, a bare IPv6 address its brackets."""
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        if not re.fullmatch(grammar.HOST, host):
            raise LocalError(f"not a host: {host!r}")
        return Uri(
            "sips" if secure else "sip",
            percent_encode(user, safe=_USER_SAFE) if user else None,
            None,
            host,
            port,
            _escaped_params(params),
        )

    def __str__(self) -> str:
        if self.host:
            user = (
                ""
                if self.user is None
                else f"{self.user}@"
                if self.password is None
                else f"{self.user}:{self.password}@"
            )
            port = "" if self.port is None else f":{self.port}"
            params = grammar.format_params(self.params) if self.params else ""
            headers = "?" + "&".join([f"{name}={value}" for name, value in self.headers]) if self.headers else ""
            return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"
        if self.opaque:
            return f"{self.scheme}:{self.opaque}" if self.scheme else self.opaque
        return f"{self.scheme}:{self.user or ''}{grammar.format_params(self.params)}"

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is sip or sips."""
        return self.scheme in ("sip", "sips")

    @property
    def username(self) -> str | None:
        """The user part with its escapes resolved: what a person or a number table calls it."""
        return percent_decode(self.user) if self.user is not None else None

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 literal: what a resolver or socket takes."""
        return self.host.strip("[]")

    def param(self, name: str) -> str | None:
        """The unescaped value of the URI parameter `name` (lower case); "" without a value, None when absent."""
        value = grammar.find_param(self.params, name)
        return percent_decode(value) if value else value

    def with_params(self, *params: tuple[str, str | None]) -> "Uri":
        """This URI with the given parameters (plain text) set, others kept."""
        result = self.params
        for name, value in _escaped_params(params):
            result = grammar.replace_param(result, name, value)
        return replace(self, params=result)

    def without_param(self, name: str) -> "Uri":
        """This URI without the parameter `name` (lower case)."""
        return replace(self, params=grammar.without_param(self.params, name))

    def as_target(self) -> "Uri":
        """This URI as a Request-URI: without what may not stand there (RFC 3261 §19.1.1): headers, `method`."""
        if not self.headers and not self.params:
            return self
        return replace(self, headers=(), params=grammar.without_param(self.params, "method"))

    def equivalent(self, other: "Uri") -> bool:
        """Whether both name the same resource by RFC 3261 §19.1.4 (or RFC 3966 §4 for tel)."""
        if self.scheme != other.scheme:
            return False
        if self.scheme == "tel":
            return _tel_key(self) == _tel_key(other)
        if not self.is_sip:
            return self.opaque == other.opaque
        return (
            _normal(self.user) == _normal(other.user)
            and _normal(self.password) == _normal(other.password)
            and self.host.lower() == other.host.lower()
            and self.port == other.port
            and _params_agree(self.params, other.params)
            and _header_key(self) == _header_key(other)
        )


def _parse_other(text: str) -> Uri:
    match = _TEL.fullmatch(text)
    if match is not None:
        return Uri("tel", user=match[1], params=_split_params(match[2]))
    match = _OTHER.fullmatch(text)
    if match is None or match[1].lower() in ("sip", "sips", "tel"):
        raise malformed("URI")
    return Uri(match[1].lower(), opaque=match[2])


def _split_params(text: str) -> Params:
    params = []
    for piece in text.split(";")[1:]:
        name, equals, value = piece.partition("=")
        params.append((name, value if equals else None))
    return tuple(params)


def _split_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers = []
    for piece in text[1:].split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals:
            raise malformed("URI")
        headers.append((name, value))
    return tuple(headers)


def _escaped_params(params: Iterable[tuple[str, str | None]]) -> Params:
    return tuple(
        (
            percent_encode(name, safe=_PARAM_SAFE),
            percent_encode(value, safe=_PARAM_SAFE) if value is not None else None,
        )
        for name, value in params
    )


def _normal(text: str | None) -> str | None:
    """`text` with the escapes resolved that make no difference, the others in upper case."""
    if text is None or "%" not in text:
        return text
    return _ESCAPE.sub(_normal_escape, text)


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    plain = character.isascii() and character.isprintable() and character not in _RESERVED and character != "%"
    return character if plain else match[0].upper()


def _folded(text: str | None) -> str | None:
    normal = _normal(text)
    return normal.lower() if normal is not None else None


def _params_agree(ours: Params, theirs: Params) -> bool:
    mine = {_folded(name): _folded(value) for name, value in ours}
    others = {_folded(name): _folded(value) for name, value in theirs}
    if any(mine[name] != others[name] for name in mine.keys() & others.keys()):
        return False
    return all((name in mine) == (name in others) for name in _NEVER_IGNORED)


def _header_key(uri: Uri) -> list[tuple[str | None, str | None]]:
    return sorted((_folded(name) or "", _normal(value) or "") for name, value in uri.headers)


def _tel_key(uri: Uri) -> tuple[object, ...]:
    number = (uri.user or "").translate(_VISUAL_SEPARATORS).lower()
    return number, frozenset((_folded(name), _folded(value)) for name, value in uri.params)
