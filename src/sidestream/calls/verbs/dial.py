"""`<Dial>`: call others and connect the first that answers."""

import asyncio

from sidestream.base.flag import any_of
from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call import Call
from sidestream.calls.destinations import Destination, number_destination, sip_destinations
from sidestream.calls.interpreter import GoTo, Interpreter, Outcome
from sidestream.calls.outgoing import Callbacks, place
from sidestream.calls.pairing import Pairing
from sidestream.calls.playback import play_file, send_digits
from sidestream.calls.progress import call_parameters
from sidestream.calls.record import CallStatus
from sidestream.calls.refusal import Refusal
from sidestream.calls.users import NoSuchUser
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.sip.digest import DigestCredentials
from sidestream.twiml.document import Dial, DialNumber, DialSip, DialTarget
from sidestream.webhooks.parameters import DialOutcome, dial_parameters

log = get_logger("calls")

_NOT_DIALLED = 13201  # Dial: the call could not be placed
_NO_MEDIA = 31900
# RFC 3326 §3: so that a phone does not list a missed call.
TAKEN_ELSEWHERE = 'SIP ;cause=200 ;text="Call completed elsewhere"'
_UNAVAILABLE = 480  # RFC 3261 §21.4.18: known, but not registered


async def run(verb: Dial, interpreter: Interpreter) -> Outcome:
    """Returns when the connection is over or nobody answered; `action` then decides what comes next."""
    call = interpreter.call
    call.star_pressed.clear()
    if not verb.answer_on_bridge:
        await call.ensure_answered()
    # One that was connected before a restart is not dialled again.
    winner: Call | None = interpreter.dialled
    children: list[Call] = [winner] if winner is not None else []
    digits: dict[Call, str] = {}
    absent: int | None = None
    try:
        if winner is not None:
            interpreter.took_time()
            await _talk(verb, interpreter, winner)
        else:
            absent = await _place_all(verb, interpreter, children, digits)
        if children and winner is None:
            interpreter.took_time()
            winner = await _connect(verb, interpreter, children, digits)
    finally:
        await _clear_away(children, call)
        interpreter.connected(None)
    call.dial_outcome = outcome = _outcome(winner, children, absent)
    # RFC 3326: why one side ended the call is for the other to know, if that ends the call.
    chosen = winner or (children[-1] if children else None)
    call.farewell = chosen.end_reason if chosen is not None else None
    if verb.action is None:
        return None
    url = interpreter.absolute(verb.action)
    return None if url is None else GoTo(url, verb.method, dial_parameters(call_parameters(call.record), outcome))


async def _place_all(verb: Dial, interpreter: Interpreter, children: list[Call], digits: dict[Call, str]) -> int | None:
    """Invite every target that can be, into `children` and `digits` what each is sent first; the others are alerts.

    Returns the SIP status that stands for targets in our own domains who cannot be called now; None without any.
    """
    call = interpreter.call
    absent: int | None = None
    for target in verb.targets:
        try:
            places = _destinations(target, call)
            alone = len(verb.targets) == len(places) == 1
            for destination in places:
                child = await _place(target, destination, verb, interpreter)
                child.pairing = Pairing(call, child, call.services.engine, alone=alone)
                child.partner = call
                children.append(child)
                if isinstance(target, DialNumber) and target.send_digits:
                    digits[child] = target.send_digits
        except Refusal as refusal:
            interpreter.report(refusal.code, f"<Dial>: {refusal.message}")
        except NoSuchUser as nobody:
            # Nothing to alert anybody about: a phone is switched off, say.
            log.info("! nobody to dial", call=call.record.sid, problem=str(nobody))
            call.note("dial.absent", sip_status=nobody.status)
            absent = max(absent or 0, nobody.status)
        except (SdpError, MediaEngineError) as error:
            code = error.alert if isinstance(error, MediaEngineError) and error.is_busy else _NOT_DIALLED
            interpreter.report(code, f"<Dial>: no media for the dialled leg: {error}")
    return absent


async def _place(target: DialTarget, destination: Destination, verb: Dial, interpreter: Interpreter) -> Call:
    call = interpreter.call
    callbacks = Callbacks()
    if target.callbacks is not None:
        url = interpreter.absolute(target.callbacks.url)
        callbacks = Callbacks(url, target.callbacks.method, target.callbacks.events)
    return await place(
        call.services,
        call.account,
        destination,
        caller=verb.caller_id or call.record.from_,
        callbacks=callbacks,
        parent=call,
    )


def _destinations(target: DialTarget, call: Call) -> tuple[Destination, ...]:
    """Where to call for a target: a registered user has a place for each phone. Raises Refusal, NoSuchUser."""
    match target:
        case DialNumber(number=number):
            return (number_destination(call.services, call.account, number),)
        case DialSip(uri, headers, username, password, secure):
            credentials = None
            if username is not None:
                credentials = DigestCredentials(username, password.reveal() if password is not None else "")
            return sip_destinations(call.services, call.account, str(uri), uri, credentials, headers, secure=secure)


