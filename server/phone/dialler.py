"""Calls to candidates: which may begin now, what became of each, and when it is tried again.

A call waits, and is no try, while its hour has not come, a cap is reached, the account is not
registered, only the line for callers is free, the candidate is in the interview already, or there
is no place to interview them. From its beginning on it counts: its line and its place are kept, and
it ends with an outcome, which is written even where the store is away for a while.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import Incident
from server.api.ports import Busy
from server.media.errors import MediaError
from server.phone import outbound
from server.phone.bridge import Bridge, BridgeCall, GatewayLost, PhoneError
from server.phone.outbound import NoCall, Policy
from server.phone.records import CallRecords
from server.store import CallOut, CallOutcome, Store, StoreError, UnknownInterview

logger = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often it is looked whether somebody is to be called, or is to be called no more."""
SEEN_EVERY_S = 60.0
"""How often it is written that calls go on: what a killed server leaves open lasted no longer."""
INCIDENTS: dict[CallOutcome, str] = {
    "busy": "phone_busy",
    "no_answer": "phone_no_answer",
    "declined": "phone_declined",
    "voicemail": "phone_voicemail",
    "failed": "phone_failed",
}


class Places(Protocol):
    """What is asked of `server.host.CallHost` before somebody is called."""

    async def keep_place(self, interview_id: str) -> None:
        """Raises `Busy`."""

    def has_place(self, interview_id: str) -> bool:
        """It is being held, or its candidate may come back at any moment."""

    def leave_place(self, interview_id: str) -> None:
        """Nobody came for what was kept."""


@dataclass(eq=False)
class Outgoing:
    """A call out, from the moment when it was decided on."""

    row: CallOut
    number: str
    """As it is dialled."""
    began: float
    call: BridgeCall | None = None
    """Once the gateway has it: until then the gateway does not count its line."""
    joined: Callable[[], bool] = field(default=lambda: False)
    """Whether the interview was reached."""


