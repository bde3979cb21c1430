"""`viva asr`: the recogniser behind a WebSocket, with its health and its metrics on the same port.

Stopping is graceful: nobody new is let in, what was taken in is recognised and answered, and each
client is told to go on with the next service; all of it within `DRAIN_S`.
"""

import asyncio
import json
import logging
import signal
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from asr.service import authorisation, protocol
from asr.service.connection import IDLE_S, Connection
from asr.service.metrics import CONTENT_TYPE, Metrics
from asr.service.opening import MAX_OPENING, OPEN_S, giving_way
from asr.service.parts import Parts, ServedRecogniser
from asr.service.protocol import MAX_FRAME

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
MAX_CONNECTIONS = 512
"""All with the token: nobody else becomes one."""

_sockets = logging.getLogger(f"{__name__}.sockets")
# The library logs each health check, and a traceback for whatever is no WebSocket at all.
_sockets.setLevel(logging.CRITICAL)


class Service:
    def __init__(
        self,
        recogniser: ServedRecogniser,
        *,
        token: str,
        device: str,
        idle_s: float = IDLE_S,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._recogniser = recogniser
        self._token = token
        self._device = device
        self._idle_s = idle_s
        self._drain_s = drain_s
        self._draining = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self.metrics = Metrics(
            lambda: recogniser.queued, lambda: recogniser.sessions, lambda: recogniser.promised
        )
        ready = protocol.ready(recogniser, recogniser.model, recogniser.compute_type, device)
        self.metrics.model.labels(ready.model, ready.compute_type, ready.device).set(1)
        for own in ready.languages.values():
            self.metrics.model.labels(own.model, own.compute_type, own.device).set(1)

    async def run(self, host: str, port: int, *, started: "asyncio.Event | None" = None) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        async with await self.listen(host, port):
            if started:
                started.set()
            await self._draining.wait()
            await self.drained()

    async def listen(self, host: str, port: int) -> Server:
        server = await serve(
            self._handle,
            host,
            port,
            process_request=self._answer,
            origins=[None],  # browsers send one: no page of any site may reach a recogniser
            create_connection=giving_way(MAX_OPENING),
            open_timeout=OPEN_S,
            compression=None,  # speech does not compress, and inflating is a way to flood
            max_size=MAX_FRAME,
            max_queue=16,
            close_timeout=2,
            logger=_sockets,
        )
        address = server.sockets[0].getsockname()
        logger.info("listening at %s, port %d", address[0], address[1])
        return server

    def drain(self) -> None:
        """Let nobody in, and have what was taken in answered."""
        if not self._draining.is_set():
            logger.info("stopping: %d connections are brought to their end", len(self._running))
        self._draining.set()

    async def drained(self) -> None:
        """When every client has its answers, or time is up."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._drain_s)
            for task in late:
                task.cancel()
            if late:
                logger.warning("%d connections were not answered in time", len(late))

    async def _handle(self, socket: ServerConnection) -> None:
        connection = Connection(
            socket,
            Parts(self._recogniser, self.metrics),
            device=self._device,
            draining=self._draining,
            idle_s=self._idle_s,
        )
        # A task of its own: one that is late in draining is cancelled without the library's.
        task = asyncio.create_task(connection.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task})

    def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """What is asked by plain HTTP; None opens a WebSocket."""
        match request.path.partition("?")[0]:
            case "/healthz":
                return _page(socket, json.dumps(self._health()) + "\n", "application/json")
            case "/metrics":
                return _page(socket, self.metrics.text().decode(), CONTENT_TYPE)
            case "/" if not authorisation.is_authorised(request.headers, self._token):
                return self._unauthorised(socket)
            case "/" if self._draining.is_set():
                return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "The service stops.\n")
            case "/" if len(self._running) >= MAX_CONNECTIONS:
                return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
            case "/":
                return None
            case _:
                return socket.respond(HTTPStatus.NOT_FOUND, "There is /, /healthz, /metrics.\n")

    def _unauthorised(self, socket: ServerConnection) -> Response:
        # Not in the log, which a flood would fill: a client's own log says it.
        self.metrics.refused.labels("unauthorised").inc()
        text = "This service's token is needed, as `Authorization: Bearer TOKEN`.\n"
        response = socket.respond(HTTPStatus.UNAUTHORIZED, text)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _health(self) -> dict[str, object]:
        has = self._recogniser
        ready = protocol.ready(has, has.model, has.compute_type, self._device)
        return {
            "state": "draining" if self._draining.is_set() else "ready",
            **ready.model_dump(exclude={"type"}),
            "connections": len(self._running),
            "sessions": has.sessions,
            "promised": round(has.promised, 3),
            "queue": self._recogniser.queued,
        }


def _page(socket: ServerConnection, text: str, content_type: str) -> Response:
    response = socket.respond(HTTPStatus.OK, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = content_type
    return response
