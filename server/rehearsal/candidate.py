"""The synthetic candidate: speaks, types, presses, barges in and drops, over the public interfaces.

It knows nothing of the server but its HTTP API, its control channel and its sound: by WebRTC or by
telephone, where the control channel is only watched. A connection that breaks, by its own doing or
the server's, is made anew, and the turn goes on where it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import numpy as np
from aiortc.exceptions import InvalidStateError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from server.rehearsal import voicebox
from server.rehearsal.client import Refused
from server.rehearsal.floor import Floor
from server.rehearsal.legs import Connect, SpokenLeg
from server.rehearsal.notebook import Notebook
from server.rehearsal.script import Performance, Step, Turn, on_hold
from server.rehearsal.voicebox import Voicebox

logger = logging.getLogger(__name__)

T = TypeVar("T")
TICK_S = 0.05
FLOOR_WITHIN_S = 45.0
"""Longer than the longest reply, and than the silence ladder up to its last step."""
JOIN_WITHIN_S = 150.0
"""A killed server is started again within this, and a telephone's reception heard out."""
RETRY_S = 0.3
PAUSED_WITHIN_S = 20.0
"""A hold pauses the interview once what was said is written."""


class Lost(Exception):
    """The connection broke."""


class NoFloor(Exception):
    """The interviewer did not give the floor in time."""


@dataclass
class Doing:
    """What the candidate is at, for whoever watches (or picks a moment to kill the server)."""

    phase: str = "away"
    """away, waiting, speaking."""
    words: str = ""
    since: float = field(default_factory=time.monotonic)

    def now(self, phase: str, words: str = "") -> None:
        self.phase, self.words, self.since = phase, words, time.monotonic()


