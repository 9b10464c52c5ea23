"""Transfers: another party takes the place of one that is connected, on the same endpoint of the media engine.

The call keeps its SID, its instructions and its recordings; what changes is its leg. So the forks of a recording go on
as they are, and only the metadata tells of the new party (siprec.md B3).
"""

import asyncio
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.destinations import (
    CALL_SID_HEADER,
    Destination,
    caller_address,
    number_destination,
    sip_destinations,
)
from sidestream.calls.events import Answered, Failed, LegEvent, Progress, Redirected, Referred, Ringing
from sidestream.calls.guard import Guard
from sidestream.calls.invitation import Invite
from sidestream.calls.leg import Leg
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.calls.negotiation import OfferRefused
from sidestream.calls.party import party_of
from sidestream.calls.refusal import Refusal
from sidestream.calls.services import Services
from sidestream.calls.users import NoSuchUser
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.sdp.session import SessionDescription
from sidestream.sip.refer import Replaces
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

ANSWER_TIMEOUT_S = 60.0  # how long the newcomer may ring; after it the party that transferred hears 408

_TRYING, _RINGING, _OK = 100, 180, 200
_NOT_FOUND = 404
_TIMEOUT = 408
_NO_SUCH_CALL = 481
_SERVER_ERROR = 500


class TransferFailed(Exception):
    """Nobody took the place. `status` says why, as a SIP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def may_transfer(call: "Call") -> bool:
    """Whether the party at this leg may be replaced: it is connected, by a Dial, with a trunk's consent."""
    partner = call.partner
    return (
        call.party.accepts_refer
        and call.transfer is None
        and call.pairing is not None
        and partner is not None
        and partner.transfer is None
        and call.leg.phase is LegPhase.ESTABLISHED
        and partner.leg.phase is LegPhase.ESTABLISHED
    )


