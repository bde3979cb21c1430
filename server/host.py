"""The call host: every live call, on a thread and an event loop of its own.

It meets the web application only through the Store and this one message port: no HTTP handler
touches a media object, and nothing of the web's (hashing, rendering, commits) runs on the call
loop, whose lag is measured.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar
from weakref import WeakValueDictionary

from agent.events import EndReason, Event, InterviewEnded, RequestMade
from agent.journal import Fenced
from asr.errors import HearingError
from asr.recognition import Admitting
from server import logs
from server.api.notices import notice
from server.api.ports import Answer, Busy, NotConsented, NotLive, Over
from server.bus import Bus, Message
from server.call import Call, Channel, LeaveReason, Leg, OnLeft
from server.equipment import Equipment
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.phone.bridge import GatewayState
from server.store import StaleLease, Store, UnknownInterview

logger = logging.getLogger(__name__)

T = TypeVar("T")
CODECS = ("opus", "PCMU")
"""Best first; an answer names one, so that a browser gets Opus and a gateway without it PCMU."""
JOIN_S = 30.0
"""A leg that takes longer to begin is given up; its candidate may try again."""
LAG_EVERY_S = 0.5


@dataclass(frozen=True)
class HostSettings:
    max_interviews: int = 4
    ice: IceSettings = field(default_factory=IceSettings)
    quiet_s: float = 4.0
    """Without a packet for this long a leg is given up: aiortc itself would take half a minute."""
    hold_s: float = 120.0
    """A candidate who dropped keeps their place for this long."""


class Companion(Protocol):
    """What brings calls of its own to the host: the telephone."""

    @property
    def state(self) -> GatewayState: ...

    async def start(self) -> None:
        """What it raises, the host's `start` raises."""

    async def stop(self) -> None:
        """Every call has ended; comes back within seconds."""


