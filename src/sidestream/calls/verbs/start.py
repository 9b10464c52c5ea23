"""`<Start><Siprec>`: begin streams and go on at once."""

from sidestream.calls.interpreter import Interpreter, Outcome
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import StartSiprec
from sidestream.twiml.document import Start


async def run(verb: Start, interpreter: Interpreter) -> Outcome:
    """A stream that cannot start is an alert and never ends the call (contract 11.3).

    `action` has no effect: the next verb runs at once, and what follows must not depend on an attribute of a stream.
    """
    for noun in verb.siprecs:
        callback = interpreter.absolute(noun.status_callback) if noun.status_callback else None
        wanted = StartSiprec(
            name=noun.name,
            connector_name=noun.connector_name,
            track=noun.track,
            status_callback=callback,
            status_callback_method=noun.status_callback_method,
            parameters=noun.parameters,
        )
        try:
            interpreter.call.streams.start(wanted, started_by="twiml")
        except Refusal as refusal:
            interpreter.report(refusal.code, f"<Siprec> not started: {refusal.message}")
    return None
