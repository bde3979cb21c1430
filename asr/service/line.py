"""The connection to `viva asr`: made, kept alive, and made again, with growing pauses, when lost.

It knows nothing of segments. Its owner is told when a connection is there, what comes over it and
when it is gone; what is to be said while there is none, the owner says again when there is one.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from asr.service import authorisation, protocol
from asr.service.protocol import Error, FromService, Hello, Ping, Ready, Refused

logger = logging.getLogger(__name__)

_sockets = logging.getLogger(f"{__name__}.sockets")
_sockets.setLevel(logging.WARNING)  # at debug the library writes down the token, and what was said
PING_S = 20.0
"""So that a connection without speech is not taken for a dead one."""
OPEN_S = 5.0

Frames = Callable[[], Iterable[str | bytes]]
"""What to send, made when its turn has come; nothing, if it is of no interest any more."""


class Owner(Protocol):
    def connected(self, ready: Ready) -> None: ...
    def received(self, message: FromService) -> None: ...
    def lost(self, error: Exception, *, was_connected: bool) -> None: ...


class _Straight(connect):
    """Speech goes to the host that was named, and to no other: no proxy, and no redirect."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Line:
    """Everything on one loop."""

    def __init__(self, url: str, *, token: str, pauses_s: Sequence[float], owner: Owner) -> None:
        """`pauses_s`: before each new attempt; the last one again and again."""
        self._url = url
        self._token = token
        self._pauses_s = pauses_s
        self._owner = owner
        self._outbox: asyncio.Queue[Frames] | None = None  # while connected
        self.why_not = "it does not answer"
        """Why there was no connection, last."""
        self.number = 0
        """Of the connection: what was said over an older one was said to nobody."""

    @property
    def connected(self) -> bool:
        return self._outbox is not None

    def say(self, frames: Frames) -> None:
        """Nothing happens where there is no connection."""
        if self._outbox is not None:
            self._outbox.put_nowait(frames)

    async def hold(self) -> None:
        """Until it is cancelled."""
        pauses = self._pauses()
        while True:
            try:
                async with _Straight(
                    self._url,
                    additional_headers=authorisation.header(self._token),
                    proxy=None,
                    compression=None,
                    logger=_sockets,
                    max_size=2**20,
                    open_timeout=OPEN_S,
                    close_timeout=1,
                    ping_interval=5,
                    ping_timeout=5,
                ) as socket:
                    ready = await self._greet(socket)
                    pauses = self._pauses()
                    await self._converse(socket, ready)
            except InvalidStatus as e:
                self._lost(_refusal(e))
            except (OSError, TimeoutError, WebSocketException, Refused) as e:
                self._lost(e)
            except UnicodeError:  # of a part of the host's name that is empty or too long
                self._lost(OSError("there can be no host of that name"))
            except Exception as e:
                # The thread's outermost edge: were it to end, every session of this process would
                # be deaf from here on.
                logger.exception("the connection to the recogniser failed")
                self._lost(e)
            await asyncio.sleep(next(pauses))

    def _pauses(self) -> Iterator[float]:
        return itertools.chain(self._pauses_s, itertools.repeat(self._pauses_s[-1]))

    def _lost(self, error: Exception) -> None:
        was_connected, self._outbox = self._outbox is not None, None
        self.why_not = str(error) or type(error).__name__
        self._owner.lost(error, was_connected=was_connected)

    async def _greet(self, socket: ClientConnection) -> Ready:
        await socket.send(Hello(kind="segments").model_dump_json())
        async with asyncio.timeout(OPEN_S):
            ready = await _receive(socket)
        if not isinstance(ready, Ready):
            raise Refused("bad_message", "what answers there does not speak as `viva asr` does")
        return ready

    async def _converse(self, socket: ClientConnection, ready: Ready) -> None:
        """Until the connection is lost: raises why."""
        self._outbox = asyncio.Queue()
        self.number += 1
        self._owner.connected(ready)
        works: list[Coroutine[Any, Any, None]] = [
            self._send(socket, self._outbox), self._read(socket), _keep_alive(socket)
        ]  # fmt: skip
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, socket: ClientConnection, outbox: "asyncio.Queue[Frames]") -> None:
        while True:
            frames = await outbox.get()
            for frame in frames():
                await socket.send(frame)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            self._owner.received(await _receive(socket))


async def _receive(socket: ClientConnection) -> FromService:
    """The next message; an error that ends the connection is raised."""
    data = await socket.recv()
    if not isinstance(data, str):
        raise Refused("bad_message", "what answers there does not speak as `viva asr` does")
    message = protocol.from_service(data)
    if isinstance(message, Error) and message.segment is None:
        raise Refused(message.code, message.text)
    return message


def _refusal(error: InvalidStatus) -> Exception:
    if error.response.status_code != HTTPStatus.UNAUTHORIZED:
        return error
    return Refused("unauthorised", "its token is another one")


async def _keep_alive(socket: ClientConnection) -> None:
    while True:
        await asyncio.sleep(PING_S)
        await socket.send(Ping().model_dump_json())
