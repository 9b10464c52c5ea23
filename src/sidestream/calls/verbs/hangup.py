"""`<Hangup>`: end the call."""

from sidestream.calls.interpreter import HangUp, Interpreter, Outcome
from sidestream.twiml.document import Hangup


async def run(_verb: Hangup, _interpreter: Interpreter) -> Outcome:
    return HangUp()
