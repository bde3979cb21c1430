"""Every telephone call of this server: who called gets a line, who is to be called is called.

Lives on the call loop (`server.host.Companion`). A call is trusted for nothing but its PIN.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from server.equipment import Equipment
from server.media.codecs import PHONE_CODECS
from server.media.errors import BadOffer, MediaError
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.phone import outbound
from server.phone.bridge import (
    BUSY,
    DECLINED,
    NOT_ACCEPTABLE,
    Bridge,
    BridgeCall,
    GatewayState,
    HungUp,
    PhoneError,
)
from server.phone.line import Host, Line
from server.phone.outbound import NoCall, Policy
from server.phone.pins import LENGTH, Pins
from server.phone.reception import Reception
from server.phone.records import CallRecords, Invited
from server.phone.sdp import repair
from server.phone.watchdog import LineWatch
from server.store import CallOut, CallOutcome, Store, StoreError
from tts.voices import Language

logger = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often it is looked whether somebody is to be called."""
STOP_S = 8.0
"""How long last words may take when the server stops."""
INCIDENTS: dict[CallOutcome, str] = {
    "busy": "phone_busy",
    "no_answer": "phone_no_answer",
    "declined": "phone_declined",
    "voicemail": "phone_voicemail",
    "failed": "phone_failed",
}


@dataclass(frozen=True)
class BoardSettings:
    """What an operator decides."""

    account: str
    """Which account calls out."""
    language: Language = "en"
    """In which callers are greeted until their interview is known."""
    codecs: Sequence[str] = PHONE_CODECS
    """Best first."""
    ice: IceSettings = field(default_factory=IceSettings)
    policy: Policy = field(default_factory=Policy)


