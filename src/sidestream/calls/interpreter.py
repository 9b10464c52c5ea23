"""Runs TwiML on a call: fetches a document, runs its verbs one by one, follows where they lead."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sidestream.base.logs import get_logger
from sidestream.calls.image import Heading, ScriptImage, SourceImage
from sidestream.calls.leg_media import NOT_ACCEPTABLE
from sidestream.calls.progress import call_parameters
from sidestream.calls.record import CallStatus
from sidestream.calls.refusal import RETRY_AFTER_S
from sidestream.calls.requests import Instructions
from sidestream.debugger.alert import Level
from sidestream.media.engine import MediaEngineError
from sidestream.sdp.error import SdpError
from sidestream.sip.reasons import reason_phrase
from sidestream.twiml.document import Dial, Document, Hangup, Problem, Verb
from sidestream.twiml.parser import parse_twiml
from sidestream.webhooks.client import CallCookies
from sidestream.webhooks.parameters import Parameters, fallback_parameters, voice_parameters
from sidestream.webhooks.target_url import InvalidUrl, resolve

if TYPE_CHECKING:
    from sidestream.calls.call import Call

log = get_logger("calls")

DOCUMENT_LIMIT = 200  # documents one call may fetch in a row without a verb that takes time: a redirect loop

_SERVER_ERROR = 500
_UNAVAILABLE = 503
_NO_DOCUMENT = 12100  # document parse failure


@dataclass(frozen=True, slots=True)
class GoTo:
    """Leave the document for another one. `url` is absolute, or None for the current document once more."""

    url: str | None
    method: str = "POST"
    parameters: Parameters | None = None  # those of the request; None: the standard ones


@dataclass(frozen=True, slots=True)
class HangUp:
    """Leave the document and end the call."""


Outcome = GoTo | HangUp | None  # None: go on with the next verb


@dataclass(frozen=True, slots=True)
class Source:
    """Where the current document came from, and how it came. `url` None: it was given inline."""

    url: str | None
    method: str
    document: Document
    body: bytes = b""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where instructions go on after a restart. `dialled`: the call that a running Dial has connected."""

    image: ScriptImage
    dialled: "Call | None"


# One runner a verb: it does the verb and says what comes next. Each takes its own verb's type: Any in a mapping.
Runners = Mapping[type, Callable[[Any, "Interpreter"], Awaitable[Outcome]]]


