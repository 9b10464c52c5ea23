"""Placing a call: to a phone number by a trunk, or to a SIP address directly."""

from contextlib import suppress
from dataclasses import dataclass

from sidestream.accounts.account import Account
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call import Call
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import LegMedia
from sidestream.calls.party import party_of
from sidestream.calls.progress import Progress
from sidestream.calls.record import CallRecord, CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import Instructions
from sidestream.calls.services import Services
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import MessageError
from sidestream.sip.transport import Peer
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.trunks.trunk_book import Route

_INVALID_CALLER = 13247
_CALL_ID_DIGITS = 32  # RFC 3261 §8.1.1.4: cryptographically random, so that no two calls share one

CALL_SID_HEADER = "X-Sidestream-CallSid"
MAX_FORWARDS = 70  # RFC 3261 §8.1.1.6


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


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where the progress of the call is reported."""

    url: str | None = None
    method: str = "POST"
    events: tuple[str, ...] = ("completed",)


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


async def place(
    services: Services,
    account: Account,
    destination: Destination,
    *,
    caller: str,
    callbacks: Callbacks,
    instructions: Instructions | None = None,
    parent: Call | None = None,
) -> Call:
    """Invite `destination` and return the call, which lives from now on; its leg's fate arrives as events.

    With a `parent` it is a dialled call: it lives in the parent's engine session and offers what the parent offered.
    Raises Refusal, SdpError, MediaEngineError; then there is no call.
    """
    max_forwards = _max_forwards(parent)
    sid = services.ids.sid("CA")
    from_ = caller_address(services, caller, parent.record.caller_name if parent is not None else None)
    session = parent.leg.media.session if parent is not None else sid
    media = LegMedia(
        services.engine, services.ids, session=session, endpoint=sid, interface=services.settings.interface
    )
    leg = Leg(services.driver, media, call_sid=sid)
    now = services.clock.wall()
    record = CallRecord(
        sid=sid,
        account_sid=account.sid,
        parent_call_sid=parent.record.sid if parent is not None else None,
        to=destination.text,
        from_=caller,
        direction=Direction.OUTBOUND_API if parent is None else Direction.OUTBOUND_DIAL,
        status=CallStatus.QUEUED,
        date_created=now,
        date_updated=now,
        caller_name=from_.display_name or None,
        sip_call_id=services.ids.hex(_CALL_ID_DIGITS),
    )
    progress = Progress(
        services.outbox,
        services.clock,
        services.ids,
        url=callbacks.url,
        method=callbacks.method,
        events=callbacks.events,
    )
    to = NameAddr(None, destination.to or destination.uri)
    call = Call(services, account, record, leg, party_of(to, services.ids), progress)
    try:
        offer = await _offer(media, parent)
        leg.invite(
            target=destination.uri,
            from_=from_,
            to=to,
            offer=offer,
            headers=(*destination.headers, (CALL_SID_HEADER, sid)),
            credentials=destination.credentials,
            max_forwards=max_forwards,
            via=destination.way,
            redirects=destination.redirects,
            call_id=record.sip_call_id,
        )
    except BaseException:
        # Nobody will run this call and give its ports back, also if the one who wanted it was cancelled.
        with suppress(MediaEngineError):
            await media.release(with_session=parent is None)
        raise
    services.calls.save(record)
    call.note("call.created", direction=record.direction.value)
    progress.initiated(record)
    services.live.run(call, instructions)
    return call


async def _offer(media: LegMedia, parent: Call | None) -> SessionDescription:
    if parent is None:
        return await media.describe_offer()
    theirs = parent.leg.media
    if parent.leg.phase is not LegPhase.WAITING and theirs.narrowed:
        return await media.describe_offer(theirs.narrowed)
    description = parent.leg.remote_offer if parent.leg.phase is LegPhase.WAITING else theirs.local
    if description is None:
        return await media.describe_offer()
    return await media.describe_relayed(description, answers=None)


def _max_forwards(parent: Call | None) -> int:
    # RFC 3261 §16.6 step 3 is for proxies; a B2BUA that starts again at 70 would let calls circle for ever.
    invite = parent.leg.invite_request if parent is not None else None
    if invite is None or invite.max_forwards is None:
        return MAX_FORWARDS
    if invite.max_forwards <= 1:
        raise Refusal(400, 32011, "The call has passed through too many servers (Max-Forwards)")
    return invite.max_forwards - 1
