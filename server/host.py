"""The call host: every live call, on a thread and an event loop of its own.

It meets the web application only through the Store and this one message port: no HTTP handler
touches a media object, and nothing of the web's (hashing, rendering, commits) runs on the call
loop, whose lag is measured.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

from agent.events import Event, RequestMade
from agent.journal import Fenced
from server import logs
from server.api.ports import Answer, Busy, NotConsented, NotLive, Over
from server.bus import Bus, Message
from server.call import Call, Channel, LeaveReason, Leg
from server.equipment import Equipment
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.store import StaleLease, Store, UnknownInterview

logger = logging.getLogger(__name__)

T = TypeVar("T")
CODECS = ("opus", "PCMU")
"""Best first; an answer names one, so that a browser gets Opus and a gateway without it PCMU."""
HOLD_S = 120.0
"""A candidate who dropped keeps their place for this long."""
LAG_EVERY_S = 0.5


@dataclass(frozen=True)
class HostSettings:
    max_interviews: int = 4
    ice: IceSettings = field(default_factory=IceSettings)
    quiet_s: float = 4.0
    """Without a packet for this long a leg is given up: aiortc itself would take half a minute."""


class CallHost:
    """A facade callable from the web application's loop; `start` and `stop` once each."""

    def __init__(
        self,
        store: Store,
        equipment: Callable[[], Equipment],
        settings: HostSettings,
        *,
        on_ended: Callable[[str], None] = lambda interview_id: None,
    ) -> None:
        self._store = store
        self._make_equipment = equipment
        self._settings = settings
        self._on_ended = on_ended
        self._owner = uuid.uuid4().hex
        self._bus = Bus()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="call-host", daemon=True)
        self._calls: dict[str, Call] = {}
        self._held: dict[str, float] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self.worst_lag_s = 0.0
        """The longest the call loop was late in the last minute."""

    # --- life -------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin; raises what making the equipment raises."""
        self._thread.start()
        self._submit(self._prepare()).result()

    async def stop(self) -> None:
        """End every leg (the interviews go on at the next start) and the thread."""
        await self._on_call_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, 10)

    @property
    def live(self) -> int:
        """Interviews being held now."""
        return len(self._calls)

    # --- the message port -------------------------------------------------------------------------
    async def offer(
        self, interview_id: str, sdp: str, type: str, channel: Literal["web", "phone"] = "web"
    ) -> Answer:
        """Answer a WebRTC offer: join, or rejoin. Raises `Busy`, `BadOffer`, `NotConsented`,
        `Over`.
        """
        return await self._on_call_loop(self._join_spoken(interview_id, sdp, type, channel))

    async def open_text(self, interview_id: str) -> int:
        """Join without a microphone; returns the epoch. Raises as `offer`."""
        return await self._on_call_loop(self._join_written(interview_id))

    async def close_text(self, interview_id: str, epoch: int) -> None:
        """The socket of a text call is gone; nothing happens where a newer leg has begun."""
        call = self._calls.get(interview_id)
        if call is not None and call.leg.channel == "text" and call.leg.epoch == epoch:
            await self._on_call_loop(self._close(call, "dropped"))

    async def typed(self, interview_id: str, text: str) -> None:
        """A typed answer. Raises `NotLive`."""
        await self._on_call_loop(self._call(interview_id).typed(text))

    async def request(self, interview_id: str, request: str) -> None:
        """A button. Raises `NotLive`."""
        call = self._call(interview_id)
        made = RequestMade.model_validate({"at": call.now(), "request": request})
        await self._on_call_loop(call.request(made))

    async def hang_up(self, interview_id: str) -> None:
        """The candidate ends the interview for good."""
        call = self._call(interview_id)
        self._loop.call_soon_threadsafe(call.withdraw)

    async def drop(self, interview_id: str) -> None:
        """End the call, if there is one, and leave the interview as it is. When this returns the
        call writes and records no more."""
        call = self._calls.get(interview_id)
        if call is not None:
            await self._on_call_loop(self._close(call, "dropped"))

    def subscribe(self, interview_id: str) -> AsyncIterator[Message]:
        """Captions, states and commits of an interview from now on."""
        return self._bus.subscribe(interview_id)

    def _call(self, interview_id: str) -> Call:
        call = self._calls.get(interview_id)
        if call is None:
            raise NotLive(interview_id)
        return call

    # --- on the call loop -------------------------------------------------------------------------
    async def _prepare(self) -> None:
        self._equipment = self._make_equipment()
        self._keep(self._equipment.find_mode())
        self._keep(self._measure_lag())

    async def _join_spoken(
        self, interview_id: str, sdp: str, type: str, channel: Channel
    ) -> Answer:
        async with self._place(interview_id):
            # Answered before the old leg is touched: a bad offer must not end a good call.
            peer, answer = await Peer.answer(
                sdp,
                type,
                ice=self._settings.ice,
                codecs=CODECS,
                quiet_s=self._settings.quiet_s,
            )
            try:
                call = await self._new_leg(interview_id, channel)
                await call.join_spoken(peer)
            except BaseException:
                await peer.close()
                raise
            return Answer(sdp=answer, type="answer", epoch=call.leg.epoch)

    async def _join_written(self, interview_id: str) -> int:
        async with self._place(interview_id):
            call = await self._new_leg(interview_id, "text")
            await call.join_written()
            return call.leg.epoch

    @asynccontextmanager
    async def _place(self, interview_id: str) -> AsyncIterator[None]:
        """A place for one who joins: taken before anything is awaited, given back if the join
        fails; a candidate who dropped still has theirs. One join of an interview at a time."""
        logs.set_interview(interview_id)
        lock = self._locks.setdefault(interview_id, asyncio.Lock())
        async with lock:
            kept = self._take_place(interview_id)
            try:
                yield
            except BaseException:
                half_made = self._calls.pop(interview_id, None)
                self._held[interview_id] = kept
                if half_made is not None:
                    await half_made.close("dropped")
                raise
            self._held.pop(interview_id, None)

    def _take_place(self, interview_id: str) -> float:
        """Raises `Busy`; returns until when the candidate's place was held before."""
        now = self._loop.time()
        self._held = {held: until for held, until in self._held.items() if until > now}
        places = set(self._calls) | set(self._held)
        if interview_id not in places and len(places) >= self._settings.max_interviews:
            raise Busy(len(places))
        kept = self._held.get(interview_id, now)
        self._held[interview_id] = math.inf
        return kept

    async def _new_leg(self, interview_id: str, channel: Channel) -> Call:
        old = self._calls.pop(interview_id, None)
        if old is not None:
            self._say(interview_id, "replaced", "The interview goes on in another window.")
            await old.close("replaced")
        epoch = await self._store.take_lease(interview_id, self._owner)
        past = tuple(stored.event for stored in await self._store.events(interview_id))
        record = await self._store.interview(interview_id)
        plan = await self._store.plan(record.plan_hash)

        async def write(events: Sequence[Event]) -> int:
            try:
                return await self._store.append(interview_id, epoch, events)
            except (StaleLease, UnknownInterview) as error:  # replaced, or erased
                raise Fenced from error

        call = Call(
            Leg(interview_id, epoch, channel),
            plan,
            past,
            self._equipment,
            self._bus,
            write=write,
            on_over=self._over,
        )
        if call.interview.ended is not None:
            raise Over(interview_id)
        if not call.interview.consented:
            raise NotConsented(interview_id)
        self._calls[interview_id] = call
        return call

    def _over(self, call: Call, reason: LeaveReason | None) -> None:
        self._keep(self._close(call, reason))

    async def _close(self, call: Call, reason: LeaveReason | None) -> None:
        interview_id = call.leg.interview_id
        if reason is not None and self._calls.get(interview_id) is call:
            self._held[interview_id] = self._loop.time() + HOLD_S
            call.publish_state("reconnecting" if reason == "dropped" else "paused")
        await call.close(reason)
        if self._calls.get(interview_id) is call:
            del self._calls[interview_id]
        if call.interview.ended is not None:
            self._held.pop(interview_id, None)
            call.publish_state("ended")
            self._bus.forget(interview_id)
            self._on_ended(interview_id)

    async def _stop(self) -> None:
        calls = list(self._calls.values())
        self._calls.clear()
        await asyncio.gather(*(call.close("server_stopped") for call in calls))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._equipment.aclose()

    async def _measure_lag(self) -> None:
        since, worst = self._loop.time(), 0.0
        while True:
            due = self._loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            worst = max(worst, self._loop.time() - due)
            self.worst_lag_s = max(self.worst_lag_s, worst)
            if self._loop.time() - since > 60:
                if worst > 0.1:
                    logger.warning("the call loop was late by up to %.0f ms", worst * 1000)
                since, self.worst_lag_s, worst = self._loop.time(), worst, 0.0

    # --- between the threads ----------------------------------------------------------------------
    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _on_call_loop(self, work: Coroutine[Any, Any, T]) -> T:
        result: T = await asyncio.wrap_future(self._submit(work))
        return result

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, interview_id: str, code: str, text: str) -> None:
        self._bus.publish(interview_id, {"type": "notice", "code": code, "text": text})
