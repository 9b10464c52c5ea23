"""The pages of the console."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.credentials import account_of
from sidestream.calls.ports import CallFilter
from sidestream.calls.record import CallRecord
from sidestream.connectors.connector_book import ConnectorBook
from sidestream.console import views
from sidestream.console.ports import ConsoleStores, RecordingIndex
from sidestream.console.views import CallRow, SiprecView

Page = Callable[[Request, Account], Awaitable[Response]]

PAGE_SIZE = 25  # calls
PAGE_LIMIT = 1_000_000  # pages
ALERTS_SHOWN = 10  # on the first page
ALERTS_OF_CALL = 200  # a call that raises more tells nothing new with them
SIPRECS_OF_CALL = 100

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Sidestream console", charset="UTF-8"'}
_HERE = Path(__file__).parent
_STATIC = {"style.css": "text/css", "refresh.js": "text/javascript"}


def create_console(
    stores: ConsoleStores,
    accounts: AccountBook,
    connectors: ConnectorBook,
    recordings: RecordingIndex | None = None,
) -> list[BaseRoute]:
    """Routes of `/` and `/console`. Sign in with an account's SID and auth token, as for the API."""
    console = _Console(stores, connectors, recordings)

    def guarded(page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            account = account_of(accounts, request.headers.get("authorization", ""))
            if account is None:
                return Response("Sign in with an account SID and its auth token", 401, _CHALLENGE, "text/plain")
            return await page(request, account)

        return answer

    return [
        Route("/", _home, methods=["GET"]),
        Route("/console", guarded(console.calls), methods=["GET"]),
        Route("/console/calls/{sid}", guarded(console.call), methods=["GET"]),
        Route("/console/connectors", guarded(console.connectors), methods=["GET"]),
        Route("/console/static/{name}", _static, methods=["GET"]),
    ]


class _Console:
    def __init__(self, stores: ConsoleStores, connectors: ConnectorBook, recordings: RecordingIndex | None) -> None:
        self._stores = stores
        self._connectors = connectors
        self._recordings = recordings
        self._templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
        self._templates.filters["clock"] = _clock
        self._templates.filters["duration"] = views.duration
        self._templates.filters["safe_url"] = views.without_secrets

    async def calls(self, request: Request, account: Account) -> Response:
        """Recent calls with their Siprecs, and the latest alerts."""
        number = _page_number(request)
        found = await self._stores.calls.find(account.sid, CallFilter(), offset=number * PAGE_SIZE, limit=PAGE_SIZE + 1)
        rows = await asyncio.gather(*(self._row(call) for call in found[:PAGE_SIZE]))
        alerts = await self._stores.alerts.find(account.sid, offset=0, limit=ALERTS_SHOWN) if number == 0 else []
        return self._html(
            "calls.html",
            account=account,
            rows=rows,
            alerts=alerts,
            number=number,
            more=len(found) > PAGE_SIZE,
            refresh=number == 0,
        )

    async def call(self, request: Request, account: Account) -> Response:
        """One call: its timeline, Siprecs, callbacks and alerts."""
        call = await self._stores.calls.fetch(account.sid, request.path_params["sid"])
        if call is None:
            return self._html("missing.html", 404, account=account, refresh=False)
        events, siprecs, deliveries, alerts = await asyncio.gather(
            self._stores.calls.events(call.sid),
            self._siprecs(call),
            self._stores.outbox.deliveries(call.sid),
            self._stores.alerts.find(account.sid, call_sid=call.sid, offset=0, limit=ALERTS_OF_CALL),
        )
        callbacks = [views.callback_view(callback, delivery) for callback, delivery in deliveries]
        return self._html(
            "call.html",
            account=account,
            call=call,
            badge=views.call_badge(call),
            events=[(event, views.event_detail(event), _since(call, event.at)) for event in events],
            siprecs=siprecs,
            callbacks=callbacks,
            alerts=alerts,
            # Callbacks are still delivered for a while after the call has ended.
            refresh=not call.status.is_final or any(callback.badge.tone == "live" for callback in callbacks),
        )

    async def connectors(self, _request: Request, account: Account) -> Response:
        """What `connectorName` may be, and what each of them means."""
        found = [views.connector_view(connector) for connector in self._connectors.usable(account.sid)]
        return self._html("connectors.html", account=account, connectors=found, refresh=False)

    async def _row(self, call: CallRecord) -> CallRow:
        return CallRow(call, views.call_badge(call), tuple(await self._siprecs(call)))

    async def _siprecs(self, call: CallRecord) -> list[SiprecView]:
        found = await self._stores.siprecs.find(call.account_sid, call.sid, offset=0, limit=SIPRECS_OF_CALL)
        return [views.siprec_view(siprec, self._recordings) for siprec in reversed(found)]

    def _html(self, template: str, status: int = 200, **values: object) -> Response:
        text = self._templates.get_template(template).render(values)
        return HTMLResponse(text, status_code=status, headers=_PAGE_HEADERS)


async def _home(_request: Request) -> Response:
    return RedirectResponse("/console")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    media_type = _STATIC.get(name)
    if media_type is None:
        return Response("Not found", 404, media_type="text/plain")
    headers = {"Cache-Control": "max-age=300", "X-Content-Type-Options": "nosniff"}
    return FileResponse(_HERE / "static" / name, media_type=media_type, headers=headers)


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "0")
    return min(int(text), PAGE_LIMIT) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _since(call: CallRecord, at: datetime) -> str:
    """How long after the call's beginning, as +s.mmm."""
    return f"+{(at - call.date_created).total_seconds():.3f}"
