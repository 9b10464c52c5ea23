"""`<Play>`: play an audio file to the caller, or dial digits."""

from sidestream.calls.audio import AudioError
from sidestream.calls.interpreter import Interpreter, Outcome
from sidestream.calls.playback import play_file, send_digits
from sidestream.twiml.document import Play
from sidestream.webhooks.failures import FetchError

_NOT_AUDIO = 12300  # the content type, or the content, is not what Play can play


async def run(verb: Play, interpreter: Interpreter) -> Outcome:
    """A file that cannot be fetched or decoded is an alert; the call goes on with the next verb."""
    call = interpreter.call
    if verb.digits:
        await call.ensure_answered()
        interpreter.took_time()
        await send_digits(call, verb.digits)
        return None
    url = interpreter.absolute(verb.url)
    if url is None:
        return None
    await call.ensure_answered()
    try:
        fetched = await call.services.fetcher.fetch_audio(url, call.account, call_sid=call.record.sid)
        path = await call.services.audio.prepared(fetched.body)
    except FetchError as error:
        call.services.fetcher.report(error, call.account, call.record.sid)
        return None
    except AudioError as error:
        interpreter.report(_NOT_AUDIO, f"<Play>: {url} is {error}")
        return None
    interpreter.took_time()
    await play_file(call, path, loops=verb.loop)
    return None
