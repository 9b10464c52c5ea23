"""The script of a call: its instructions, run with every verb there is."""

from sidestream.calls.call import Call
from sidestream.calls.interpreter import Interpreter, Resumption, Runners
from sidestream.calls.requests import Instructions
from sidestream.calls.verbs import dial, hangup, pause, play, redirect, reject, say, start, stop
from sidestream.twiml.document import Dial, Hangup, Pause, Play, Redirect, Reject, Say, Start, Stop

RUNNERS: Runners = {
    Dial: dial.run,
    Hangup: hangup.run,
    Pause: pause.run,
    Play: play.run,
    Redirect: redirect.run,
    Reject: reject.run,
    Say: say.run,
    Start: start.run,
    Stop: stop.run,
}


async def run_script(call: Call, instructions: Instructions, resumption: Resumption | None = None) -> None:
    """Run `instructions` on `call` until there is nothing more to do; the call is still up then."""
    interpreter = call.script.interpreter = Interpreter(call, RUNNERS)
    await interpreter.run(instructions, resumption)