class CallHost:
    """A facade callable from the web application's loop; `start` and `stop` once each."""

    def __init__(
        self,
        store: Store,
        equipment: Callable[[], Equipment],
        settings: HostSettings,
        *,
        on_ended: Callable[[str], None] = lambda interview_id: None,
        companion: Callable[[CallHost, Equipment], Companion] | None = None,
        ears: Admitting | None = None,
    ) -> None:
        """`companion` is made on the call loop, and lives there as long as the host. `ears`: the
        recogniser, asked before a spoken leg begins; None hears everybody."""
        self._store = store
        self._make_equipment = equipment
        self._settings = settings
        self._on_ended = on_ended
        self._make_companion = companion
        self._companion: Companion | None = None
        self._owner = uuid.uuid4().hex
        self._bus = Bus()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="call-host", daemon=True)
        self._calls: dict[str, Call] = {}
        self._held: dict[str, float] = {}
        self._joining: set[str] = set()
        self._ears = ears
        self._heard: set[str] = set()
        """Interviews that the recogniser counts as its own."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One join at a time of an interview; a lock lives while somebody holds or awaits it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.worst_lag_s = 0.0
        """The longest the call loop was late in the last minute."""

    # --- life -------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin; raises what making the equipment raises, and has then stopped."""
        self._thread.start()
        try:
            self._submit(self._prepare()).result()
        except BaseException:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            raise

    async def stop(self) -> None:
        """End every leg (the interviews go on at the next start) and the thread."""
        if self._thread.is_alive():
            await self._on_call_loop(self._stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, 10)

    @property
    def live(self) -> int:
        """Interviews being held now."""
        return len(self._calls)

    @property
    def phone(self) -> GatewayState | None:
        """How the telephone does; None where there is none. A frozen value, for any thread."""
        return self._companion.state if self._companion is not None else None

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
        if interview_id in self._calls:
            await self._on_call_loop(self._close_text(interview_id, epoch))

    async def typed(self, interview_id: str, text: str) -> None:
        """A typed answer. Raises `NotLive`."""
        await self._on_call_loop(self._typed(interview_id, text))

    async def typing(self, interview_id: str) -> None:
        """A typed answer is being written. Raises `NotLive`."""
        await self._on_call_loop(self._typing(interview_id))

    async def request(self, interview_id: str, request: str) -> None:
        """A button. Raises `NotLive`."""
        await self._on_call_loop(self._request(interview_id, request))

    async def hang_up(self, interview_id: str) -> None:
        """The candidate ends the interview for good. Raises `NotLive`."""
        await self._on_call_loop(self._hang_up(interview_id))

    async def drop(self, interview_id: str) -> None:
        """End the call, if there is one, and leave the interview as it is. When this returns the
        call writes and records no more, and its place is free."""
        await self._on_call_loop(self._drop(interview_id))

    def subscribe(self, interview_id: str) -> AsyncIterator[Message]:
        """Captions, states and commits of an interview from now on."""
        return self._bus.subscribe(interview_id)

    # --- for whoever lives on the call loop -------------------------------------------------------
    async def keep_place(self, interview_id: str) -> None:
        """Keep a place for somebody who is about to speak here, for as long as for one who dropped:
        who finds none is to know before they are asked for anything. Raises `Busy`."""
        async with self._place(interview_id, spoken=True):
            if interview_id not in self._calls:
                self._hold(interview_id)

    def has_place(self, interview_id: str) -> bool:
        """Whether it is being held, or its candidate dropped out and may come back."""
        self._give_up_places()
        return interview_id in self._places

    def leave_place(self, interview_id: str) -> None:
        """Give back what `keep_place` kept, where nobody came for it."""
        if interview_id in self._held:
            self._held[interview_id] = self._loop.time()
            self._give_up_places()

    async def join_line(
        self, interview_id: str, peer: Peer, on_left: OnLeft, channel: Channel = "phone"
    ) -> Call:
        """Join with a peer that stays its owner's. Raises `Busy`, `NotConsented`, `Over`."""
        async with self._place(interview_id, spoken=True):
            call = await self._new_leg(interview_id, channel)
            await self._begin(call, call.join_spoken(peer, on_left))
            return call

    # --- on the call loop -------------------------------------------------------------------------
    async def _prepare(self) -> None:
        self._equipment = self._make_equipment()
        if self._make_companion is not None:
            self._companion = self._make_companion(self, self._equipment)
            await self._companion.start()
        self._keep(self._equipment.find_mode())
        self._keep(self._equipment.warm_up())
        self._keep(self._equipment.try_voices())
        self._keep(self._measure_lag())

    # Joining.

    async def _join_spoken(
        self, interview_id: str, sdp: str, type: str, channel: Channel
    ) -> Answer:
        async with self._place(interview_id, spoken=True):
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
                await self._begin(call, call.join_spoken(peer))
            except BaseException:
                await peer.close()
                raise
            return Answer(sdp=answer, type="answer", epoch=call.leg.epoch)

    async def _join_written(self, interview_id: str) -> int:
        async with self._place(interview_id):
            call = await self._new_leg(interview_id, "text")
            await self._begin(call, call.join_written())
            return call.leg.epoch

    @asynccontextmanager
    async def _place(self, interview_id: str, *, spoken: bool = False) -> AsyncIterator[None]:
        """A turn to join, and room for it, counted at once: those who join in the same moment
        must not find the same last place. Raises `Busy`."""
        logs.set_interview(interview_id)
        async with self._lock(interview_id):
            known = interview_id in self._places
            self._check_room(interview_id)
            self._joining.add(interview_id)
            try:
                if spoken:
                    await self._be_heard(interview_id, known=known)
                yield
            finally:
                self._joining.discard(interview_id)
                self._give_up_places()

    async def _be_heard(self, interview_id: str, *, known: bool) -> None:
        """Room at the recogniser, whose speech would else come late for all. Whoever has a place
        is not refused in mid-interview. Raises `Busy`."""
        if self._ears is None or interview_id in self._heard:
            return
        try:
            await self._ears.enter(interview_id, regardless=known)
        except HearingError as error:
            logger.warning("a candidate waits for the recogniser: %s", error)
            raise Busy(len(self._places)) from error
        self._heard.add(interview_id)

    def _lock(self, interview_id: str) -> asyncio.Lock:
        return self._locks.setdefault(interview_id, asyncio.Lock())

    def _check_room(self, interview_id: str) -> None:
        self._give_up_places()
        places = self._places
        full = interview_id not in places and len(places) >= self._settings.max_interviews
        if full or self._stopping:
            raise Busy(len(places))

    @property
    def _places(self) -> set[str]:
        return self._calls.keys() | self._held.keys() | self._joining

    def _give_up_places(self) -> None:
        now = self._loop.time()
        for interview_id in [held for held, until in self._held.items() if until <= now]:
            del self._held[interview_id]
            self._bus.forget(interview_id)
        for interview_id in self._heard - self._places:
            self._heard.discard(interview_id)
            if self._ears is not None:
                self._ears.leave(interview_id)

    async def _new_leg(self, interview_id: str, channel: Channel) -> Call:
        old = self._calls.pop(interview_id, None)
        if old is not None:
            self._hold(interview_id)  # whatever comes of the new leg
            self._tell_replaced(old)
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
            self._held.pop(interview_id, None)
            raise Over(interview_id)
        if not call.interview.consented:
            raise NotConsented(interview_id)
        return call

    async def _begin(self, call: Call, joining: Coroutine[Any, Any, None]) -> None:
        """A leg that cannot begin is closed again; its candidate keeps the place."""
        self._calls[call.leg.interview_id] = call
        try:
            async with asyncio.timeout(JOIN_S):
                await joining
        except BaseException:
            await self._close(call, "dropped")
            raise
        self._held.pop(call.leg.interview_id, None)

    def _tell_replaced(self, old: Call) -> None:
        """Everyone who listens to the interview hears it; the epoch says which leg is meant."""
        said = notice("replaced", old.interview.plan.language)
        message = {"type": "notice", "code": said.code, "text": said.text, "epoch": old.leg.epoch}
        self._bus.publish(old.leg.interview_id, message)

    # Being there.

    def _live(self, interview_id: str) -> Call:
        call = self._calls.get(interview_id)
        if call is None or not call.live:
            raise NotLive(interview_id)
        return call

    async def _typed(self, interview_id: str, text: str) -> None:
        await self._live(interview_id).typed(text)

    async def _typing(self, interview_id: str) -> None:
        self._live(interview_id).typing()

    async def _request(self, interview_id: str, request: str) -> None:
        call = self._live(interview_id)
        made = RequestMade.model_validate({"at": call.now(), "request": request})
        await call.request(made)

    async def _hang_up(self, interview_id: str) -> None:
        self._live(interview_id).withdraw()

    # Leaving.

    async def _close_text(self, interview_id: str, epoch: int) -> None:
        call = self._calls.get(interview_id)
        if call is not None and call.leg.channel == "text" and call.leg.epoch == epoch:
            await self._close(call, "dropped")

    async def _drop(self, interview_id: str) -> None:
        async with self._lock(interview_id):  # a leg that is just beginning is dropped as well
            call = self._calls.get(interview_id)
            if call is not None:
                await self._close(call, "dropped")
            self._held.pop(interview_id, None)
            self._give_up_places()

    def _over(self, call: Call, reason: LeaveReason | None) -> None:
        self._keep(self._close(call, reason))

    async def _close(self, call: Call, reason: LeaveReason | None) -> None:
        interview_id = call.leg.interview_id
        if reason is not None and self._calls.get(interview_id) is call:
            self._hold(interview_id)
            call.publish_state("reconnecting" if reason == "dropped" else "paused")
        try:
            await call.close(reason)
        finally:
            if self._calls.get(interview_id) is call:
                del self._calls[interview_id]
        if call.interview.ended is not None:
            self._told_ended(call)
        elif reason == "dropped" and (ending := call.interview.ending) is not None:
            self._keep(self._end_unheard(call, ending))

    def _told_ended(self, call: Call) -> None:
        interview_id = call.leg.interview_id
        self._held.pop(interview_id, None)
        self._give_up_places()
        call.publish_state("ended")
        self._loop.call_later(self._settings.hold_s, self._bus.forget, interview_id)
        self._on_ended(interview_id)

    async def _end_unheard(self, call: Call, ending: EndReason) -> None:
        """Whoever drops out of the last words may come back for them; the report does not wait for
        that as long as for an answer."""
        await asyncio.sleep(self._settings.hold_s)
        ended = InterviewEnded(at=call.now(), reason=ending)
        with suppress(StaleLease, UnknownInterview):  # they came back, or it was erased
            await self._store.append(call.leg.interview_id, call.leg.epoch, [ended])
            self._told_ended(call)

    def _hold(self, interview_id: str) -> None:
        self._held[interview_id] = self._loop.time() + self._settings.hold_s
        # The recogniser may serve other servers too: nobody need join here for a place to be free.
        self._loop.call_later(self._settings.hold_s + 0.1, self._give_up_places)

    async def _stop(self) -> None:
        self._stopping = True
        for interview_id in list(self._joining):
            async with self._lock(interview_id):
                """Whoever is joining has joined, and is closed like the others."""
        calls = list(self._calls.values())
        closing = [self._close(call, "server_stopped") for call in calls]
        await asyncio.gather(*closing, return_exceptions=True)
        if self._companion is not None:
            await self._companion.stop()
        await _cancel(self._tasks)
        await self._equipment.aclose()
        # What is left is other threads' waiting: they hear that it is over.
        await _cancel(asyncio.all_tasks() - {asyncio.current_task()})

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
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _on_call_loop(self, work: Coroutine[Any, Any, T]) -> T:
        result: T = await asyncio.wrap_future(self._submit(work))
        return result

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a task of the call host failed", exc_info=error)


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in (cancelled := list(tasks)):
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
