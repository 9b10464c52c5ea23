"""The one HTTP client of the platform: requests to the applications of its accounts."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from types import SimpleNamespace
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from sidestream import __version__
from sidestream.base.clock import Clock
from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics
from sidestream.webhooks import failures
from sidestream.webhooks.failures import FailureKind, FetchError
from sidestream.webhooks.overrides import ConnectionOverrides, OverrideProblem
from sidestream.webhooks.overrides import parse as parse_overrides
from sidestream.webhooks.parameters import Parameters
from sidestream.webhooks.signature import SIGNATURE_HEADER, sign
from sidestream.webhooks.target_url import InvalidUrl, TargetUrl

DOCUMENT_LIMIT = 64 * 1024  # bytes of TwiML; the documented limit of error 11750
REDIRECT_LIMIT = 5  # an application that redirects more often than this does so in a circle
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"

_METHODS = ("GET", "POST")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_NEVER_CEIL = 3600.0  # aiohttp rounds longer time-outs up to whole seconds, which would make 5.1 s into 6 s

log = get_logger("webhooks")


class CallCookies:
    """The cookies that the application of one call has set. Make one a call, hand it to every request of the call."""

    __slots__ = ("_jar", "_kept")

    def __init__(self, kept: tuple[tuple[str, str], ...] = ()) -> None:
        """`kept`: what `image` of another one returned."""
        self._jar: aiohttp.CookieJar | None = None
        self._kept: dict[tuple[str, str], str] = {}
        for url, text in kept:
            self._keep(URL(url), SimpleCookie(text))

    def image(self) -> tuple[tuple[str, str], ...]:
        """What they were made of: the URL that set each, and the text of its Set-Cookie field."""
        return tuple((url, text) for (url, _), text in self._kept.items())

    def header_for(self, target: TargetUrl) -> str | None:
        """The value of the Cookie header for `target`, None without one."""
        if self._jar is None:
            return None
        cookies = self._jar.filter_cookies(target.request)
        return "; ".join(f"{name}={morsel.coded_value}" for name, morsel in cookies.items()) or None

    def keep(self, target: TargetUrl, response: aiohttp.ClientResponse) -> None:
        """Take over what the application set."""
        if response.cookies:
            self._keep(target.request, response.cookies)

    def _keep(self, url: URL, cookies: SimpleCookie) -> None:
        for name, morsel in cookies.items():
            self._kept[str(url.with_query(None)), name] = morsel.OutputString()
        if self._jar is None:
            # `unsafe` lets hosts without a name set cookies too, as an application on a private address does.
            self._jar = aiohttp.CookieJar(unsafe=True)
        self._jar.update_cookies(cookies, url)


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request to an application; retries and redirects belong to it.

    `url` may carry connection overrides. `token` is the idempotency token: the same for every attempt, also of a
    request taken up again after a restart. `body_limit` gives the bytes to read of an answer by its media type.
    """

    kind: str  # "voice", "media", "call" or "siprec": the metric's label
    url: str
    method: str
    parameters: Parameters
    auth_token: str = field(repr=False)
    token: str
    call_sid: str
    cookies: CallCookies | None = None
    body_limit: Callable[[str], int] = lambda _media_type: DOCUMENT_LIMIT


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application said, whatever its status.

    `url` is where the answer came from after redirects, with user info and without a fragment. `body` holds at most the
    request's limit; `is_cut` says that there was more. `media_type` is lower case, without parameters, "" if absent.
    """

    url: str
    status: int
    media_type: str
    charset: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool
    attempts: int
    seconds: float
    problems: tuple[OverrideProblem, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.status >= 400

    @property
    def public_url(self) -> str:
        """`url` without user info, for alerts."""
        return TargetUrl.parse(self.url).bare


class HttpClient:
    """One connection pool for all outgoing requests. Use it on one event loop; `close` it at the end.

    Certificates are checked against the system's store, or against `tls` if given.
    """

    def __init__(self, *, clock: Clock, metrics: Metrics, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._tls = tls
        self._nameless_tls: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None

    async def request(self, request: WebRequest) -> Answer:
        """Ask, and ask again as the URL's overrides say; at the latest after their total time this returns or raises.

        Raises FetchError when there was no HTTP answer. An answer of 4xx or 5xx is an answer.
        """
        started = self._clock.monotonic()
        try:
            answer = await self._with_retries(request, started)
        except FetchError as error:
            self._metrics.webhooks_total.labels(request.kind, "failed").inc()
            log.warning("! webhook failed", call=request.call_sid, kind=request.kind, code=error.code)
            raise
        self._metrics.webhooks_total.labels(request.kind, f"{answer.status // 100}xx").inc()
        log.info("< webhook", call=request.call_sid, kind=request.kind, status=answer.status, seconds=answer.seconds)
        return answer

    async def close(self) -> None:
        """Close every connection. Requests that are running fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _with_retries(self, request: WebRequest, started: float) -> Answer:
        url, overrides, problems = parse_overrides(request.url)
        method = request.method.upper()
        if method not in _METHODS:
            raise ValueError(f"method must be GET or POST, not {request.method}")
        try:
            target = TargetUrl.parse(url)
        except InvalidUrl as error:
            raise FetchError(failures.INVALID_URL, str(error), url=url, method=method, attempts=0) from error
        attempts = 0
        try:
            async with asyncio.timeout(overrides.total_ms / 1000):
                while True:
                    attempts += 1
                    may_retry = attempts <= overrides.retries
                    log.info("> webhook", call=request.call_sid, kind=request.kind, method=method, url=target.loggable)
                    try:
                        exchange = await self._attempt(request, method, target, overrides)
                    except FetchError as error:
                        if may_retry and error.kind in overrides.retry_on:
                            continue
                        error.attempts = attempts
                        raise
                    if not (may_retry and f"{exchange.status // 100}xx" in overrides.retry_on):
                        break
        except TimeoutError as error:
            reason = f"No answer within {overrides.total_ms} ms in all"
            raise FetchError(
                failures.TOTAL_TIMEOUT, reason, url=target.bare, method=method, kind=FailureKind.READ, attempts=attempts
            ) from error
        return Answer(
            url=exchange.url,
            status=exchange.status,
            media_type=exchange.media_type,
            charset=exchange.charset,
            headers=exchange.headers,
            body=exchange.body,
            is_cut=exchange.is_cut,
            attempts=attempts,
            seconds=self._clock.monotonic() - started,
            problems=problems,
        )

    async def _attempt(
        self, request: WebRequest, method: str, target: TargetUrl, overrides: ConnectionOverrides
    ) -> "_Exchange":
        """One request with the redirects it meets."""
        parameters = request.parameters
        if method == "GET":
            target, parameters = target.with_query(parameters), ()
        for _ in range(REDIRECT_LIMIT + 1):
            exchange = await self._exchange(request, method, target, parameters, overrides)
            if exchange.status not in _REDIRECTS:
                return exchange
            # RFC 9110 §15.4: 307 and 308 repeat the request, the others turn a POST into a GET without its form.
            if exchange.status not in (307, 308):
                method, parameters = "GET", ()
            location = dict(exchange.headers).get("Location", "")
            try:
                if not location:
                    raise InvalidUrl(location, "the redirect names no location")
                target = target.join(location)
            except InvalidUrl as error:
                raise FetchError(
                    failures.INVALID_REDIRECT, str(error), url=target.bare, method=method, status=exchange.status
                ) from error
        reason = f"More than {REDIRECT_LIMIT} redirects"
        raise FetchError(failures.TOO_MANY_REDIRECTS, reason, url=target.bare, method=method, status=exchange.status)

    async def _exchange(
        self,
        request: WebRequest,
        method: str,
        target: TargetUrl,
        parameters: Parameters,
        overrides: ConnectionOverrides,
    ) -> "_Exchange":
        """One HTTP request and its answer."""
        while True:
            connection = SimpleNamespace(is_reused=False)
            try:
                return await self._send(request, method, target, parameters, overrides, connection)
            except (
                aiohttp.ClientConnectionResetError,
                aiohttp.ServerDisconnectedError,
                aiohttp.ClientOSError,
            ) as error:
                # A kept connection may be closed by its server just as it is used again; RFC 9110 §9.2.2 and RFC 9112
                # §9.3.1 allow to repeat on a new one what is known to be repeatable, and the token makes it so.
                if connection.is_reused and not isinstance(error, TimeoutError):
                    continue
                raise _fetch_error(error, target, method) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _fetch_error(error, target, method) from error

    async def _send(
        self,
        request: WebRequest,
        method: str,
        target: TargetUrl,
        parameters: Parameters,
        overrides: ConnectionOverrides,
        connection: SimpleNamespace,
    ) -> "_Exchange":
        headers = CIMultiDict({"Accept": "*/*", IDEMPOTENCY_HEADER: request.token})
        headers[SIGNATURE_HEADER] = sign(target.text, parameters, request.auth_token)
        if target.authorization is not None:
            headers["Authorization"] = target.authorization
        if request.cookies is not None and (cookie := request.cookies.header_for(target)) is not None:
            headers["Cookie"] = cookie
        body = None
        if method == "POST":
            headers["Content-Type"] = _FORM
            body = urlencode(parameters).encode("ascii")
        async with self._open_session().request(
            method,
            target.request,
            data=body,
            headers=headers,
            allow_redirects=False,
            ssl=self._tls_for(overrides),
            timeout=aiohttp.ClientTimeout(
                connect=overrides.connect_ms / 1000,
                sock_connect=overrides.connect_ms / 1000,
                sock_read=overrides.read_ms / 1000,
                ceil_threshold=_NEVER_CEIL,
            ),
            trace_request_ctx=connection,
        ) as response:
            if request.cookies is not None:
                request.cookies.keep(target, response)
            media_type = response.content_type if "Content-Type" in response.headers else ""
            body, is_cut = await _read(response, request.body_limit(media_type))
            return _Exchange(
                url=target.text,
                status=response.status,
                media_type=media_type,
                charset=response.charset.lower() if response.charset else None,
                headers=tuple(_title_case(response.headers).items()),
                body=body,
                is_cut=is_cut,
            )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                # No limit here: callers bound themselves, and waiting for the pool would look like a slow application.
                connector=aiohttp.TCPConnector(limit=0, timeout_ceil_threshold=_NEVER_CEIL),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"Sidestream/{__version__}", "Accept-Encoding": "gzip"},
                skip_auto_headers=("Content-Type",),
                trace_configs=[trace],
            )
        return self._session

    def _tls_for(self, overrides: ConnectionOverrides) -> ssl.SSLContext | bool:
        if overrides.verify_name:
            return self._tls or True
        if self._nameless_tls is None:
            self._nameless_tls = ssl.create_default_context()
            if self._tls is not None:
                authorities = self._tls.get_ca_certs(binary_form=True)
                self._nameless_tls.load_verify_locations(cadata=b"".join(authorities))
            self._nameless_tls.check_hostname = False
        return self._nameless_tls


@dataclass(frozen=True, slots=True)
class _Exchange:
    url: str
    status: int
    media_type: str
    charset: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > limit:
            response.close()  # the rest is not wanted, so the connection cannot be used again
            return bytes(body[:limit]), True
    return bytes(body), False


async def _note_reuse(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.is_reused = True


def _fetch_error(error: BaseException, target: TargetUrl, method: str) -> FetchError:
    failure = failures.classify(error)
    return FetchError(failure.code, failure.reason, url=target.bare, method=method, kind=failure.kind)


def _title_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names as they are usually written; of a repeated one the last."""
    return {"-".join(word.capitalize() for word in name.split("-")): value for name, value in headers.items()}
