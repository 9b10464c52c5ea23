"""Placing a call."""

from contextlib import suppress
from dataclasses import dataclass

from sidestream.accounts.account import Account
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call import Call
from sidestream.calls.destinations import CALL_SID_HEADER, Destination, caller_address
from sidestream.calls.guard import Guard
from sidestream.calls.invitation import Invite
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
from sidestream.sip.values import NameAddr

_CALL_ID_DIGITS = 32  # RFC 3261 §8.1.1.4: cryptographically random, so that no two calls share one

MAX_FORWARDS = 70  # RFC 3261 §8.1.1.6


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Where the progress of the call is reported."""

    url: str | None = None
    method: str = "POST"
    events: tuple[str, ...] = ("completed",)


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
        services.engine,
        services.ids,
        session=session,
        endpoint=sid,
        interface=destination.interface,
        security=destination.security,
        latch=destination.latch,
    )
    to = NameAddr(None, destination.to or destination.uri)
    party = party_of(to, services.ids, home=destination.home, accepts_refer=destination.accepts_refer)
    leg = Leg(services.driver, media, Guard(services, party, sid))
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
    call = Call(services, account, record, leg, party, progress)
    try:
        offer = await _offer(media, parent)
        invite = Invite(
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
        leg.invite(invite)
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
    left = parent.leg.max_forwards if parent is not None else None
    if left is None:
        return MAX_FORWARDS
    if left <= 1:
        raise Refusal(400, 32011, "The call has passed through too many servers (Max-Forwards)")
    return left - 1
