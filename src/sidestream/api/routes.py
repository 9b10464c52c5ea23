"""The door of the API: one ASGI application under /2010-04-01."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from sidestream.api import answers
from sidestream.api.answers import CORS_HEADERS, not_found, refused
from sidestream.api.calls import CallsResource
from sidestream.api.credentials import authenticated
from sidestream.api.inquiry import Inquiry
from sidestream.api.shapes import API_VERSION
from sidestream.api.siprecs import SiprecsResource
from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.calls.refusal import Refusal

if TYPE_CHECKING:
    from sidestream.accounts.account_book import AccountBook
    from sidestream.calls.front import CallFront

Handler = Callable[[Inquiry], Awaitable[Response]]

PREFIX = f"/{API_VERSION}/"
WRONG_METHOD = 20004
INTERNAL_ERROR = 20500

_log = get_logger("api")


def create_api(front: "CallFront", accounts: "AccountBook", *, clock: Clock, ids: Ids) -> list[BaseRoute]:
    """The routes of the 2010-04-01 API, for the application's router."""
    return [_ApiRoute(Api(front, accounts, clock, ids))]


class Api:
    """Finds the account and the resource, asks it, and puts every outcome into the API's shape."""

    def __init__(self, front: "CallFront", accounts: "AccountBook", clock: Clock, ids: Ids) -> None:
        self._accounts = accounts
        self._clock = clock
        self._ids = ids
        calls, siprecs = CallsResource(front), SiprecsResource(front)
        # What follows /Siprec/ is one SID or name up to a single final .json, slashes included: the python client
        # sends the name a/b as two segments.
        self._table: tuple[tuple[re.Pattern[str], dict[str, Handler]], ...] = (
            (_pattern(r"Calls(\.json)?"), {"GET": calls.list, "POST": calls.create}),
            (
                _pattern(r"Calls/(?P<call>CA[0-9a-fA-F]{32})(\.json)?"),
                {"GET": calls.fetch, "POST": calls.update, "DELETE": calls.delete},
            ),
            (
                _pattern(r"Calls/(?P<call>CA[0-9a-fA-F]{32})/Siprec(\.json)?"),
                {"GET": siprecs.list, "POST": siprecs.create},
            ),
            (
                _pattern(r"Calls/(?P<call>CA[0-9a-fA-F]{32})/Siprec/(?P<siprec>.+?)(\.json)?"),
                {"GET": siprecs.fetch, "POST": siprecs.update},
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._clock.monotonic()
        request = Request(scope, receive)
        response = await self._answer(request)
        response.headers["Twilio-Request-Id"] = self._ids.sid("RQ")
        response.headers["Twilio-Request-Duration"] = f"{self._clock.monotonic() - started:.3f}"
        response.headers.update(CORS_HEADERS)
        response.headers["Access-Control-Allow-Methods"] = ", ".join((*self._methods(scope["path"]), "OPTIONS"))
        if request.method == "HEAD":
            response.body = (
                b""  # RFC 9110 §9.3.2: the header fields of the GET, Content-Length included, and no content
            )
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except Refusal as refusal:
            _log.info("< refused", path=request.url.path, status=refusal.status, code=refusal.code)
            return refused(refusal)
        except Exception:
            # The outermost shell of a request: whatever failed, the client gets the API's error body and no traceback.
            _log.error("! request failed", method=request.method, path=request.url.path, exc_info=True)
            return refused(Refusal(500, INTERNAL_ERROR, "An internal server error has occurred"))

    async def _dispatch(self, request: Request) -> Response:
        path = request.scope["path"]
        found = self._find(path)
        if request.method == "OPTIONS" and found is not None:
            return answers.deleted()  # a browser's preflight carries no credentials
        account = authenticated(self._accounts, request.headers)
        if found is None:
            raise not_found(path)
        match, handlers = found
        if match["account"] != account.sid:
            raise not_found(path)
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            response = refused(Refusal(405, WRONG_METHOD, f"Method {request.method} is not allowed here"))
            response.headers["Allow"] = ", ".join((*self._methods(path), "OPTIONS"))
            return response
        groups = match.groupdict()
        return await handler(
            Inquiry(account, path, request, call_sid=groups.get("call", ""), siprec=groups.get("siprec", ""))
        )

    def _find(self, path: str) -> "tuple[re.Match[str], dict[str, Handler]] | None":
        for pattern, handlers in self._table:
            match = pattern.fullmatch(path)
            if match is not None:
                return match, handlers
        return None

    def _methods(self, path: str) -> tuple[str, ...]:
        found = self._find(path)
        return () if found is None else tuple(found[1])


class _ApiRoute(BaseRoute):
    """Everything under the prefix, whatever characters a name brings into the path."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            return Match.FULL, {"endpoint": self._api}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._api(scope, receive, send)


def _pattern(tail: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(PREFIX)}Accounts/(?P<account>[^/]+)/{tail}", re.DOTALL)
