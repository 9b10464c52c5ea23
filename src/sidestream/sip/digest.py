"""Digest authentication, both sides (RFC 3261 §22, RFC 7616, RFC 8760; RFC 2069 peers without qop are understood).

Pure: secrets, client nonces and the time are arguments.
"""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from sidestream.sip import grammar
from sidestream.sip.errors import MessageError, malformed
from sidestream.sip.message import Response

# Weakest first. RFC 8760 §2.1 names these three for SIP.
ALGORITHMS = ("MD5", "SHA-256", "SHA-512-256")
_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}

# How long a nonce is good for: a call's BYE may re-use the nonce of its INVITE, a stolen one expires.
NONCE_LIFETIME = 300.0
# Nonces whose counts are remembered at once; beyond, the oldest is forgotten and its owner challenged anew.
MAX_LIVE_NONCES = 10_000
# RFC 7616 §3.4: nc is 8 hex digits.
MAX_NONCE_COUNT = 0xFFFFFFFF

_SCHEME = re.compile(rf"({grammar.TOKEN})(?:[ \t]++(.*+))?+", re.DOTALL)
# The last group takes the rest of the text from where it is no pair, so that one look is enough.
_PAIR = re.compile(
    rf"[ \t,]*+({grammar.TOKEN})[ \t]*+=[ \t]*+({grammar.QUOTED}|[^ \t,\"]*+)[ \t]*+(?=,|\Z)|[ \t,]++|(.++)",
    re.DOTALL,
)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """A user name and its password; the password is kept out of the value's text."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for in WWW-Authenticate or Proxy-Authenticate; `qop` in the order it was listed."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False

    @staticmethod
    def parse(value: str) -> "Challenge | None":
        """Read a field value; None for a scheme other than Digest. Raises MessageError when it is malformed."""
        scheme, params = _parse_auth(value)
        if scheme != "digest":
            return None
        if not params.get("nonce") or "realm" not in params:
            raise malformed("challenge")
        qop = tuple(option.strip(" \t").lower() for option in params.get("qop", "").split(",") if option.strip(" \t"))
        return Challenge(
            params["realm"],
            params["nonce"],
            params.get("algorithm", "MD5").upper(),
            qop,
            params.get("opaque"),
            params.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        pairs = [("realm", grammar.quote(self.realm)), ("nonce", grammar.quote(self.nonce))]
        if self.opaque is not None:
            pairs.append(("opaque", grammar.quote(self.opaque)))
        if self.stale:
            pairs.append(("stale", "true"))
        pairs.append(("algorithm", self.algorithm))
        if self.qop:
            pairs.append(("qop", grammar.quote(",".join(self.qop))))
        return _format_auth(pairs)

    @property
    def chosen_qop(self) -> str | None:
        """The protection we use of those offered; None when the server offers none, "" when we know none of them.

        Plain auth comes first: border controllers between us and the server rewrite bodies.
        """
        if not self.qop:
            return None
        return next((option for option in ("auth", "auth-int") if option in self.qop), "")

    @property
    def is_supported(self) -> bool:
        return self.algorithm in ALGORITHMS and self.chosen_qop != ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """The answer to a challenge in Authorization or Proxy-Authorization. Without qop: nc is 0 and cnonce empty."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str | None = None
    nc: int = 0
    cnonce: str = ""
    opaque: str | None = None

    @staticmethod
    def parse(value: str) -> "Authorization | None":
        """Read a field value; None for a scheme other than Digest. Raises MessageError when it is malformed."""
        scheme, params = _parse_auth(value)
        if scheme != "digest":
            return None
        qop = params.get("qop", "").lower() or None
        count = params.get("nc", "")
        if not {"username", "realm", "nonce", "uri", "response"} <= params.keys():
            raise malformed("credentials")
        if qop is not None and (not _NONCE_COUNT.fullmatch(count) or "cnonce" not in params):
            raise malformed("credentials")
        return Authorization(
            params["username"],
            params["realm"],
            params["nonce"],
            params["uri"],
            params["response"].lower(),
            params.get("algorithm", "MD5").upper(),
            qop,
            int(count, 16) if qop is not None else 0,
            params["cnonce"] if qop is not None else "",
            params.get("opaque"),
        )

    def __str__(self) -> str:
        pairs = [
            ("username", grammar.quote(self.username)),
            ("realm", grammar.quote(self.realm)),
            ("nonce", grammar.quote(self.nonce)),
            ("uri", grammar.quote(self.uri)),
            ("response", grammar.quote(self.response)),
            ("algorithm", self.algorithm),
        ]
        if self.qop is not None:
            pairs += [("qop", self.qop), ("nc", f"{self.nc:08x}"), ("cnonce", grammar.quote(self.cnonce))]
        if self.opaque is not None:
            pairs.append(("opaque", grammar.quote(self.opaque)))
        return _format_auth(pairs)


