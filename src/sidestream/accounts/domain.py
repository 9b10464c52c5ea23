"""SIP domains: the users whose phones register here, and what happens to the calls they make."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sidestream.accounts.account import VoiceSettings
from sidestream.base.secret import Secret
from sidestream.media.engine import Latch
from sidestream.sdp.security import MediaSecurity


class DomainRoute(StrEnum):
    """Where calls to a domain go."""

    VOICE = "voice"  # its voice settings say what happens to every call
    USERS = "users"  # to the user whose name is called; what is no user's name is looked up among the numbers


@dataclass(frozen=True, slots=True)
class SipUser:
    """A user's name, which is the user part of its address, and the password of its phones."""

    name: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Domain:
    """A SIP domain of an account. `name` is its host in URIs and its digest realm; `aliases` are further hosts.

    `voice` is None only with `DomainRoute.USERS`: users are then connected without more ado.
    `media_security`: whether the media of its users' phones may or must be SRTP. `media_latch`: whose packets are taken
    for that media. `media_interface`: by which of the media engine's interfaces it goes; None: the first.
    """

    name: str
    account_sid: str
    users: tuple[SipUser, ...] = ()
    aliases: tuple[str, ...] = ()
    route: DomainRoute = DomainRoute.VOICE
    voice: VoiceSettings | None = None
    media_security: MediaSecurity = MediaSecurity.NONE
    media_latch: Latch = Latch.EACH
    media_interface: str | None = None

    def user(self, name: str | None) -> SipUser | None:
        """The user of that name. Some phones prove themselves as `name@domain`, so that is taken, too."""
        if name is None:
            return None
        plain, _, host = name.partition("@")
        if host and not self.has_host(host):
            return None
        # RFC 3261 §19.1.4: user parts are compared with case
        return next((user for user in self.users if user.name == plain), None)

    def password_of(self, name: str) -> str | None:
        user = self.user(name)
        return None if user is None else user.password.reveal()

    def has_host(self, host: str) -> bool:
        """Whether the host of a URI (IPv6 with or without brackets) means this domain."""
        return _folded(host) in (_folded(name) for name in (self.name, *self.aliases))

    def aor(self, user: SipUser) -> str:
        """The address-of-record of a user (RFC 3261 §10.3 item 5)."""
        host = f"[{self.name}]" if ":" in self.name else self.name
        return f"sip:{user.name}@{host}"


class DomainBook:
    """All domains. No two share a host."""

    def __init__(self, domains: Iterable[Domain] = ()) -> None:
        self._domains = tuple(domains)
        self._by_host = {_folded(host): domain for domain in self._domains for host in (domain.name, *domain.aliases)}

    def become(self, other: "DomainBook") -> None:
        """Be that book from now on, for whoever holds this one."""
        self._domains, self._by_host = other._domains, other._by_host

    @property
    def domains(self) -> tuple[Domain, ...]:
        return self._domains

    def at(self, host: str) -> Domain | None:
        """The domain that the host of a URI means."""
        return self._by_host.get(_folded(host))

    def owns(self, aor: str) -> bool:
        """Whether an address-of-record is that of a user."""
        return any(domain.aor(user) == aor for domain in self._domains for user in domain.users)


def _folded(host: str) -> str:
    return host.strip("[]").lower().rstrip(".")
