"""`<Pause>`: wait."""

import asyncio

from sidestream.calls.interpreter import Interpreter, Outcome
from sidestream.twiml.document import Pause


async def run(verb: Pause, interpreter: Interpreter) -> Outcome:
    """Unlike Say and Play it does not answer: a call that begins with it keeps ringing, as Twilio documents."""
    if verb.length > 0:
        interpreter.took_time()
        await asyncio.sleep(max(0.0, verb.length - interpreter.elapsed_s))
    return None