class Candidate:
    """`hold` once."""

    def __init__(
        self,
        connect: Connect,
        address: str,
        token: str,
        performance: Performance,
        floor: Floor,
        notebook: Notebook,
        *,
        voice: Voicebox | None = None,
        on_message: Callable[[dict[str, Any]], None] = lambda message: None,
    ) -> None:
        """`connect` makes a spoken leg; `address` is the control channel's URL. Without a voice
        everything goes by text."""
        self.floor = floor
        self.doing = Doing()
        self.trouble: list[str] = []
        self.joins = 0
        self._connect = connect
        self._address = address
        self._token = token
        self._performance = performance
        self._notebook = notebook
        self._voice = voice
        self._on_message = on_message
        self._call: SpokenLeg | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._rest: tuple[str | None, Sequence[Step]] = (None, ())

    async def hold(self) -> None:
        """Be interviewed to the end; what could not be done stands in `trouble`."""
        try:
            while not self.floor.ended:
                try:
                    await self._join()
                    await self._converse()
                except Lost:
                    logger.info("the connection broke; joining again")
                finally:
                    await self._leave()
        except (NoFloor, TimeoutError, Refused) as error:
            self.trouble.append(str(error) or f"gave up: {type(error).__name__}")

    def lost(self) -> None:
        """The line is found dead: whatever is under way is given up, and the join made anew."""
        self._lost.set()

    # --- being there ------------------------------------------------------------------------------
    async def _join(self) -> None:
        """Connect, again and again while the server is away or full. Raises `TimeoutError`."""
        self.doing.now("away")
        self.floor.rejoined()
        async with asyncio.timeout(JOIN_WITHIN_S):
            while not await self._joined():
                await self._leave()
                await asyncio.sleep(RETRY_S)
        self.joins += 1
        self.doing.now("waiting")

    async def _joined(self) -> bool:
        try:
            await self._listen()
            if self._voice is not None and not self.floor.ended:
                self._call = await self._connect()
        except Refused as error:
            if error.status in (409, 410):  # it has ended in our absence
                self.floor.ended = True
                return True
            if error.status != httpx.codes.SERVICE_UNAVAILABLE:
                raise
            await asyncio.sleep(error.retry_after_s)
            return False
        except (OSError, httpx.TransportError, WebSocketException, InvalidHandshake, EOFError) as e:
            logger.debug("not joined yet: %r", e)
            return False
        return True

    async def _listen(self) -> None:
        self._lost.clear()
        self._socket = await connect(self._address, proxy=None, open_timeout=5)
        mode = "text" if self._voice is None else "voice"
        hello = {"type": "hello", "token": self._token, "mode": mode}
        await self._socket.send(json.dumps(hello))
        self._reader = asyncio.create_task(self._read(self._socket))

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                self._heard(json.loads(raw))
        except WebSocketException:
            pass  # however it ended, the connection is gone
        finally:
            self._lost.set()

    def _heard(self, message: dict[str, Any]) -> None:
        now = time.monotonic()
        if message.get("type") == "committed":
            self._notebook.write({"at": time.time()} | message)
        if message.get("type") == "caption" and message.get("speaker") == "interviewer":
            self._notebook.write({"at": time.time()} | message | {"type": "line"})
        self.floor.feed(message, now)
        self._on_message(message)

    async def _leave(self) -> None:
        """As a machine that is switched off leaves: nobody is told, unless all is over."""
        call, self._call = self._call, None
        if call is not None:
            await (call.close() if self.floor.ended else call.drop())
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None

    # --- taking part ------------------------------------------------------------------------------
    async def _converse(self) -> None:
        while True:
            turn = await self._next_turn()
            if turn is None:
                return
            await self._play(self.floor.question_id, turn)

    async def _next_turn(self) -> Turn | None:
        """Wait for the floor, or for the moment to barge in; None at the end. Raises `NoFloor`."""
        self.doing.now("waiting")
        until = time.monotonic() + FLOOR_WITHIN_S
        while not self.floor.ended:
            now = time.monotonic()
            if self._lost.is_set():
                raise Lost
            if self._barges_in(now):
                return self._performance.take(self.floor.question_id)
            if self.floor.mine(now) and not self.floor.closing:
                return self._floor_given()
            if now > until:
                raise NoFloor(
                    f"no floor within {FLOOR_WITHIN_S:.0f} s: {self.floor.state}, "
                    f"question {self.floor.question_id}, heard {self.floor.lines}"
                )
            await asyncio.sleep(TICK_S)
        return None

    def _floor_given(self) -> Turn:
        """What is left of a turn that a drop cut short, else the next one."""
        question_id, steps = self._rest
        self._rest = (None, ())
        if steps and question_id == self.floor.question_id:
            return Turn(steps=tuple(steps))
        return self._performance.take(self.floor.question_id)

    def _barges_in(self, now: float) -> bool:
        if self.floor.line_question is None or self.floor.speaking_since is None:
            return False
        turn = self._performance.peek(self.floor.line_question)
        if turn is None or turn.barge_in_s is None:
            return False
        return now - self.floor.speaking_since >= turn.barge_in_s

    async def _play(self, question_id: str | None, turn: Turn) -> None:
        if turn.barge_in_s is None:
            await self._or_lost(asyncio.sleep(turn.reaction_s))
        for place, step in enumerate(turn.steps):
            self._rest = (question_id, turn.steps[place:])
            if step.drop is not None or step.hold is not None:
                self._rest = (question_id, turn.steps[place + 1 :])
            await self._do(step, question_id)
            if step.hold is not None:
                return  # the question is said again, and then the floor is given
        self._rest = (None, ())

    async def _do(self, step: Step, question_id: str | None) -> None:
        self._note(step, question_id)
        if step.say is not None:
            await self._say(step.say, question_id)
        elif step.pause is not None:
            await self._or_lost(asyncio.sleep(step.pause))
        elif step.type is not None:
            await self._send({"type": "typed", "text": step.type})
        elif step.press is not None:
            await self._send({"type": "request", "request": step.press})
        elif step.key is not None:
            await self._press(step.key)
        elif step.drop is not None:
            await self._leave()
            self.doing.now("away")
            await asyncio.sleep(step.drop)
            raise Lost
        elif step.hold is not None:
            await self._put_on_hold(step.hold)
        else:
            await self._send({"type": "hang_up"})

    async def _say(self, words: str, question_id: str | None) -> None:
        assert self._call is not None and self._voice is not None, "a typed script has no say"
        self.doing.now("speaking", words)
        await self._or_lost(self._call.say(self._voice[words], voicebox.RATE))
        self.doing.now("waiting")
        self.floor.acted()
        said = {"type": "said", "question_id": question_id, "text": words}
        self._notebook.write({"at": time.time()} | said)

    async def _press(self, key: str) -> None:
        assert self._call is not None, "a script with keys is for a telephone"
        self.floor.acted()
        await self._or_lost(self._call.press(key))

    async def _put_on_hold(self, seconds: float) -> None:
        """What is heard meanwhile in place of music are words, which nobody is to take for ours."""
        assert self._call is not None and self._voice is not None, "a script with hold is spoken"
        music = np.concatenate([self._voice[words] for words in on_hold(self._performance.script)])
        await self._or_lost(self._call.hold(music, voicebox.RATE))
        async with asyncio.timeout(PAUSED_WITHIN_S):
            while not self.floor.paused:
                await self._or_lost(asyncio.sleep(TICK_S))
        await self._or_lost(asyncio.sleep(seconds))
        self.floor.rejoined()
        await self._or_lost(self._call.resume())

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None, "joined"
        self.floor.acted()
        try:
            await self._socket.send(json.dumps(message))
        except WebSocketException as error:
            raise Lost from error

    def _note(self, step: Step, question_id: str | None) -> None:
        done = step.model_dump(exclude_unset=True)
        self._notebook.write(
            {"at": time.time(), "type": "does", "question_id": question_id} | {"step": done}
        )

    async def _or_lost(self, doing: Awaitable[T]) -> T:
        """The result, unless the connection breaks first. Raises `Lost`."""
        work = asyncio.ensure_future(doing)
        gone = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise Lost
        except (InvalidStateError, ConnectionError) as error:
            # aiortc's, when the peer connection is closed under it; or a telephone that was hung up
            raise Lost from error
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
