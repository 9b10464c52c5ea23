"""`<Stop><Siprec>`: end streams, whoever started them, and go on at once."""

from sidestream.calls.interpreter import Interpreter, Outcome
from sidestream.twiml.document import Stop


async def run(verb: Stop, interpreter: Interpreter) -> Outcome:
    """Without a name it means the stream started last; one that is not running is a warning (contract 11.3)."""
    streams = interpreter.call.streams
    for noun in verb.siprecs:
        siprec = streams.find(noun.name) if noun.name else streams.latest()
        if siprec is None:
            which = f"named '{noun.name}'" if noun.name else "in progress"
            interpreter.report(12200, f"<Stop>: the call has no Siprec {which}")
            continue
        streams.stop(siprec.sid, by="twiml")
    return None
