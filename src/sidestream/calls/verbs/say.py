"""`<Say>`: speak a text to the caller."""

from sidestream.calls.interpreter import Interpreter, Outcome
from sidestream.calls.playback import play_file
from sidestream.calls.speech import SpeechUnavailable
from sidestream.twiml.document import Say

_NO_SPEECH = 13520  # Say: the text could not be spoken


async def run(verb: Say, interpreter: Interpreter) -> Outcome:
    """A text that cannot be spoken is an alert; the call goes on with the next verb."""
    call = interpreter.call
    await call.ensure_answered()
    try:
        path = await call.services.speech.spoken(verb.text, voice=verb.voice, language=verb.language)
    except SpeechUnavailable as error:
        interpreter.report(_NO_SPEECH, f"<Say>: {error.reason}")
        return None
    interpreter.took_time()
    await play_file(call, path, loops=verb.loop)
    return None
