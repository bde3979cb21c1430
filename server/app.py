"""The web application: routes around the parts it is given. It starts nothing and configures
nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

import web
from server.api import candidate, errors, metrics, operator, socket, status
from server.api.keys import OperatorKey
from server.api.limits import MAX_FRAME, BodyLimit, SecurityHeaders
from server.api.parts import Parts, free_bytes
from server.api.ports import Host, Recordings
from server.invites import Invites
from server.logins import Logins
from server.pages import candidate as candidate_pages
from server.pages import (
    desk,
    desk_door,
    desk_interview,
    desk_interviews,
    desk_live,
    desk_report,
    home,
    refusals,
)
from server.pages.written import WrittenLegs
from server.phone.pins import new_pins
from server.settings import Settings
from server.store import Store
from server.version import code_version

DESCRIPTION = (
    "Candidates send their invite's token, operators the API key, each as a Bearer token. A call is"
    " joined by POST /api/call/offer and steered over the WebSocket /api/call/socket, described in"
    " docs/api.md."
)


def create_app(
    store: Store,
    host: Host,
    settings: Settings,
    *,
    recordings: Recordings,
    key: OperatorKey,
    invites: Invites | None = None,
    logins: Logins | None = None,
    free: Callable[[], int] | None = None,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """The application over these parts; whoever made them starts and stops them."""
    app = FastAPI(
        title="Viva",
        version=code_version(),
        description=DESCRIPTION,
        # FastAPI's own pages load their scripts from a third party.
        docs_url=None,
        redoc_url=None,
    )
    app.state.parts = Parts(
        store=store,
        host=host,
        settings=settings,
        invites=invites or Invites(store, new_pin=new_pins(settings, store)),
        recordings=recordings,
        key=key,
        logins=logins or Logins(store, clock=clock),
        free_bytes=free or (lambda: free_bytes(settings)),
        clock=clock,
    )
    app.state.sockets = socket.Sockets()
    app.state.written_legs = WrittenLegs(host)
    errors.install(app, _refused)
    app.add_exception_handler(desk.NotSignedIn, desk.to_sign_in)
    for router in (
        status.router,
        candidate.router,
        socket.router,
        operator.router,
        metrics.router,
    ):
        app.include_router(router)
    for pages in (
        candidate_pages,
        desk_door,
        desk_interviews,
        desk_interview,
        desk_report,
        desk_live,
        home,  # last: it answers for what nobody else does
    ):
        app.include_router(pages.router)
    # Only these are compressed: the length of a page must not tell of the secrets in it.
    app.mount(
        f"/static/{web.digest()}", GZipMiddleware(StaticFiles(directory=web.STATIC)), "static"
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders, https=settings.base_url.startswith("https:"))
    return app


def _refused(request: Request, error: errors.ApiError) -> Response:
    answer = refusals.page if refusals.is_page(request) else errors.as_json
    return answer(request, error)


class WebServer(uvicorn.Server):
    """uvicorn, stopped by SIGINT or SIGTERM and then done.

    uvicorn itself raises the signal once more when it has stopped; that would end the process, or
    cancel its main task, before calls and reports have stopped in their turn.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def uvicorn_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn must be run for the bounds of this application to hold."""
    return {
        "host": settings.host,
        "port": settings.port,
        "ssl_certfile": settings.tls_cert,
        "ssl_keyfile": settings.tls_key,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies or None,
        "ws": "websockets-sansio",
        "ws_max_size": MAX_FRAME,
        # A small compressed frame must not unfold into a huge one.
        "ws_per_message_deflate": False,
        "h11_max_incomplete_event_size": 64 << 10,
        "server_header": False,
        "access_log": False,  # paths carry interview ids, and every call would write many lines
        "log_config": None,
    }
