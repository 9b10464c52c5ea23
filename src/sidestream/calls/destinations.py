"""Where calls go: to a phone number by a trunk, to a user where it is registered, or to a SIP address directly."""

from dataclasses import dataclass

from sidestream.accounts.account import Account
from sidestream.calls.party import domain_home, trunk_home
from sidestream.calls.refusal import Refusal
from sidestream.calls.services import Services
from sidestream.media.engine import Latch
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import MessageError
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.trunks.trunk_book import Route

CALL_SID_HEADER = "X-Sidestream-CallSid"

_INVALID_CALLER = 13247
_SECURE_TRANSPORT = 32209


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes: `text` as the API names it, the URI to invite, and what to answer a challenge with.

    `to` is who is called, if that is not the URI; `way` is where to send what is for the URI, if it cannot tell itself.
    """

    text: str
    uri: Uri
    credentials: DigestCredentials | None = None
    headers: tuple[tuple[str, str], ...] = ()
    to: Uri | None = None
    way: Peer | None = None
    redirects: int = 0  # how many contacts of 3xx answers are followed
    home: str | None = None  # of the party there, as its `accepts_refer` is
    accepts_refer: bool = True
    security: MediaSecurity = MediaSecurity.NONE
    latch: Latch = Latch.EACH
    interface: str | None = None  # of the media engine


def number_destination(services: Services, account: Account, number: str) -> Destination:
    """A phone number, by the account's trunk. Raises Refusal if none takes it."""
    route = services.trunks.outbound_for(account.sid, number)
    if not isinstance(route, Route):
        raise Refusal(400, route.code, route.text)
    trunk = route.trunk.credentials
    credentials = None if trunk is None else DigestCredentials(trunk.username, trunk.password.reveal())
    return Destination(
        number,
        route.uri,
        credentials,
        redirects=route.trunk.follow_redirects,
        home=trunk_home(route.trunk.name),
        accepts_refer=route.trunk.accepts_refer,
        security=route.trunk.media_security,
        latch=route.trunk.media_latch,
        interface=route.trunk.media_interface,
    )


def sip_destinations(
    services: Services,
    account: Account,
    text: str,
    uri: Uri,
    credentials: DigestCredentials | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    secure: bool = False,
) -> tuple[Destination, ...]:
    """A SIP address: every place where the user is registered, best first, if it is one of ours, else the address.

    `secure`: whoever is there has to take SRTP; an address of others is called by TLS. Raises Refusal where that cannot
    be, and NoSuchUser, also for a user who is not registered now.
    """
    security = MediaSecurity.REQUIRED if secure else MediaSecurity.NONE
    located = services.users.locate(uri, account.sid, services.clock.monotonic())
    if located is None:
        uri = _by_tls(uri, services) if secure else uri
        return (Destination(text, uri, credentials, headers, security=security),)
    aor, bindings = located
    domain = services.users.domains.at(uri.address)
    assert domain is not None  # it was located there
    to = Uri.parse(aor)
    return tuple(
        Destination(
            aor,
            binding.contact,
            credentials,
            headers,
            to=to,
            way=binding.way,
            home=domain_home(domain.name),
            security=security if secure else domain.media_security,
            latch=domain.media_latch,
            interface=domain.media_interface,
        )
        for binding in bindings
    )


def _by_tls(uri: Uri, services: Services) -> Uri:
    """A target of `secure=true`: TLS unless that is said already. Raises Refusal where there can be none."""
    if uri.scheme == "sip" and uri.param("transport") is None:
        uri = uri.with_params(("transport", "tls"))
    # RFC 4568 §8: the keys stand in the SDP, which has to be as secret as they are.
    transport = (uri.param("transport") or "").lower()
    if uri.scheme == "sip" and transport != "tls":
        raise Refusal(400, _SECURE_TRANSPORT, f"secure=true needs TLS, not transport={transport}")
    if Transport.TLS not in services.driver.transports:
        raise Refusal(400, _SECURE_TRANSPORT, "secure=true needs a listener with transport tls")
    return uri


def caller_address(services: Services, caller: str, name: str | None = None) -> NameAddr:
    """The From of an outgoing call: a SIP URI as it is, a number at our own host. Raises Refusal."""
    if not caller.lower().startswith(("sip:", "sips:")):
        return NameAddr(name, Uri.sip(caller, services.settings.sip_host))
    try:
        # RFC 3261 §19.1.1, table 1: no header fields in a From.
        return NameAddr(name, Uri.parse(caller).as_target())
    except MessageError as error:
        raise Refusal(400, _INVALID_CALLER, f"The caller ID '{caller}' is no SIP URI") from error
