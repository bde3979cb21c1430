"""Every telephone call of this server: who called gets a line, who is to be called is called.

Lives on the call loop (`server.host.Companion`). A call is trusted for nothing but its PIN.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from server.equipment import Equipment
from server.media.codecs import PHONE_CODECS
from server.media.errors import BadOffer, MediaError
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.phone import line as lines
from server.phone import outbound
from server.phone.admission import Admission
from server.phone.bridge import (
    BUSY,
    DECLINED,
    NOT_ACCEPTABLE,
    Bridge,
    BridgeCall,
    GatewayLost,
    GatewayState,
    HungUp,
)
from server.phone.dialler import Dialler, Outgoing, Places
from server.phone.line import Line
from server.phone.outbound import Policy
from server.phone.pins import LENGTH, Pins
from server.phone.reception import Reception
from server.phone.records import CallRecords, Invited
from server.phone.sdp import repair
from server.phone.watchdog import LineWatch
from server.store import CallOutcome, Store, StoreError
from tts.voices import Language

logger = logging.getLogger(__name__)

STOP_S = 8.0
"""How long last words may take when the server stops …"""
WRITE_S = 2.0
"""… and then the writing of how calls ended."""


class Host(lines.Host, Places, Protocol):
    """What calls need of `server.host.CallHost`."""

    async def request(self, interview_id: str, request: str) -> None: ...


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
        self._records = CallRecords(store, pins, equipment.clock, host.request)
        self._clock: Callable[[], float] = equipment.clock
        self._lines: dict[Line, asyncio.Task[HungUp]] = {}
        self._dialler = Dialler(
            bridge,
            store,
            self._records,
            host,
            self._clock,
            settings.account,
            settings.policy,
            self._call_out,
        )
        self._dialling: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def state(self) -> GatewayState:
        """For the operator's page, the metrics and `viva doctor`."""
        return self._bridge.state

    async def start(self) -> None:
        """Raises `PhoneError`."""
        self._bridge.on_call(self._called)
        await self._bridge.start()
        self._dialling = asyncio.create_task(self._dialler.run(), name="phone-dialler")

    async def stop(self) -> None:
        self._stopping = True
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.gather(self._dialling, return_exceptions=True)
        lines = list(self._lines.values())
        stopping = [asyncio.create_task(line.stop()) for line in self._lines]
        if lines:
            await asyncio.wait(lines, timeout=STOP_S)
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, *stopping, return_exceptions=True)
        await self._dialler.finish(WRITE_S)
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
        except GatewayLost as error:
            logger.warning("a telephone call was taken by half: %s", error)
            with suppress(GatewayLost):  # the caller may be waiting in silence
                await call.hang_up()
            return
        expected = await self._selected(call)
        reception = Reception(pin_length=LENGTH, known_number=expected is not None)
        door = Admission(self._host, self._store, call, self._clock)
        await self._hold(self._line(call, peer, reception, door, expected))

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
        self,
        call: BridgeCall,
        peer: Peer,
        reception: Reception,
        door: Admission,
        expected: Invited | None,
    ) -> Line:
        language = expected.plan.language if expected else self._settings.language
        return Line(
            call,
            peer,
            reception,
            self._records,
            door,
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
    async def _call_out(self, to: Outgoing) -> CallOutcome:
        invited = await self._records.invited(to.row.interview_id)
        peer, offer = await self._offer()
        try:
            call = await self._bridge.dial(self._settings.account, to.number, offer)
        except BaseException:
            await peer.close()
            raise
        to.call = call
        door = Admission(self._host, self._store, call, self._clock, call_id=to.row.call_id)
        reception = Reception(pin_length=LENGTH, called=True)
        line = self._line(call, peer, reception, door, invited)
        to.joined = lambda: line.joined
        ended = await self._hold(line)
        if self._stopping and not line.joined:
            return "failed"  # it was us who had no more time
        why = line.why or door.refused
        return outbound.outcome_of(ended.code, joined=line.joined, ours=ended.ours, why=why)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a telephone call failed", exc_info=error)