class Dialler:
    def __init__(
        self,
        bridge: Bridge,
        store: Store,
        records: CallRecords,
        places: Places,
        clock: Callable[[], float],
        account: str,
        policy: Policy,
        hold: Callable[[Outgoing], Awaitable[CallOutcome]],
    ) -> None:
        """`hold` dials, and holds the call to its end; it says so in the `Outgoing`."""
        self._bridge, self._store, self._records = bridge, store, records
        self._places, self._clock = places, clock
        self._account, self._policy, self._hold = account, policy, hold
        self._running: dict[str, tuple[Outgoing, asyncio.Task[None]]] = {}
        """By interview."""
        self._ends: list[tuple[CallOut, CallOutcome, float]] = []
        """What is not written yet."""
        self._refused: dict[str, str] = {}
        """Why a call that is due is not made, by its id: each reason is said once."""
        self._waits_for = ""
        """What all of them wait for: likewise."""
        self._seen = clock()

    async def run(self) -> None:
        """Until cancelled. One call at a time leaves; each is a task of its own then."""
        begun = False
        while True:
            try:
                if not begun:
                    await self._end_unended()
                    begun = True
                await self._look()
            except Exception:  # the task's edge: a fault of today must not end tomorrow's calls
                logger.exception("calls to candidates wait")
            await asyncio.sleep(LOOK_S)

    async def finish(self, within_s: float) -> None:
        """Every call was ended; what became of them is written."""
        if tasks := [task for _, task in self._running.values()]:
            await asyncio.wait(tasks, timeout=within_s)
        try:
            await self._write_ends()
        except StoreError:
            logger.exception("how calls ended is written at the next start")

    async def _look(self) -> None:
        await self._write_ends()
        if self._running and self._clock() - self._seen >= SEEN_EVERY_S:
            self._seen = self._clock()
            await self._store.calls_seen(self._seen)
        for made, _ in list(self._running.values()):
            await self._end_unwanted(made)
        for call in await self._store.calls_due(self._clock()):
            try:
                await self._begin(call)
            except UnknownInterview:
                pass  # erased at this moment, and the call with it
            except StoreError:  # of this interview, perhaps: the next call is another's
                logger.exception("a call to a candidate waits")

    # --- before -----------------------------------------------------------------------------------
    async def _begin(self, call: CallOut) -> None:
        now, interview_id = self._clock(), call.interview_id
        if interview_id in self._running:
            return
        number = await self._allowed(call, now)
        if number is None or not await self._stands(interview_id) or not self._line_free():
            return
        if self._places.has_place(interview_id) or not await self._place_kept(interview_id):
            return
        if not await self._begun(call, now):
            return
        made = Outgoing(call, number, now)
        task = asyncio.create_task(self._make(made), name="phone-dial")
        self._running[interview_id] = made, task

    async def _allowed(self, call: CallOut, now: float) -> str | None:
        """The number, where it may be called now."""
        try:
            since = now - outbound.DAY_S
            outbound.within_caps(self._policy, *await self._store.calls_since(since, now))
            number = outbound.number_of(call.number, self._policy)
            return number if outbound.earliest(self._policy, call.zone, now) <= now else None
        except NoCall as refused:
            if self._refused.get(call.call_id) != refused.code:
                self._refused[call.call_id] = refused.code
                logger.warning("a candidate is not called: %s", refused)
            return None

    async def _stands(self, interview_id: str) -> bool:
        """There is nothing to call for any more where the interview is over."""
        if (await self._records.invited(interview_id)).over:
            await self._store.cancel_calls(interview_id)
            return False
        return True

    async def _begun(self, call: CallOut, now: float) -> bool:
        """Its place is given back where it is not, whatever the reason."""
        begun = False
        try:
            begun = await self._store.call_begun(call.call_id, now)
        finally:
            if not begun:
                self._places.leave_place(call.interview_id)
        return begun

    def _line_free(self) -> bool:
        """One line stays for those who call, unless there is only one."""
        account = self._bridge.accounts.get(self._account)
        if account is None or account.state != "registered":
            return self._wait_for(f"{self._account} is not registered")
        dialling = sum(made.call is None for made, _ in self._running.values())
        kept = 1 if self._bridge.state.lines > 1 else 0
        return self._bridge.free_lines - dialling > kept

    async def _place_kept(self, interview_id: str) -> bool:
        """Nobody's telephone rings for an interview that there is no room for."""
        try:
            await self._places.keep_place(interview_id)
        except Busy:
            return self._wait_for("there is no place for one more interview")
        self._waits_for = ""
        return True

    def _wait_for(self, reason: str) -> bool:
        if self._waits_for != reason:
            self._waits_for = reason
            logger.warning("calls to candidates wait: %s", reason)
        return False

    # --- meanwhile --------------------------------------------------------------------------------
    async def _end_unwanted(self, made: Outgoing) -> None:
        """It was cancelled, or its interview revoked or erased, and it is not there yet."""
        if made.call is None or made.joined():
            return
        row = await self._store.call(made.row.call_id)
        if row is None or row.outcome == "cancelled":
            with suppress(GatewayLost):
                await made.call.hang_up()

    async def _make(self, made: Outgoing) -> None:
        outcome: CallOutcome = "failed"
        try:
            outcome = await self._hold(made)
        except (PhoneError, MediaError, StoreError, OSError) as error:
            logger.warning("a candidate could not be called: %s", error)
        except Exception:  # a call's outermost edge: whatever it was, the call is over
            logger.exception("a call to a candidate failed")
        finally:
            del self._running[made.row.interview_id]
            self._ends.append((made.row, outcome, self._clock() - made.began))
            if not made.joined():
                self._places.leave_place(made.row.interview_id)
        with suppress(StoreError):  # it is tried again at the next look
            await self._write_ends()

    # --- after ------------------------------------------------------------------------------------
    async def _end_unended(self) -> None:
        """What an earlier server was calling when it was killed; its gateway died with it."""
        now = self._clock()
        for call in await self._store.calls_unended():
            began = now if call.began_at is None else call.began_at
            last = (call.seen_at or began) + SEEN_EVERY_S
            self._ends.append((call, "failed", max(0.0, min(now, last) - began)))

    async def _write_ends(self) -> None:
        while self._ends:
            end = self._ends.pop(0)
            try:
                await self._write_end(*end)
            except BaseException:  # a cancelled one too: it is written by `finish`, or was
                self._ends.insert(0, end)
                raise

    async def _write_end(self, call: CallOut, outcome: CallOutcome, seconds: float) -> None:
        """How it ended, what the interview's log is told of it, and when it is tried again."""
        told = None
        if kind := INCIDENTS.get(outcome):
            told = Incident(at=self._clock(), kind=kind, detail=f"try {call.attempt}")
        again = self._again(call, outcome)
        await self._store.call_ended(call.call_id, outcome, seconds, again, told)

    def _again(self, call: CallOut, outcome: CallOutcome) -> CallOut | None:
        at = outbound.again(self._policy, outcome, call.attempt, call.zone, self._clock())
        if at is None:
            return None
        made = uuid.uuid4().hex
        return CallOut(made, call.interview_id, call.number, call.zone, at, call.attempt + 1)
