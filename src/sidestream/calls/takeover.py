"""An INVITE with Replaces: who sends it takes the place of a party that is connected (RFC 3891)."""

from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.guard import Guard
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.calls.party import party_of
from sidestream.calls.reception import Sender
from sidestream.calls.services import Services
from sidestream.calls.transfer import find_call, renew_partner
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.sip.message import Request
from sidestream.sip.reasons import reason_phrase
from sidestream.sip.refer import Replaces

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

_FORBIDDEN = 403
_NO_SUCH_CALL = 481
_BUSY = 486
_DECLINED = 603


def taken(services: Services, dialog: Replaces, sender: Sender) -> "Call | int":
    """The call at whose leg `sender` may take the place of the party, or the SIP status that says why it may not."""
    call = find_call(services, dialog, None)
    if call is None:
        return _NO_SUCH_CALL
    # RFC 3891 §3: the ids of a dialog are no proof of anything, for others have seen them, too.
    if not may_replace(sender, call):
        log.warning("! Replaces by somebody who may not", call=call.record.sid, sender=sender.home or "this machine")
        return _FORBIDDEN
    if call.leg.phase in (LegPhase.WAITING, LegPhase.CALLING):
        return _NO_SUCH_CALL
    if call.leg.phase is LegPhase.OVER or call.transfer is not None:
        return _DECLINED
    return _BUSY if dialog.early_only else call


def may_replace(sender: Sender, call: "Call") -> bool:
    """Whether `sender` may take the place of the party at the call's leg.

    A trunk or user of the call's account may. What is of every account is of none: a trunk for all may replace only
    its own parties, and this machine, while it may call in, only those that are of no trunk and no domain.
    """
    if sender.account_sid is not None:
        return sender.account_sid == call.account.sid
    return sender.home == call.party.home


async def take_over(call: "Call", session: str, request: Request, sender: Sender) -> None:
    """Answer the INVITE; its sender takes the place, and the replaced leg gets BYE."""
    services, old = call.services, call.leg
    media = old.media.successor(services.ids, sender.security, sender.latch)
    party = party_of(sender.caller, services.ids, home=sender.home, accepts_refer=sender.accepts_refer)
    leg = Leg(services.driver, media, Guard(services, party, call.record.sid))
    try:
        leg.adopt(session, request)
        offered = leg.remote_offer
        if offered is None:
            raise SdpError("a call can only be taken over with an offer", status=NOT_ACCEPTABLE)
        answer = await media.describe_answer(offered)
        await media.apply(offered)
    except (SdpError, MediaEngineError) as error:
        log.info("! not replaced", call=call.record.sid, problem=str(error))
        leg.reject(NOT_ACCEPTABLE, reason_phrase(NOT_ACCEPTABLE))
        return
    if call.leg is not old or old.phase is not LegPhase.ESTABLISHED or not leg.accept(answer):
        leg.reject(_DECLINED, reason_phrase(_DECLINED))
        return
    call.change_party(leg, party)
    old.hang_up()
    await renew_partner(call)
