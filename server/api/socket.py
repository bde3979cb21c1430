"""The candidate's WebSocket: the one control channel of a call.

The first message is a hello with the invite's token; then messages go both ways until either side
leaves. The newest socket of an interview stays, the one before it is told so and closed. Closing a
socket never ends an interview.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from agent.plan import Language
from server import logs
from server.api import errors
from server.api.errors import ApiError
from server.api.limits import MAX_TYPED, TokenBucket
from server.api.models import (
    FROM_CANDIDATE,
    HELLO,
    FromCandidate,
    HangUp,
    Hello,
    Ping,
    Requested,
    Typed,
    Typing,
)
from server.api.notices import notice
from server.api.origin import may_open_socket
from server.api.parts import Parts, address_of, parts_of
from server.store import InterviewRecord

logger = logging.getLogger(__name__)
router = APIRouter()

HELLO_WITHIN_S = 10.0
PER_SECOND, BURST = 10.0, 30
MOST_STRIKES = 50
"""Refused messages in a row before the socket is closed."""
DONE, REFUSED, REPLACED, FLOODED, BAD_HELLO, FAILED = 1000, 4403, 4409, 4429, 4400, 1011


@dataclass
class Sockets:
    """Which socket of each interview is the newest."""

    _newest: dict[str, asyncio.Event] = field(default_factory=dict)

    def take(self, interview_id: str) -> asyncio.Event:
        """Be the newest; the event is set when that is over."""
        if older := self._newest.get(interview_id):
            older.set()
        self._newest[interview_id] = replaced = asyncio.Event()
        return replaced

    def leave(self, interview_id: str, replaced: asyncio.Event) -> None:
        if self._newest.get(interview_id) is replaced:
            del self._newest[interview_id]


@router.websocket("/api/call/socket")
async def socket(ws: WebSocket) -> None:
    parts = parts_of(ws)
    if not may_open_socket(ws, parts.settings):
        await ws.close(REFUSED)  # before the handshake ends: the browser sees a 403
        return
    await ws.accept()
    try:
        hello = await _hello(ws)
        record = await _mine(parts, hello, address_of(ws))
        plan = await parts.store.plan(record.plan_hash)
    except errors.HANDLED as error:
        await _refuse(ws, errors.of(error), REFUSED)
    except (WebSocketDisconnect, TimeoutError):
        await _close(ws, BAD_HELLO)
    else:
        logs.set_interview(record.interview_id)
        await _Conversation(ws, parts, record, plan.language, hello.mode).run()


class _Conversation:
    """One socket after its hello."""

    def __init__(
        self,
        ws: WebSocket,
        parts: Parts,
        record: InterviewRecord,
        language: Language,
        mode: str,
    ) -> None:
        self._ws = ws
        self._parts = parts
        self._id = record.interview_id
        self._over = record.status == "ended"
        self._begins = record.status in ("invited", "consented")
        self._language = language
        self._mode = mode
        self._bucket = TokenBucket(PER_SECOND, BURST, time.monotonic())
        self._epoch: int | None = None

    async def run(self) -> None:
        if self._over:
            await self._ws.send_json({"type": "state", "state": "ended"})
            await _close(self._ws, DONE)
            return
        sockets: Sockets = self._ws.app.state.sockets
        replaced = sockets.take(self._id)
        code = FAILED
        try:
            code = await self._talk(replaced)
        except ApiError as error:
            code = REFUSED
            await _refuse(self._ws, error, code)
        except Exception:
            # The task's outermost edge: the candidate is told to join again, the operator gets the
            # traceback.
            logger.exception("The socket failed")
            await self._notice("failed")
        finally:
            sockets.leave(self._id, replaced)
            if self._epoch is not None:
                await self._parts.host.close_text(self._id, self._epoch)
            await _close(self._ws, code)

    async def _talk(self, replaced: asyncio.Event) -> int:
        """Both ways at once, until one of them is over; returns the close code."""
        telling = asyncio.create_task(self._tell())
        await asyncio.sleep(0)  # subscribed before the call begins: its first words are not missed
        tasks = [telling]
        try:
            await self._join()
            tasks += [
                asyncio.create_task(self._listen()),
                asyncio.create_task(replaced.wait()),
            ]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if replaced.is_set():
                await self._notice("replaced")
                return REPLACED
            return max(int(task.result()) for task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self) -> None:
        if self._mode != "text":
            return
        try:
            if self._begins:  # one that goes on may always come back
                await self._parts.check_space()
            self._epoch = await self._parts.host.open_text(self._id)
        except errors.HANDLED as error:
            raise errors.of(error) from error

    async def _tell(self) -> int:
        """Host to candidate."""
        with suppress(WebSocketDisconnect, RuntimeError):  # as in `_send`
            async for message in self._parts.host.subscribe(self._id):
                await self._ws.send_json(message)
                if message.get("type") == "state" and message.get("state") == "ended":
                    break
        return DONE

    async def _listen(self) -> int:
        """Candidate to host."""
        strikes = 0
        with suppress(WebSocketDisconnect):
            while strikes < MOST_STRIKES:
                text = await _text(self._ws)
                strikes = 0 if await self._take(text) else strikes + 1
            return FLOODED
        return DONE

    async def _take(self, text: str) -> bool:
        """One message; False if it was refused, with a notice that says so."""
        if not self._bucket.take(time.monotonic()):
            return await self._notice("too_fast")
        try:
            message = FROM_CANDIDATE.validate_json(text)
        except ValidationError:
            return await self._notice("bad_message")
        if isinstance(message, Typed) and len(message.text) > MAX_TYPED:
            return await self._notice("too_long", limit=MAX_TYPED)
        try:
            await self._pass_on(message)
        except errors.HANDLED as error:
            refusal = errors.of(error)
            await self._send({"type": "notice", **refusal.body})
            return False
        return True

    async def _pass_on(self, message: FromCandidate) -> None:
        host = self._parts.host
        match message:
            case Typed(text=text):
                if text.strip():
                    await host.typed(self._id, text.strip())
            case Ping():
                await self._send({"type": "pong"})
            case Typing():
                await host.typing(self._id)
            case Requested(request=request):
                await host.request(self._id, request)
            case HangUp():
                await host.hang_up(self._id)

    async def _notice(self, code: str, **more: int) -> bool:
        said = notice(code, self._language)
        await self._send({"type": "notice", "code": said.code, "text": said.text, **more})
        return False

    async def _send(self, message: dict[str, object]) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # gone already: there is nobody to tell
            await self._ws.send_json(message)


async def _hello(ws: WebSocket) -> Hello:
    async with asyncio.timeout(HELLO_WITHIN_S):
        text = await _text(ws)
    try:
        return HELLO.validate_json(text)
    except ValidationError:
        raise ApiError(400, "bad_message", "The first message must be a hello.") from None


async def _mine(parts: Parts, hello: Hello, address: str) -> InterviewRecord:
    invite = await parts.invites.open(hello.token, address)
    return await parts.store.interview(invite.interview_id)


async def _text(ws: WebSocket) -> str:
    message = await ws.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", DONE))
    return message.get("text") or ""  # a binary frame is no message of ours


async def _refuse(ws: WebSocket, error: ApiError, code: int) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # as in `_send`
        await ws.send_text(json.dumps({"type": "notice", **error.body}))
    await _close(ws, code)


async def _close(ws: WebSocket, code: int) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # closed already
        await ws.close(code)
