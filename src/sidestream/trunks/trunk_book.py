"""Who may place calls into the platform, and where calls to phone numbers leave it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote

from sidestream.base.secret import Secret
from sidestream.media.engine import Latch
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.uri import Uri

REMEMBERED_SOURCES = 1024  # addresses of who calls in, read once each

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class TrunkCredentials:
    """Digest user name and password: those that the trunk asks of us, or those that we ask of it."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class TrunkRegistration:
    """What we register with a trunk: `address`, our address-of-record there, at `registrar`, for `expires` seconds."""

    registrar: Uri
    address: Uri
    expires: int = 3600


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier, PBX or SBC. `account_sid` None: for every account.

    `sources` are the networks it calls from. `inbound` is what it has to prove itself with when it calls; without
    `sources` that is enough from anywhere, and without both it never calls in. `outbound` is the SIP URI whose host
    takes calls to phone numbers (None: it takes none), `credentials` what it asks of us. `registration` needs them.
    `follow_redirects` is how many contacts of its 3xx answers are called in turn. `accepts_refer`: whether a party of
    a connected call may transfer it by REFER. `media_security`: whether its media may or must be SRTP, both ways.
    `media_latch`: whose packets are taken for its media. `media_interface`: by which of the media engine's interfaces
    that goes; None: the first.
    """

    name: str
    account_sid: str | None = None
    sources: tuple[Network, ...] = ()
    outbound: Uri | None = None
    credentials: TrunkCredentials | None = None
    inbound: TrunkCredentials | None = None
    registration: TrunkRegistration | None = None
    follow_redirects: int = 0
    accepts_refer: bool = True
    media_security: MediaSecurity = MediaSecurity.NONE
    media_latch: Latch = Latch.EACH
    media_interface: str | None = None

    def calls_from(self, source_ip: str) -> bool:
        """Whether that address is one of the trunk's."""
        source = _address(source_ip)
        return any(source in network for network in self.sources)


@dataclass(frozen=True, slots=True)
class Admission:
    """The call may come in. `account_sid` None: the number that is called decides whose call it is."""

    trunk: Trunk | None
    account_sid: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """The call may come in if its sender proves to be one of these trunks, which all have `inbound`."""

    trunks: tuple[Trunk, ...]

    def trunk(self, username: str) -> Trunk | None:
        return next((t for t in self.trunks if t.inbound is not None and t.inbound.username == username), None)

    def password_of(self, username: str) -> str | None:
        trunk = self.trunk(username)
        return trunk.inbound.password.reveal() if trunk is not None and trunk.inbound is not None else None


@dataclass(frozen=True, slots=True)
class Route:
    """Where to send the INVITE for a phone number, and what to answer the trunk's challenge with."""

    uri: Uri
    trunk: Trunk


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call may not come in or go out. `code` is of the catalogue, `text` for the alert."""

    sip_status: int
    code: int
    text: str


class TrunkBook:
    """All trunks. While none of them can call in, calls from this machine itself are let in."""

    def __init__(self, trunks: Iterable[Trunk] = ()) -> None:
        self._trunks = tuple(trunks)
        self._anywhere = tuple(trunk for trunk in self._trunks if trunk.inbound is not None and not trunk.sources)
        self._is_open = not any(trunk.sources or trunk.inbound for trunk in self._trunks)

    def become(self, other: "TrunkBook") -> None:
        """Be that book from now on, for whoever holds this one."""
        self._trunks, self._anywhere, self._is_open = other._trunks, other._anywhere, other._is_open

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        return self._trunks

    def admit(self, source_ip: str, to_user: str) -> Admission | Question | Refusal:
        """May this address call in? The most specific network that holds it decides whose trunk it is.

        `to_user` is for the alert of a refusal only: it never decides.
        """
        source = _address(source_ip)
        matches = [(net.prefixlen, trunk) for trunk in self._trunks for net in trunk.sources if source in net]
        if matches:
            _, trunk = max(matches, key=lambda match: match[0])
            return Admission(trunk, trunk.account_sid) if trunk.inbound is None else Question((trunk,))
        if self._anywhere:
            return Question(self._anywhere)
        if self._is_open and source.is_loopback:
            return Admission(None, None)
        return Refusal(403, 32201, f"A call to {to_user} came from {source}, which is no trunk's address")

    def outbound_for(self, account_sid: str, number: str) -> Route | Refusal:
        """The account's own trunk that takes calls to numbers, else one that is for every account."""
        for owner in (account_sid, None):
            for trunk in self._trunks:
                if trunk.outbound is not None and trunk.account_sid == owner:
                    return Route(replace(trunk.outbound, user=quote(number, safe="+*")), trunk)
        return Refusal(404, 13224, f"No trunk takes calls to numbers, so {number} cannot be called")


@lru_cache(REMEMBERED_SOURCES)
def _address(source_ip: str) -> IPv4Address | IPv6Address:
    """The address of a peer as networks are compared with it."""
    source = ip_address(source_ip)
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    return source if mapped is None else mapped