def authorize(
    challenge: Challenge,
    method: str,
    uri: str,
    credentials: DigestCredentials,
    *,
    nc: int,
    cnonce: str,
    body: bytes = b"",
) -> Authorization:
    """The answer to a supported `challenge` for one request.

    `uri` is the Request-URI as text, `nc` counts the answers to this nonce from 1, `cnonce` is fresh random text.
    """
    qop = challenge.chosen_qop
    answer = Authorization(
        credentials.username,
        challenge.realm,
        challenge.nonce,
        uri,
        "",
        challenge.algorithm,
        qop,
        nc if qop is not None else 0,
        cnonce if qop is not None else "",
        challenge.opaque,
    )
    return _with_response(answer, method, credentials.password, body)


class DigestClient:
    """One user's answers to the challenges met on the way of one call's requests.

    Give it each 401 and 407; while `receive_response` says so, send the request again (next CSeq, new branch) with the
    fields of `authorize`. Later requests to the same place may carry them from the start.
    """

    def __init__(self, credentials: DigestCredentials) -> None:
        self._credentials = credentials
        self._challenges: dict[tuple[str, str], Challenge] = {}  # by answering field and realm
        self._counts: dict[str, int] = {}  # answers so far, by nonce

    @property
    def credentials(self) -> DigestCredentials:
        """Whose answers they are."""
        return self._credentials

    def receive_response(self, response: Response) -> bool:
        """Take the challenges of a 401 or 407; whether trying again makes sense.

        It does not when nothing supported is asked for, nor when the first answer to a nonce was refused (wrong
        password). A nonce that served before may have expired, and `stale` says so.
        """
        asked, answered = (
            ("WWW-Authenticate", "Authorization")
            if response.status == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        challenges = strongest_challenges(response.headers.get_all(asked))
        progress = False
        for challenge in challenges:
            key = (answered, challenge.realm)
            earlier = self._challenges.get(key)
            if earlier is not None and self._counts.pop(earlier.nonce, 0) == 1 and not challenge.stale:
                return False
            self._challenges[key] = challenge
            progress = True
        return progress

    def authorize(self, method: str, uri: str, cnonce: str, body: bytes = b"") -> list[tuple[str, str]]:
        """The header fields that answer every challenge met so far, for one request; empty before the first."""
        fields = []
        for (name, _), challenge in self._challenges.items():
            count = self._counts.get(challenge.nonce, 0) + 1
            self._counts[challenge.nonce] = count
            answer = authorize(challenge, method, uri, self._credentials, nc=count, cnonce=cnonce, body=body)
            fields.append((name, str(answer)))
        return fields


def strongest_challenges(values: Iterable[str]) -> list[Challenge]:
    """For each realm the supported challenge with the strongest algorithm; unreadable ones count as not understood.

    RFC 8760 §2.4 takes the topmost one unless local policy says otherwise. Ours does: it must not be possible to
    weaken an answer by reordering fields on the way.
    """
    best: dict[str, Challenge] = {}
    for value in values:
        try:
            challenge = Challenge.parse(value)
        except MessageError:
            continue
        if challenge is None or not challenge.is_supported:
            continue
        known = best.get(challenge.realm)
        if known is None or ALGORITHMS.index(challenge.algorithm) > ALGORITHMS.index(known.algorithm):
            best[challenge.realm] = challenge
    return list(best.values())


class Verdict(Enum):
    """What a server found in a request."""

    OK = "right user, right password, fresh"
    MISSING = "no usable credentials for our realm: challenge"
    STALE = "right password, but the nonce is used up: challenge with stale"
    WRONG = "unknown user or wrong password: challenge or 403"


class Authenticator:
    """A realm's server side: makes challenges, checks answers, refuses replays.

    A nonce proves by itself that we issued it (HMAC under `secret`) and when; only counts of answered ones are kept.
    """

    def __init__(
        self, realm: str, secret: bytes, *, algorithms: tuple[str, ...] = ("SHA-256", "MD5"), integrity: bool = False
    ) -> None:
        """`algorithms` in order of preference; `integrity` offers auth-int beside auth."""
        self.realm = realm
        self._secret = secret
        self._algorithms = algorithms
        self._qop = ("auth", "auth-int") if integrity else ("auth",)
        self._issued = 0
        self._counts: OrderedDict[str, int] = OrderedDict()  # highest nc, by nonce, least recently used first
        self._forgotten = 0  # every nonce up to this serial counts as used unless `_counts` knows it

    def challenges(self, now: float, *, stale: bool = False) -> list[Challenge]:
        """One challenge for each algorithm, in order (RFC 8760 §2.3); each becomes one header field."""
        self._issued += 1
        nonce = self._nonce(f"{max(0, int(now * 1000)):x}.{self._issued:x}")
        return [Challenge(self.realm, nonce, algorithm, self._qop, stale=stale) for algorithm in self._algorithms]

    def verify(
        self,
        values: Iterable[str],
        method: str,
        password_of: Callable[[str], str | None],
        now: float,
        body: bytes = b"",
    ) -> tuple[Verdict, str | None]:
        """Judge the (Proxy-)Authorization values of a request; gives the user name when it is proven.

        RFC 3261 §22.4 item 6: the digest URI may differ from the Request-URI, so it is not compared.
        """
        answer = self._find(values)
        if answer is None:
            return Verdict.MISSING, None
        password = password_of(answer.username)
        # An unknown user costs the same computation as a known one.
        right = _with_response(answer, method, password or "", body).response
        matches = hmac.compare_digest(right.encode(), answer.response.encode("utf-8", "surrogateescape"))
        if password is None or not matches:
            return Verdict.WRONG, None
        if not self._is_fresh(answer, now):
            return Verdict.STALE, None
        return Verdict.OK, answer.username

    def _find(self, values: Iterable[str]) -> Authorization | None:
        for value in values:
            try:
                answer = Authorization.parse(value)
            except MessageError:
                continue
            if (
                answer is not None
                and answer.realm == self.realm
                and answer.algorithm in self._algorithms
                and (answer.qop is None or answer.qop in self._qop)
                and hmac.compare_digest(
                    self._nonce(answer.nonce.rpartition(".")[0]).encode("utf-8", "surrogateescape"),
                    answer.nonce.encode("utf-8", "surrogateescape"),
                )
            ):
                return answer
        return None

    def _is_fresh(self, answer: Authorization, now: float) -> bool:
        moment, serial, _ = answer.nonce.split(".")
        if now - int(moment, 16) / 1000 > NONCE_LIFETIME:
            return False
        # RFC 7616 §3.4: nc only grows; a peer without qop counts nothing, so its nonce serves once.
        count = answer.nc if answer.qop is not None else MAX_NONCE_COUNT
        known = self._counts.get(answer.nonce, MAX_NONCE_COUNT if int(serial, 16) <= self._forgotten else 0)
        if count <= known:
            return False
        self._counts[answer.nonce] = count
        self._counts.move_to_end(answer.nonce)
        if len(self._counts) > MAX_LIVE_NONCES:
            forgotten, _ = self._counts.popitem(last=False)
            self._forgotten = max(self._forgotten, int(forgotten.split(".")[1], 16))
        return True

    def _nonce(self, stem: str) -> str:
        seal = hmac.new(self._secret, f"{self.realm}\0{stem}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return f"{stem}.{seal.hexdigest()[:32]}"


def _with_response(answer: Authorization, method: str, password: str, body: bytes) -> Authorization:
    """`answer` with the response that the password makes of its other fields (RFC 7616 §3.4.1)."""
    algorithm = answer.algorithm
    secret = _hash(algorithm, f"{answer.username}:{answer.realm}:{password}")
    request = f"{method}:{answer.uri}"
    if answer.qop == "auth-int":
        request += ":" + hashlib.new(_HASHES[algorithm], body, usedforsecurity=False).hexdigest()
    middle = answer.nonce
    if answer.qop is not None:
        middle += f":{answer.nc:08x}:{answer.cnonce}:{answer.qop}"
    return replace(answer, response=_hash(algorithm, f"{secret}:{middle}:{_hash(algorithm, request)}"))


def _hash(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


def _parse_auth(value: str) -> tuple[str, dict[str, str]]:
    """Scheme and parameters, names in lower case, quotes resolved; a name given twice counts once, the first time."""
    match = _SCHEME.fullmatch(value)
    if match is None:
        raise malformed("authentication field")
    params: dict[str, str] = {}
    if match[1].lower() == "digest":
        for name, text, junk in _PAIR.findall(match[2] or ""):
            if junk:
                raise malformed("authentication field")
            if name:
                params.setdefault(name.lower(), grammar.unquote(text))
    return match[1].lower(), params


def _format_auth(pairs: Iterable[tuple[str, str]]) -> str:
    return "Digest " + ", ".join([f"{name}={value}" for name, value in pairs])
