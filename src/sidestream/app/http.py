"""The HTTP side of the platform: API, console, recordings, health and metrics, on one socket."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidestream.accounts.credentials import account_of
from sidestream.api.routes import create_api
from sidestream.api.sidestream_v1 import SidestreamApi
from sidestream.api.sip_v1 import SipApi
from sidestream.calls.front import CallFront
from sidestream.calls.services import Services
from sidestream.console.routes import create_console
from sidestream.srs.server import SrsServer
from sidestream.srs.web import create_srs_web
from sidestream.storage.stores import Stores
from sidestream.trunks.registrations import Registrations

STOP_TIMEOUT_S = 5  # how long open requests may take to finish when the server stops


def create_http_app(
    services: Services,
    front: CallFront,
    stores: Stores,
    srs: SrsServer | None,
    registrations: Registrations,
    *,
    media_ready: Callable[[], bool],
) -> Starlette:
    """Every route of the platform. `media_ready` says whether the media engine can be reached now."""

    async def health(_request: Request) -> Response:
        ready = media_ready()
        body = {"status": "ok" if ready else "degraded", "calls": len(services.live), "media": ready}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics(_request: Request) -> Response:
        return Response(services.metrics.exposition(), media_type="text/plain; version=0.0.4")

    def admits(authorization: str) -> bool:
        return account_of(services.accounts, authorization) is not None

    own_api = SidestreamApi(front, services.accounts, stores.calls, stores.outbox, services.engine)
    sip_api = SipApi(services.accounts, services.trunks, registrations, services.users, services.clock)
    routes: list[BaseRoute] = [
        Route("/healthz", health),
        Route("/metrics", metrics),
        *create_api(front, services.accounts, clock=services.clock, ids=services.ids),
        *own_api.routes(),
        *sip_api.routes(),
        *create_console(stores, services.accounts, services.connectors, srs),
    ]
    if srs is not None:
        routes += create_srs_web(srs.archive, admits=admits)
    return Starlette(routes=routes)


class HttpServer:
    """A uvicorn server inside this event loop; port 0 takes any free one."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        self._server = _EmbeddedServer(config)
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The bound port; known once started."""
        assert self._socket is not None
        number: int = self._socket.getsockname()[1]
        return number

    async def start(self) -> None:
        """Bind and listen. Raises OSError."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self._port))
        except OSError:
            bound.close()
            raise
        self._socket = bound
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Finish open requests and close. Idempotent."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
            self._task = None


class _EmbeddedServer(uvicorn.Server):
    """Leaves signals to the process that it is part of."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
