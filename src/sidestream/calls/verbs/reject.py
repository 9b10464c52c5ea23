"""`<Reject>`: refuse a call that nobody has answered yet."""

from sidestream.calls.bridge import LegPhase
from sidestream.calls.interpreter import HangUp, Interpreter, Outcome
from sidestream.calls.record import CallStatus
from sidestream.twiml.document import Reject

_BUSY = "busy"


async def run(verb: Reject, interpreter: Interpreter) -> Outcome:
    """486 for `busy`, 603 for `rejected`. On an answered call it does nothing but end the document."""
    call = interpreter.call
    if call.leg.phase is LegPhase.WAITING:
        is_busy = verb.reason == _BUSY
        call.refuse(
            486 if is_busy else 603,
            "Busy Here" if is_busy else "Decline",
            CallStatus.BUSY if is_busy else CallStatus.NO_ANSWER,
        )
    return HangUp()
