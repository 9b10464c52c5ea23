"""Fetching what a call is to do: TwiML documents, and the audio that they play."""

from dataclasses import dataclass

from sidestream.accounts.account import Account
from sidestream.base.ids import Ids
from sidestream.debugger.debugger import Debugger
from sidestream.webhooks import failures
from sidestream.webhooks.client import DOCUMENT_LIMIT, Answer, CallCookies, HttpClient, WebRequest
from sidestream.webhooks.failures import FetchError
from sidestream.webhooks.parameters import Parameters, fallback_parameters

AUDIO_LIMIT = 40 * 1024 * 1024  # bytes: an hour and a half of 8 kHz µ-law; more is a mistake, and is held in memory
_TOKEN_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document or audio. `url` is where it came from after redirects: relative URLs in it are resolved against it.

    `media_type` is lower case and without parameters, "" when the application named none.
    """

    url: str
    media_type: str
    charset: str | None
    body: bytes
    status: int = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What primary and fallback URL gave together: `fetched` is None when both failed.

    `failures` are the one or two errors on the way, in order. They are reported already.
    """

    fetched: Fetched | None
    failures: tuple[FetchError, ...] = ()


class DocumentFetcher:
    """Asks applications for documents, signed with the account's token."""

    def __init__(self, http: HttpClient, ids: Ids, debugger: Debugger) -> None:
        self._http = http
        self._ids = ids
        self._debugger = debugger

    async def fetch(
        self,
        url: str,
        method: str,
        parameters: Parameters,
        account: Account,
        *,
        call_sid: str,
        cookies: CallCookies | None = None,
    ) -> Fetched:
        """The document at `url`, which may be audio too. `method` is GET or POST.

        Raises FetchError when there is no answer, a status of 4xx or 5xx, an empty body or TwiML over 64 kB. The error
        is not reported: the caller does it, or uses `fetch_with_fallback`.
        """
        answer = await self._ask("voice", url, method, parameters, account, call_sid, cookies)
        return _usable(answer, method)

    async def fetch_with_fallback(
        self,
        url: str,
        method: str,
        fallback: tuple[str, str] | None,
        parameters: Parameters,
        account: Account,
        *,
        call_sid: str,
        cookies: CallCookies | None = None,
    ) -> Outcome:
        """The document at `url`, else that of `fallback` (URL, method), which is told ErrorCode and ErrorUrl.

        Raises nothing; every failure is reported to the debugger.
        """
        try:
            fetched = await self.fetch(url, method, parameters, account, call_sid=call_sid, cookies=cookies)
        except FetchError as error:
            first = error
            self.report(first, account, call_sid)
        else:
            return Outcome(fetched)
        if fallback is None:
            return Outcome(None, (first,))
        told = fallback_parameters(parameters, first.code, first.url)
        try:
            fetched = await self.fetch(fallback[0], fallback[1], told, account, call_sid=call_sid, cookies=cookies)
        except FetchError as error:
            self.report(error, account, call_sid)
            return Outcome(None, (first, error))
        return Outcome(fetched, (first,))

    async def fetch_audio(self, url: str, account: Account, *, call_sid: str) -> Fetched:
        """What `<Play>` plays, by GET and without parameters. Raises FetchError, which is not reported."""
        answer = await self._ask("media", url, "GET", (), account, call_sid, None)
        return _usable(answer, "GET")

    def report(self, error: FetchError, account: Account, call_sid: str) -> None:
        """Tell the debugger of a failed request of a call."""
        self._debugger.report(
            error.code,
            account_sid=account.sid,
            call_sid=call_sid,
            text=error.reason,
            request_method=error.method,
            request_url=error.url,
            details=error.details | ({"httpResponse": str(error.status)} if error.status is not None else {}),
        )

    async def _ask(
        self,
        kind: str,
        url: str,
        method: str,
        parameters: Parameters,
        account: Account,
        call_sid: str,
        cookies: CallCookies | None,
    ) -> Answer:
        answer = await self._http.request(
            WebRequest(
                kind=kind,
                url=url,
                method=method,
                parameters=parameters,
                auth_token=account.auth_token,
                token=self._ids.hex(_TOKEN_DIGITS),
                call_sid=call_sid,
                cookies=cookies,
                body_limit=_body_limit if kind == "voice" else _audio_limit,
            )
        )
        for problem in answer.problems:
            self._debugger.report(
                problem.code,
                account_sid=account.sid,
                call_sid=call_sid,
                text=problem.message,
                request_method=method,
                request_url=answer.public_url,
            )
        return answer


def _usable(answer: Answer, method: str) -> Fetched:
    url = answer.public_url
    if answer.is_error:
        raise FetchError(
            failures.HTTP_ERROR_STATUS,
            f"The application answered with HTTP status {answer.status}",
            url=url,
            method=method,
            status=answer.status,
            attempts=answer.attempts,
        )
    if answer.is_cut:
        reason = f"The answer is longer than {len(answer.body)} bytes"
        raise FetchError(failures.DOCUMENT_TOO_LARGE, reason, url=url, method=method, status=answer.status)
    if not answer.body:
        raise FetchError(failures.DOCUMENT_EMPTY, "The answer is empty", url=url, method=method, status=answer.status)
    return Fetched(answer.url, answer.media_type, answer.charset, answer.body, answer.status)


def _body_limit(media_type: str) -> int:
    return AUDIO_LIMIT if media_type.startswith("audio/") else DOCUMENT_LIMIT


def _audio_limit(_media_type: str) -> int:
    return AUDIO_LIMIT
