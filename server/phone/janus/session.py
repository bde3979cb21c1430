"""A session at Janus, and its handles: each is one line of the SIP plugin.

A request to the plugin has two answers: an acknowledgement at once, and an event with the same
transaction. Events of a call may carry that transaction too, and overtake the answer, so a handle's
listener gets every event, and the one that asked only the first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.phone.bridge import GatewayLost
from server.phone.janus import sip
from server.phone.janus.config import SESSION_TIMEOUT_S
from server.phone.janus.socket import ANSWER_S, JanusRefused, JanusSocket, Message

logger = logging.getLogger(__name__)

KEEPALIVE_S = SESSION_TIMEOUT_S / 3


class Handle:
    """One line. `listener` gets each event of the plugin, and the core's `webrtcup`, `hangup` and
    `detached`."""

    def __init__(self, session: JanusSession, handle_id: int, listener: Callable[[Message], None]):
        self._session, self.id, self.listener = session, handle_id, listener
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self.attached = True

    async def ask(self, body: Message, jsep: Message | None = None) -> Message:
        """Ask the plugin, and wait for its answer. Raises `JanusRefused`, `GatewayLost`."""
        transaction = self._session.socket.transaction()
        told = self._asked[transaction] = asyncio.get_running_loop().create_future()
        try:
            await self._message(transaction, body, jsep)
            async with asyncio.timeout(ANSWER_S):
                answer: Message = await told
        except TimeoutError:
            raise GatewayLost(f"The SIP plugin did not answer within {ANSWER_S:g} s.") from None
        finally:
            del self._asked[transaction]
        if refused := sip.error_of(answer):
            raise JanusRefused(*refused)
        return answer

    async def tell(self, body: Message, jsep: Message | None = None) -> None:
        """Ask the plugin for something to which it does not always answer."""
        await self._message(self._session.socket.transaction(), body, jsep)

    async def _message(self, transaction: str, body: Message, jsep: Message | None) -> None:
        request: Message = {"janus": "message", "transaction": transaction, "body": body}
        await self._session.request(request | ({"jsep": jsep} if jsep else {}), self.id)

    def take(self, message: Message) -> None:
        told = self._asked.get(str(message.get("transaction")))
        if told is not None and not told.done() and message.get("janus") == "event":
            told.set_result(message)
        if message.get("janus") == "detached":
            self.attached = False
        self.listener(message)

    def gone(self) -> None:
        """The session is gone, and this with it."""
        self.attached = False
        for told in self._asked.values():
            if not told.done():
                told.set_exception(GatewayLost("Janus went away."))


class JanusSession:
    """Made by `open`; `lost` is done, with the reason, when it is gone for whatever reason."""

    def __init__(self) -> None:
        self.socket: JanusSocket
        self.id = 0
        self.dropped = 0
        """Messages of nobody's handle."""
        self._handles: dict[int, Handle] = {}
        self._alive: asyncio.Task[None]

    @classmethod
    async def open(cls, path: Path, secret: str) -> JanusSession:
        """Raises `GatewayLost`, also where the secret does not fit."""
        made = cls()
        made.socket = await JanusSocket.connect(path, secret, made._take)
        try:
            made.id = _id_of(await made.socket.request({"janus": "create"}))
        except JanusRefused as error:
            made.socket.close()
            raise GatewayLost(f"Janus refuses a session: {error}.") from error
        except BaseException:
            made.socket.close()
            raise
        made._alive = asyncio.create_task(made._keep_alive(), name="janus-keepalive")
        made.socket.lost.add_done_callback(lambda lost: made._gone())
        return made

    @property
    def lost(self) -> asyncio.Future[str]:
        return self.socket.lost

    async def request(self, body: Message, handle_id: int | None = None) -> Message:
        """One of this session, or of a handle of it. Raises `JanusRefused`, `GatewayLost`."""
        whose: dict[str, Any] = {"session_id": self.id}
        if handle_id is not None:
            whose["handle_id"] = handle_id
        return await self.socket.request({**body, **whose})

    async def attach(self, listener: Callable[[Message], None]) -> Handle:
        """A new line. Raises `JanusRefused`, `GatewayLost`."""
        number = _id_of(await self.request({"janus": "attach", "plugin": sip.PACKAGE}))
        handle = self._handles[number] = Handle(self, number, listener)
        return handle

    async def detach(self, handle: Handle) -> None:
        """Give a line back; a call on it ends. Never raises for a Janus that is gone."""
        if self._handles.pop(handle.id, None) is None or not handle.attached:
            return
        handle.attached = False
        try:
            await self.request({"janus": "detach"}, handle.id)
        except (JanusRefused, GatewayLost) as error:
            logger.debug("A line could not be given back: %s", error)

    async def close(self) -> None:
        """Ends every call of it, with a BYE."""
        try:
            if not self.lost.done():
                await self.request({"janus": "destroy"})
        except (JanusRefused, GatewayLost) as error:
            logger.debug("The session could not be closed: %s", error)
        self.socket.close()
        await asyncio.gather(self._alive, return_exceptions=True)

    async def _keep_alive(self) -> None:
        """A Janus that does not answer here is no gateway any more, whatever its process does."""
        while not self.lost.done():
            await asyncio.wait((self.lost,), timeout=KEEPALIVE_S)
            if self.lost.done():
                return
            try:
                await self.request({"janus": "keepalive"})
            except (JanusRefused, GatewayLost) as error:
                self.socket.close(str(error).rstrip("."))

    def _take(self, message: Message) -> None:
        if message.get("janus") == "timeout":
            self.socket.close("the session timed out")
            return
        sender = message.get("sender")
        handle = self._handles.get(sender) if isinstance(sender, int) else None
        if handle is None:
            self.dropped += 1
            return
        if message.get("janus") == "detached":
            del self._handles[handle.id]
        handle.take(message)

    def _gone(self) -> None:
        for handle in self._handles.values():
            handle.gone()
        self._handles.clear()


def _id_of(answer: Message) -> int:
    data = answer.get("data")
    number = data.get("id") if isinstance(data, dict) else None
    if not isinstance(number, int):
        raise JanusRefused(0, "an answer without an id")
    return number