async def _connect(verb: Dial, interpreter: Interpreter, children: list[Call], digits: dict[Call, str]) -> Call | None:
    """Wait for an answer, then for the end; returns who answered. The caller clears away, also when cancelled."""
    call = interpreter.call
    ringing: asyncio.Task[None] | None = None
    dialling: asyncio.Task[None] | None = None
    try:
        if call.leg.phase is LegPhase.ESTABLISHED:
            ringing = asyncio.create_task(_play_ringing(call, children))
        winner = await _first_answer(children, verb.timeout)
        if winner is None:
            _release(children, call, CallStatus.NO_ANSWER)
        else:
            others = [child for child in children if child is not winner]
            _release(others, call, CallStatus.CANCELED, TAKEN_ELSEWHERE)
            if winner in digits:
                dialling = asyncio.create_task(_send_digits(call, winner, digits[winner]))
            await _talk(verb, interpreter, winner)
        return winner
    finally:
        if dialling is not None:
            dialling.cancel()
            await asyncio.wait([dialling])
        _release(children, call, CallStatus.CANCELED)
        if ringing is not None:
            ringing.cancel()
            await asyncio.wait([ringing])


async def _send_digits(call: Call, winner: Call, digits: str) -> None:
    """Dial an extension, say. The two hear each other already, but for the caller while the digits are sent."""
    try:
        await send_digits(call, digits, media=winner.leg.media)
    except MediaEngineError as error:
        log.info("! digits not sent", call=winner.record.sid, problem=str(error))
        call.services.debugger.report(
            _NO_MEDIA,
            account_sid=call.account.sid,
            call_sid=winner.record.sid,
            text=f"<Number sendDigits>: the digits were not sent: {error}",
        )


async def _clear_away(children: list[Call], call: Call) -> None:
    """Leave no dialled call behind, and nobody joined with one."""
    _release(children, call, CallStatus.CANCELED)  # also those of a Dial that was cancelled while it placed them
    for child in children:
        # Also those that were never joined: an answer of theirs may still wait to be read.
        if child.pairing is not None:
            await child.pairing.part()
    for child in children:
        await child.over.wait()


async def _first_answer(children: list[Call], timeout_s: float) -> Call | None:
    """The call that is joined with the caller first; None if all ended or nobody answered in time."""
    waiting, clock = children, asyncio.get_running_loop()
    deadline = clock.time() + timeout_s
    while waiting:
        flags = [flag for child in waiting for flag in (child.answered, child.over)]
        if not await any_of(flags, limit_s=max(0.0, deadline - clock.time())):
            return None
        for child in waiting:
            if child.answered.is_set():
                return child
        waiting = [child for child in waiting if not child.over.is_set()]
    return None


async def _talk(verb: Dial, interpreter: Interpreter, winner: Call) -> None:
    """Until the dialled call ends, its time is up, or the caller presses `*`."""
    call, talked_s = interpreter.call, 0.0
    interpreter.connected(winner)
    if winner.record.start_time is not None:
        talked_s = (call.services.clock.wall() - winner.record.start_time).total_seconds()
    ends = [winner.over, call.star_pressed] if verb.hangup_on_star else [winner.over]
    await any_of(ends, limit_s=max(0.0, verb.time_limit - talked_s))


async def _play_ringing(call: Call, children: list[Call]) -> None:
    """The ringing tone, until the caller hears somebody or everybody is gone."""
    try:
        path = await call.services.audio.ringing_tone()
    except OSError as error:
        log.error("! no ringing tone", call=call.record.sid, problem=str(error))
        return
    tone = asyncio.ensure_future(play_file(call, path, loops=0))
    heard = [asyncio.ensure_future(child.pairing.audible.wait()) for child in children if child.pairing is not None]
    try:
        await asyncio.wait([tone, *heard], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (tone, *heard):
            task.cancel()
        await asyncio.wait([tone])
        if not tone.cancelled():
            tone.exception()  # a tone that cannot be played is no reason to fail the call


def _release(children: list[Call], call: Call, unanswered_as: CallStatus, reason: str | None = None) -> None:
    """End the dialled calls that still live; the reason the caller gave goes with it, if there is no other."""
    for child in children:
        if not child.over.is_set():
            child.hang_up(unanswered_as, reason=reason or call.end_reason)


def _outcome(winner: Call | None, children: list[Call], absent: int | None) -> DialOutcome:
    chosen = winner or (children[-1] if children else None)
    if chosen is None and absent is not None:
        status = CallStatus.NO_ANSWER if absent == _UNAVAILABLE else CallStatus.FAILED
        return DialOutcome(status.value, sip_response_code=absent)
    if chosen is None:
        return DialOutcome(CallStatus.FAILED.value)
    return DialOutcome(
        status=chosen.record.status.value if winner is None else CallStatus.COMPLETED.value,
        call_sid=chosen.record.sid,
        duration_s=chosen.record.duration if winner is not None else None,
        bridged=winner is not None,
        sip_call_id=chosen.record.sip_call_id,
        sip_response_code=chosen.record.sip_response_code,
    )
