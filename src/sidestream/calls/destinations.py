"""Where calls go: to a phone number by a trunk, to a user where it is registered, or to a SIP address directly."""

from dataclasses import dataclass

from sidestream.accounts.account import Account
from sidestream.calls.refusal import Refusal
from sidestream.calls.services import Services
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import MessageError
from sidestream.sip.transport import Peer
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.trunks.trunk_book import Route

CALL_SID_HEADER = "X-Sidestream-CallSid"

_INVALID_CALLER = 13247


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
    accepts_refer: bool = True


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
        accepts_refer=route.trunk.accepts_refer,
    )


def sip_destinations(
    services: Services,
    account: Account,
    text: str,
    uri: Uri,
    credentials: DigestCredentials | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> tuple[Destination, ...]:
    """A SIP address: every place where the user is registered, best first, if it is one of ours, else the address.

    Raises NoSuchUser, also for a user who is not registered now.
    """
    located = services.users.locate(uri, account.sid, services.clock.monotonic())
    if located is None:
        return (Destination(text, uri, credentials, headers),)
    aor, bindings = located
    to = Uri.parse(aor)
    return tuple(
        Destination(aor, binding.contact, credentials, headers, to=to, way=binding.way) for binding in bindings
    )


def caller_address(services: Services, caller: str, name: str | None = None) -> NameAddr:
    """The From of an outgoing call: a SIP URI as it is, a number at our own host. Raises Refusal."""
    if not caller.lower().startswith(("sip:", "sips:")):
        return NameAddr(name, Uri.sip(caller, services.settings.sip_host))
    try:
        return NameAddr(name, Uri.parse(caller))
    except MessageError as error:
        raise Refusal(400, _INVALID_CALLER, f"The caller ID '{caller}' is no SIP URI") from error