class Transfer:
    """One REFER of the party at `call`'s leg, from its 202 to the last NOTIFY."""

    def __init__(self, call: "Call", wanted: Referred) -> None:
        self._call = call
        self._is_done = False
        self._told = 0
        self._task = asyncio.create_task(self._run(wanted))

    def abort(self) -> None:
        """The call or its partner is over: nobody is there to be connected with any more."""
        self._task.cancel()

    async def succeeded(self) -> bool:
        """Wait for the outcome."""
        await asyncio.wait([self._task])
        return self._is_done

    async def _run(self, wanted: Referred) -> None:
        call, old = self._call, self._call.leg
        call.note("transfer.asked", to=str(wanted.target))
        old.answer_refer(202)
        self._tell(_TRYING)
        try:
            await self._bring(wanted)
            self._is_done = True
            self._tell(_OK, old)
            old.hang_up()
        except TransferFailed as failed:
            log.info("! not transferred", call=call.record.sid, status=failed.status)
            call.note("transfer.failed", sip_status=failed.status)
            self._tell(failed.status, old)
        except Exception as error:
            # The driver's catch-all of this task: a defect of ours ends this call, and no other.
            self._tell(_SERVER_ERROR, old)
            call.break_off(error)
        finally:
            call.transfer = None
        if self._is_done:
            await renew_partner(call)

    async def _bring(self, wanted: Referred) -> None:
        try:
            call, dialog = self._call, wanted.replaces
            consulted = None if dialog is None else find_call(call.services, dialog, call.account.sid)
            if consulted is not None:
                await self._take_from(consulted)
            else:
                await self._invite(wanted)
        except SdpError as error:
            raise TransferFailed(NOT_ACCEPTABLE) from error
        except MediaEngineError as error:
            raise TransferFailed(_SERVER_ERROR) from error

    async def _invite(self, wanted: Referred) -> None:
        """Call the newcomer; offered is what the connected two have agreed on, for nothing is transcoded."""
        call, services = self._call, self._call.services
        partner = call.partner
        assert partner is not None  # may_transfer
        destination = _destination(call, wanted.target)
        media = call.leg.media.successor(services.ids, destination.security, destination.latch)
        to = NameAddr(None, destination.to or destination.uri)
        party = party_of(to, services.ids, home=destination.home, accepts_refer=destination.accepts_refer)
        leg = Leg(services.driver, media, Guard(services, party, call.record.sid))
        headers = [*destination.headers, (CALL_SID_HEADER, call.record.sid)]
        # RFC 3892 §3: who sent it here; made up for a party that does not say.
        headers.append(("Referred-By", wanted.by or str(NameAddr(None, Uri.parse(call.party.aor)))))
        if wanted.replaces is not None:
            headers.append(("Replaces", str(wanted.replaces)))
        is_caller = partner.record.parent_call_sid is None
        shown = partner.record.from_ if is_caller else partner.record.to
        invite = Invite(
            target=destination.uri,
            from_=caller_address(services, shown, partner.party.name),
            to=to,
            offer=await media.describe_offer(call.leg.media.agreed),
            headers=headers,
            credentials=destination.credentials,
            redirects=destination.redirects,
            via=destination.way,
            # A trunk is where the configuration says, and a user where it has registered.
            confined=destination.home is None and call.leg.is_outside,
        )
        leg.invite(invite)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._answer_of(leg)
            await media.apply(answer)
        except TimeoutError:
            raise TransferFailed(_TIMEOUT) from None
        except BaseException:
            leg.hang_up()
            raise
        call.change_party(leg, party)

    async def _answer_of(self, leg: Leg) -> SessionDescription:
        while True:
            event: LegEvent = await leg.events.get()
            match event:
                case Ringing() | Progress():
                    self._tell(_RINGING)
                case Answered(sdp) if sdp is not None:
                    return sdp
                case Answered():
                    leg.hang_up()
                    raise TransferFailed(NOT_ACCEPTABLE)
                case Failed(status) | Redirected(status):
                    raise TransferFailed(status)
                case _:
                    pass

    async def _take_from(self, consulted: "Call") -> None:
        """Attended: the newcomer is at the other end of a call of ours that the same party has made or taken."""
        call, other = self._call, consulted.partner
        if other is None or consulted is call or consulted is call.partner:
            raise TransferFailed(_NO_SUCH_CALL)
        leg = other.leg
        media = call.leg.media.successor(call.services.ids, leg.media.security, leg.media.latch)
        media.follow(leg.media)  # RFC 3264 §8: for that party it is the same dialog
        try:
            answer = await leg.offer(await media.describe_offer(call.leg.media.agreed))
        except OfferRefused as refused:
            raise TransferFailed(refused.status) from refused
        await media.apply(answer)
        other.lose_leg()
        leg.media = media
        call.change_party(leg, other.party)
        consulted.hang_up()

    def _tell(self, status: int, leg: Leg | None = None) -> None:
        """RFC 3515 §2.4.5: progress, each status once."""
        if status != self._told:
            self._told = status
            (leg or self._call.leg).tell_transfer(status)


async def renew_partner(call: "Call") -> None:
    """Offer the newcomer's description to the other side, which may have been on hold, or agreed on more codecs."""
    try:
        if call.pairing is not None:
            await call.pairing.renew(call)
    except (OfferRefused, SdpError, MediaEngineError) as error:
        log.info("! the other side keeps its description", call=call.record.sid, problem=str(error))
    call.media_changed()
    if call.partner is not None:
        call.partner.media_changed()


def find_call(services: Services, replaces: Replaces, account_sid: str | None) -> "Call | None":
    """The live call at whose leg that dialog ends, as its other end names it; of that account, if one is given."""
    with services.driver.turn() as (agent, _):
        session = agent.find_session(replaces.call_id, replaces.to_tag, replaces.from_tag)
    return next(
        (
            other
            for other in services.live
            if session is not None and other.leg.session == session and account_sid in (None, other.account.sid)
        ),
        None,
    )


def _destination(call: "Call", target: Uri) -> Destination:
    """Whom a Refer-To means: a number, or a user of ours, if it names our own host; else just that URI."""
    services = call.services
    hosts = {services.settings.sip_host, *[host for host, _ in services.driver.addresses.values()]}
    try:
        if target.scheme == "tel" or (target.address in hosts and _is_number(target.username or "")):
            return number_destination(services, call.account, target.username or "")
        return sip_destinations(services, call.account, str(target), target)[0]
    except NoSuchUser as nobody:
        raise TransferFailed(nobody.status) from nobody
    except Refusal as refusal:
        raise TransferFailed(_NOT_FOUND) from refusal


def _is_number(user: str) -> bool:
    return user.removeprefix("+").isdigit()
