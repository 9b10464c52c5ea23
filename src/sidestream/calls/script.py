"""The script of a call: its instructions, run with every verb there is."""

from sidestream.calls.call import Call
from sidestream.calls.interpreter import Interpreter, Resumption, Runners
from sidestream.calls.playback import send_digits
from sidestream.calls.requests import Instructions
from sidestream.calls.verbs import dial, hangup, pause, play, redirect, reject, say, start, stop
from sidestream.media.engine import MediaEngineError
from sidestream.twiml.document import Dial, Hangup, Pause, Play, Redirect, Reject, Say, Start, Stop

_NO_MEDIA = 31900

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
    if instructions.digits is not None and resumption is None:
        await _dial(call, instructions.digits)
    interpreter = call.script.interpreter = Interpreter(call, RUNNERS)
    await interpreter.run(instructions, resumption)


async def _dial(call: Call, digits: str) -> None:
    """Digits that cannot be sent are an alert; what the call is for comes all the same."""
    try:
        await send_digits(call, digits)
    except MediaEngineError as error:
        call.services.debugger.report(
            _NO_MEDIA,
            account_sid=call.account.sid,
            call_sid=call.record.sid,
            text=f"The digits were not sent: {error}",
        )
