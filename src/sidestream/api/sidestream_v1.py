"""The project's own API, under /sidestream/v1: what the 2010-04-01 shapes have no room for (read-only)."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidestream.api.credentials import authenticated
from sidestream.base.clock import iso_micros
from sidestream.calls.record import CallEvent, CallRecord
from sidestream.calls.refusal import Refusal
from sidestream.media.engine import MediaEngine, MediaEngineError
from sidestream.recording.siprec import Siprec
from sidestream.webhooks.ports import Callback, Delivery

if TYPE_CHECKING:
    from sidestream.accounts.account_book import AccountBook
    from sidestream.calls.front import CallFront
    from sidestream.calls.ports import CallStore
    from sidestream.webhooks.ports import OutboxStore

SIPREC_LIMIT = 1000  # of one call; its forks are limited to four at a time


class SidestreamApi:
    """`GET …/Calls/{CallSid}`: a call with its timeline, Siprecs and callbacks; `GET …/Media`: the media engine."""

    def __init__(
        self,
        front: "CallFront",
        accounts: "AccountBook",
        calls: "CallStore",
        outbox: "OutboxStore",
        engine: MediaEngine,
    ) -> None:
        self._front = front
        self._accounts = accounts
        self._calls = calls
        self._outbox = outbox
        self._engine = engine

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sidestream/v1/Calls/{sid}", self._call, methods=["GET"]),
            Route("/sidestream/v1/Media", self._media, methods=["GET"]),
        ]

    async def _call(self, request: Request) -> Response:
        try:
            account = authenticated(self._accounts, request.headers)
            sid = request.path_params["sid"]
            record = await self._front.fetch_call(account, sid)
            siprecs = await self._front.list_siprecs(account, sid, 0, SIPREC_LIMIT)
        except Refusal as refusal:
            return refused(refusal)
        body = {
            "call": _record(record),
            "events": [_event(event) for event in await self._calls.events(sid)],
            "siprecs": [_siprec(siprec) for siprec in reversed(siprecs)],
            "callbacks": [_callback(*pair) for pair in await self._outbox.deliveries(sid)],
        }
        return as_json(body)

    async def _media(self, request: Request) -> Response:
        try:
            authenticated(self._accounts, request.headers)
            return as_json(asdict(await self._engine.engine_statistics()))
        except Refusal as refusal:
            return refused(refusal)
        except MediaEngineError as error:
            return refused(Refusal(503, 20503, f"The media engine does not answer: {error}"))


def _record(record: CallRecord) -> dict[str, Any]:
    fields = asdict(record) | {"duration": record.duration}
    # Python's name for what a keyword of its own stands for
    return {"from" if name == "from_" else name: value for name, value in fields.items()}


def _siprec(siprec: Siprec) -> dict[str, Any]:
    """Everything about a Siprec, oldest facts first; parameters as pairs."""
    return asdict(siprec)


def _event(event: CallEvent) -> dict[str, Any]:
    return {"at": event.at, "kind": event.kind, **event.detail}


def _callback(callback: Callback, delivery: Delivery | None) -> dict[str, Any]:
    return {
        "resource_sid": callback.resource_sid,
        "kind": callback.kind,
        "sequence": callback.sequence,
        "url": callback.url,
        "method": callback.method,
        "parameters": dict(callback.parameters),
        "created_at": callback.created_at,
        "delivery": None if delivery is None else asdict(delivery),
    }


def as_json(body: object) -> Response:
    return Response(json.dumps(body, default=_plain, indent=2), media_type="application/json")


def _plain(value: object) -> str:
    return iso_micros(value) if isinstance(value, datetime) else str(value)


def refused(refusal: Refusal) -> Response:
    body = {"code": refusal.code, "message": refusal.message, "status": refusal.status}
    headers = {"WWW-Authenticate": 'Basic realm="Sidestream"'} if refusal.status == 401 else None
    return JSONResponse(body, status_code=refusal.status, headers=headers)
