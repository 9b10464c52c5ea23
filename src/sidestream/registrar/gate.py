"""Who sends a request: digest authentication as a server, with a limit on wrong guesses (RFC 3261 §22, RFC 8760)."""

from collections.abc import Callable
from dataclasses import dataclass

from sidestream.registrar.lockout import Lockout
from sidestream.sip.digest import Authenticator, Verdict
from sidestream.sip.message import Request

# RFC 8760 §2.3: the preferred one first. MD5 is for the many phones that know nothing else.
ALGORITHMS = ("SHA-256", "MD5")


@dataclass(frozen=True, slots=True)
class Proven:
    """The request is from this user: `username` as the answer to the challenge spells it."""

    username: str


@dataclass(frozen=True, slots=True)
class Denied:
    """Answer the request with this. `locks_out`: the source has now guessed wrong too often, so tell somebody."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    locks_out: bool = False


class Gate:
    """Challenges requests and judges their answers, for any number of realms.

    For requests outside a dialog other than ACK and CANCEL, which cannot be sent again with an answer (RFC 3261 §22.1).
    An unknown user is treated exactly like a wrong password.
    """

    def __init__(
        self, secret: bytes, *, algorithms: tuple[str, ...] = ALGORITHMS, lockout: Lockout | None = None
    ) -> None:
        """`secret` seals the nonces; fresh random octets at each start will do."""
        self._secret = secret
        self._algorithms = algorithms
        self._lockout = lockout or Lockout()
        self._realms: dict[str, Authenticator] = {}

    def check(
        self, request: Request, realm: str, password_of: Callable[[str], str | None], source: str, now: float
    ) -> Proven | Denied:
        """Judge `request`, which came from the IP address `source`. The realms have to be a bounded set of our own."""
        answers = request.headers.get_all("Authorization")
        if answers and self._lockout.is_out(source, now):
            return Denied(403)
        realm_side = self._realms.setdefault(
            realm, Authenticator(realm, self._secret, algorithms=self._algorithms, integrity=True)
        )
        verdict, username = realm_side.verify(answers, request.method, password_of, now, request.body)
        if username is not None:
            return Proven(username)
        locks_out = verdict is Verdict.WRONG and self._lockout.fail(source, now)
        if locks_out:
            return Denied(403, locks_out=True)
        challenges = realm_side.challenges(now, stale=verdict is Verdict.STALE)
        return Denied(401, tuple(("WWW-Authenticate", str(challenge)) for challenge in challenges))
