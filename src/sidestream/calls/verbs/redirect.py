"""`<Redirect>`: go on with another document."""

from sidestream.calls.interpreter import GoTo, HangUp, Interpreter, Outcome
from sidestream.twiml.document import Redirect


async def run(verb: Redirect, interpreter: Interpreter) -> Outcome:
    if not verb.url:
        return GoTo(None, verb.method)
    url = interpreter.absolute(verb.url)
    return HangUp() if url is None else GoTo(url, verb.method)
