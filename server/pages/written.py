"""An interview in writing by plain forms, for a browser without scripts: one request an answer, and
a leg that stays between them.

A page that runs scripts is told everything over its socket; a form is answered with a page, and so
has to wait until the interviewer has said what comes next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from server.api.ports import Host, NotLive

logger = logging.getLogger(__name__)

IDLE_S = 900.0
"""A leg that no form has used for so long is left; the next form joins again."""
REPLY_S = 8.0
"""How long a form waits for the reply; the page can be loaded again for one that takes longer."""
SETTLED = ("listening", "paused")


class WrittenLegs:
    """Which interviews are held by forms now."""

    def __init__(self, host: Host, *, idle_s: float = IDLE_S, reply_s: float = REPLY_S) -> None:
        self._host = host
        self._idle_s = idle_s
        self._reply_s = reply_s
        self._idle: dict[str, asyncio.TimerHandle] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def join(self, interview_id: str) -> None:
        """Begin, or come back; returns when the interviewer has spoken. Raises as
        `Host.open_text`."""

        async def nothing() -> None:
            """Joining is all there is to do."""

        await self._exchange(interview_id, self._open(interview_id, nothing))

    async def typed(self, interview_id: str, text: str) -> None:
        """An answer, and the reply to it. Raises as `Host.open_text`."""
        await self._do(interview_id, lambda: self._host.typed(interview_id, text))

    async def request(self, interview_id: str, request: str) -> None:
        """A button, and the reply to it. Raises as `Host.open_text`."""
        await self._do(interview_id, lambda: self._host.request(interview_id, request))

    async def hang_up(self, interview_id: str) -> None:
        """End the interview for good. Raises as `Host.open_text`."""
        await self._do(interview_id, lambda: self._host.hang_up(interview_id))

    async def _do(self, interview_id: str, act: Callable[[], Awaitable[None]]) -> None:
        async def where_it_goes_on() -> None:
            try:
                await act()  # a call of any kind that is live takes it
            except NotLive:
                await self._open(interview_id, act)

        await self._exchange(interview_id, where_it_goes_on())

    async def _open(self, interview_id: str, then: Callable[[], Awaitable[None]]) -> None:
        epoch = await self._host.open_text(interview_id)
        self._stay(interview_id, epoch)
        await then()

    async def _exchange(self, interview_id: str, doing: Awaitable[None]) -> None:
        reading = asyncio.create_task(self._replied(interview_id))
        await asyncio.sleep(0)  # subscribed before anything is said
        try:
            await doing
            with suppress(TimeoutError):
                async with asyncio.timeout(self._reply_s):
                    await asyncio.shield(reading)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _replied(self, interview_id: str) -> None:
        """Until the interviewer has said something, waits, and what was said can be read: a page is
        made from the log, which is written a moment after it is told of."""
        said = written = 0
        waits = False
        async for message in self._host.subscribe(interview_id):
            match message:
                case {"type": "caption", "speaker": "interviewer", "final": True}:
                    said += 1
                case {"type": "committed", "event": "line_spoken"}:
                    written += 1
                case {"type": "state", "state": "ended"}:
                    return
                case {"type": "state", "state": state}:
                    waits = state in SETTLED
            if waits and 0 < said <= written:
                return

    def _stay(self, interview_id: str, epoch: int) -> None:
        if older := self._idle.pop(interview_id, None):
            older.cancel()
        loop = asyncio.get_running_loop()
        self._idle[interview_id] = loop.call_later(self._idle_s, self._leave, interview_id, epoch)

    def _leave(self, interview_id: str, epoch: int) -> None:
        self._idle.pop(interview_id, None)
        leaving = asyncio.create_task(self._host.close_text(interview_id, epoch))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