class Switchboard:
    def __init__(
        self,
        bridge: Bridge,
        store: Store,
        pins: Pins,
        host: Host,
        equipment: Equipment,
        settings: BoardSettings,
    ) -> None:
        self._bridge, self._store = bridge, store
        self._host, self._equipment, self._settings = host, equipment, settings
        self._records = CallRecords(store, pins, equipment.clock)
        self._clock: Callable[[], float] = equipment.clock
        self._lines: dict[Line, asyncio.Task[HungUp]] = {}
        self._calling: set[str] = set()
        self._refused: dict[str, str] = {}
        """Why a call that is due is not made, by its id: each reason is said once."""
        self._dialler: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def state(self) -> GatewayState:
        """For the operator's page, the metrics and `viva doctor`."""
        return self._bridge.state

    async def start(self) -> None:
        """Raises `PhoneError`."""
        self._bridge.on_call(self._called)
        await self._bridge.start()
        await self._end_unended()
        self._dialler = asyncio.create_task(self._dial_those_due(), name="phone-dialler")

    async def stop(self) -> None:
        self._stopping = True
        if self._dialler is not None:
            self._dialler.cancel()
        lines = list(self._lines.values())
        stopping = [asyncio.create_task(line.stop()) for line in self._lines]
        if lines:
            await asyncio.wait(lines, timeout=STOP_S)
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, *stopping, return_exceptions=True)
        await self._bridge.stop()

    # --- calls in ---------------------------------------------------------------------------------
    def _called(self, call: BridgeCall) -> None:
        """The bridge has a call for us."""
        task = asyncio.create_task(self._receive(call), name="phone-call")
        task.add_done_callback(_log_failure)

    async def _receive(self, call: BridgeCall) -> None:
        if self._stopping:
            await call.decline(BUSY)
            return
        try:
            peer = await self._answer(call)
        except BadOffer as error:  # `NoCodec` is one
            logger.info("a telephone call is refused: %s", error)
            await call.decline(NOT_ACCEPTABLE)
            return
        except (MediaError, OSError) as error:
            logger.warning("a telephone call could not be taken: %s", error)
            await call.decline(DECLINED)
            return
        expected = await self._selected(call)
        reception = Reception(pin_length=LENGTH, known_number=expected is not None)
        await self._hold(self._line(call, peer, reception, expected))

    async def _selected(self, call: BridgeCall) -> Invited | None:
        """Whose call it seems to be, by the number that was dialled or that calls: either may be
        forged, so the PIN still confirms it."""
        try:
            return await self._records.by_number(call.callee.number, call.caller.number)
        except StoreError:
            logger.exception("a number could not be looked up")
            return None

    async def _answer(self, call: BridgeCall) -> Peer:
        if call.offer is None:
            peer, sdp = await self._offer()
        else:
            peer, sdp = await Peer.answer(
                repair(call.offer),
                ice=self._settings.ice,
                codecs=self._settings.codecs,
                liveness=LineWatch(),
                events=True,
            )
        try:
            await call.answer(sdp)
        except BaseException:
            await peer.close()
            raise
        return peer

    async def _offer(self) -> tuple[Peer, str]:
        chosen = self._settings
        return await Peer.offer(ice=chosen.ice, codecs=chosen.codecs, liveness=LineWatch())

    def _line(
        self, call: BridgeCall, peer: Peer, reception: Reception, expected: Invited | None = None
    ) -> Line:
        language = expected.plan.language if expected else self._settings.language
        return Line(
            call,
            peer,
            reception,
            self._records,
            self._host,
            self._equipment,
            language=language,
            expected=expected,
        )

    async def _hold(self, line: Line) -> HungUp:
        """The line's whole life; how it ended."""
        task = self._lines[line] = asyncio.create_task(line.run(), name="phone-line")
        try:
            return await task
        finally:
            self._lines.pop(line, None)

    # --- calls out --------------------------------------------------------------------------------
    async def _dial_those_due(self) -> None:
        """One call at a time leaves; each is a line of its own then."""
        while True:
            try:
                for call in await self._store.calls_due(self._clock()):
                    await self._begin(call)
            except StoreError:
                logger.exception("calls to candidates wait")
            await asyncio.sleep(LOOK_S)

    async def _end_unended(self) -> None:
        """What an earlier server was calling when it was killed; its gateway died with it."""
        try:
            for call in await self._store.calls_unended():
                await self._conclude(call, "failed", 0.0)
        except StoreError:
            logger.exception("calls of an earlier server stay as they are")

    async def _begin(self, call: CallOut) -> None:
        now, policy = self._clock(), self._settings.policy
        if self._bridge.free_lines <= 1 or call.interview_id in self._calling:
            return  # a line stays free for those who call
        try:
            outbound.within_caps(policy, *await self._store.calls_since(now - outbound.DAY_S))
            number = outbound.number_of(call.number, policy)
            if outbound.earliest(policy, call.zone, now) > now:
                return
        except NoCall as refused:
            if self._refused.get(call.call_id) != refused.code:
                self._refused[call.call_id] = refused.code
                logger.warning("a candidate is not called: %s", refused)
            return
        if not await self._store.call_begun(call.call_id, now):
            return
        self._calling.add(call.interview_id)
        task = asyncio.create_task(self._dial(call, number, now), name="phone-dial")
        task.add_done_callback(lambda _: self._calling.discard(call.interview_id))
        task.add_done_callback(_log_failure)

    async def _dial(self, call: CallOut, number: str, began: float) -> None:
        outcome: CallOutcome = "failed"
        try:
            outcome = await self._hold_call_out(call, number)
        except (PhoneError, MediaError, StoreError, OSError) as error:
            logger.warning("a candidate could not be called: %s", error)
        await self._conclude(call, outcome, self._clock() - began)

    async def _conclude(self, call: CallOut, outcome: CallOutcome, seconds: float) -> None:
        """Write how it ended, and when it is tried again."""
        await self._store.call_ended(call.call_id, outcome, seconds)
        if outcome in INCIDENTS:
            await self._records.incident(
                call.interview_id, INCIDENTS[outcome], f"try {call.attempt}"
            )
        await self._plan_again(call, outcome, self._clock())

    async def _hold_call_out(self, call: CallOut, number: str) -> CallOutcome:
        invited = await self._records.invited(call.interview_id)
        if invited.over:
            return "cancelled"
        peer, offer = await self._offer()
        try:
            made = await self._bridge.dial(self._settings.account, number, offer)
        except BaseException:
            await peer.close()
            raise
        reception = Reception(pin_length=LENGTH, called=True)
        line = self._line(made, peer, reception, invited)
        ended = await self._hold(line)
        return outbound.outcome_of(ended.code, joined=line.joined, why=line.why)

    async def _plan_again(self, call: CallOut, outcome: CallOutcome, at: float) -> None:
        next_at = outbound.again(self._settings.policy, outcome, call.attempt, call.zone, at)
        if next_at is None:
            return
        again = CallOut(
            uuid.uuid4().hex,
            call.interview_id,
            call.number,
            call.zone,
            next_at,
            call.attempt + 1,
        )
        with suppress(StoreError):  # erased meanwhile
            await self._store.add_call(again)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a telephone call failed", exc_info=error)