class Interpreter:
    """Runs the instructions of one call until a document ends, a verb ends the call, or it is cancelled."""

    def __init__(self, call: "Call", runners: "Runners") -> None:
        self.call = call
        self._runners = runners
        self._cookies = CallCookies()
        self.source: Source | None = None
        self.dialled: Call | None = None  # whom the running Dial has connected
        self.elapsed_s = 0.0  # of a verb that goes on after a restart: how long it had run
        self._instructions: Instructions | None = None
        self._index = 0
        self._began_at: datetime | None = None  # the verb of that index
        self._heading: GoTo | None = None
        self._instant_documents = 0

    async def run(self, instructions: Instructions, resumption: Resumption | None = None) -> None:
        """Returns when there is nothing more to do; the caller then ends the call. Never raises for bad TwiML."""
        self._instructions = instructions
        try:
            if resumption is None:
                usable = await self._load_first(instructions)
            else:
                usable = await self._take_up(instructions, resumption)
            while usable:
                outcome = await self._run_document()
                if not isinstance(outcome, GoTo):
                    return
                usable = await self._follow(outcome, instructions)
            # A caller that nobody answered yet hears that it is our side that failed, not that it was declined.
            self._refuse(_SERVER_ERROR)
        except (SdpError, MediaEngineError) as error:
            # The verb needed media that cannot be had: no common codec, or no engine.
            log.error("! no media for the call", call=self.call.record.sid, problem=str(error))
            self.call.services.debugger.report(
                32102 if isinstance(error, SdpError) else error.alert,
                account_sid=self.call.account.sid,
                call_sid=self.call.record.sid,
                text=f"The call has no usable media: {error}",
            )
            if isinstance(error, SdpError):
                self._refuse(NOT_ACCEPTABLE)
            else:
                self._refuse(_UNAVAILABLE, (("Retry-After", str(RETRY_AFTER_S)),) if error.is_busy else ())

    def image(self) -> ScriptImage | None:
        """Where the instructions are; None in the midst of dialling, which cannot be taken up."""
        if self._instructions is None:
            return None
        source, heading = self.source, self._heading
        if source is None:
            return ScriptImage(self._instructions, cookies=self._cookies.image())
        verbs = source.document.verbs
        is_dialling = heading is None and self._index < len(verbs) and isinstance(verbs[self._index], Dial)
        if is_dialling and (self.dialled is None or self.dialled.over.is_set()):
            return None
        return ScriptImage(
            self._instructions,
            SourceImage(source.url, source.method, source.body, source.content_type),
            self._index,
            self._began_at,
            Heading(heading.url, heading.method, heading.parameters) if heading is not None else None,
            self.dialled.record.sid if self.dialled is not None else None,
            self._cookies.image(),
        )

    def connected(self, dialled: "Call | None") -> None:
        """The running Dial has connected this call, or has come to its end."""
        self.dialled = dialled
        self.call.changed()

    async def _take_up(self, instructions: Instructions, resumption: Resumption) -> bool:
        """Be where the image was taken; False if the document cannot be run."""
        image = resumption.image
        self._cookies = CallCookies(image.cookies)
        if image.source is None:
            return await self._load_first(instructions)
        kept = image.source
        document, _ = parse_twiml(kept.body, kept.content_type)
        self.source = Source(kept.url, kept.method, document or Document(), kept.body, kept.content_type)
        if image.heading is not None:
            heading = GoTo(image.heading.url, image.heading.method, image.heading.parameters)
            return await self._follow(heading, instructions)
        self._index, self._began_at, self.dialled = image.index, image.began_at, resumption.dialled
        if image.began_at is not None:
            self.elapsed_s = max(0.0, (self.call.services.clock.wall() - image.began_at).total_seconds())
        return document is not None

    def _refuse(self, status: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.call.refuse(status, reason_phrase(status), CallStatus.FAILED, headers)

    def absolute(self, url: str) -> str | None:
        """A URL of the current document as an absolute one; None, with an alert, if it cannot be."""
        base = self.source.url if self.source is not None else None
        try:
            if base is None and "://" not in url:
                # twilio.md 8: TwiML given inline has no URL that a relative one could start from.
                self.report(15004, f"'{url}' is relative, and inline TwiML has no URL of its own")
                return None
            return resolve(base or url, url)
        except InvalidUrl as error:
            self.report(11100, f"'{url}': {error.reason}")
            return None

    def report(self, code: int, text: str) -> None:
        """An alert about the current document."""
        self.call.services.debugger.report(
            code,
            account_sid=self.call.account.sid,
            call_sid=self.call.record.sid,
            text=text,
            request_url=self.source.url if self.source is not None else None,
            request_method=self.source.method if self.source is not None else None,
        )

    def took_time(self) -> None:
        """A verb that lasts has run, so this is no redirect loop."""
        self._instant_documents = 0

    async def _run_document(self) -> Outcome:
        assert self.source is not None  # _load came first
        verbs = self.source.document.verbs
        while self._index < len(verbs):
            verb = verbs[self._index]
            if self._began_at is None:
                self._begin(verb)
            outcome: Outcome = await self._runners[type(verb)](verb, self)
            self._began_at, self.elapsed_s = None, 0.0
            if outcome is not None:
                return outcome
            self._index += 1
        return None

    def _begin(self, verb: Verb) -> None:
        self._began_at = self.call.services.clock.wall()
        self.call.note(f"twiml.{type(verb).__name__.lower()}")
        if not isinstance(verb, Hangup):
            self.call.farewell = None  # what ends the call now is no longer the dialled leg's end
        self.call.changed()

    async def _follow(self, goto: GoTo, instructions: Instructions) -> bool:
        self._heading = goto
        try:
            return await self._go(goto, instructions)
        finally:
            self._heading, self._index, self._began_at = None, 0, None

    async def _go(self, goto: GoTo, instructions: Instructions) -> bool:
        self._instant_documents += 1
        if self._instant_documents > DOCUMENT_LIMIT:
            self.report(11215, f"{DOCUMENT_LIMIT} documents in a row without a verb that takes time")
            return False
        assert self.source is not None  # a document said where to go
        url, method = goto.url or self.source.url, goto.method
        if url is None:
            return True  # the inline document once more
        return await self._fetch(url, method, goto.parameters, instructions)

    async def _load_first(self, instructions: Instructions) -> bool:
        if instructions.url is not None:
            if instructions.twiml is not None:
                self.report(32019, "Both Url and Twiml are set; Url is used")
            return await self._fetch(instructions.url, instructions.method, None, instructions)
        body = (instructions.twiml or "").encode()
        document, problems = parse_twiml(body)
        return self._take(Source(None, "POST", document or Document(), body), problems, usable=document is not None)

    async def _fetch(self, url: str, method: str, parameters: Parameters | None, instructions: Instructions) -> bool:
        fallback = (instructions.fallback_url, instructions.fallback_method) if instructions.fallback_url else None
        outcome = await self.call.services.fetcher.fetch_with_fallback(
            url,
            method,
            fallback,
            parameters if parameters is not None else self.parameters(),
            self.call.account,
            call_sid=self.call.record.sid,
            cookies=self._cookies,
        )
        fetched = outcome.fetched
        if fetched is None:
            return False
        content_type = fetched.media_type + (f"; charset={fetched.charset}" if fetched.charset else "")
        document, problems = parse_twiml(fetched.body, content_type or None, url=fetched.url)
        source = Source(fetched.url, method, document or Document(), fetched.body, content_type or None)
        if self._take(source, problems, usable=document is not None):
            return True
        if fallback is None or outcome.failures:
            return False
        # twiml that cannot be run is a failure of the URL like any other: the fallback is told of it.
        code = next((problem.code for problem in problems if problem.level is Level.ERROR), _NO_DOCUMENT)
        told = fallback_parameters(self.parameters(), code, fetched.url)
        return await self._fetch(*fallback, told, replace(instructions, fallback_url=None))

    def _take(self, source: Source, problems: tuple[Problem, ...], *, usable: bool) -> bool:
        self.source = source
        self._index, self._began_at = 0, None
        for problem in problems:
            line = f" (line {problem.line})" if problem.line is not None else ""
            self.report(problem.code, problem.message + line)
        return usable and not any(problem.level is Level.ERROR for problem in problems)

    def parameters(self) -> Parameters:
        """Of a request for a document of this call."""
        return voice_parameters(call_parameters(self.call.record), self.call.sip_parameters)
