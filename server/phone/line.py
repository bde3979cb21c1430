"""One telephone call from its first word to its last: reception, interview, hold, goodbye.

The interview is a leg like any other, held over this line's peer: while the caller is on hold, or
nothing comes from them, the leg is over and the interview paused; when they are back a new leg goes
on at the same question. Everything here runs on the call loop.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Literal, Protocol

from server.api.ports import Busy, NotConsented, Over
from server.call import Call, LeaveReason, OnLeft
from server.equipment import Equipment
from server.media.errors import MediaError
from server.media.peer import Peer
from server.phone import acts
from server.phone.attendant import Attendant
from server.phone.bridge import (
    Answered,
    BridgeCall,
    CallEvent,
    DigitPressed,
    GatewayLost,
    HungUp,
    MediaUp,
    Progress,
    Updating,
)
from server.phone.digits import Keypad
from server.phone.reception import Reception
from server.phone.records import CallRecords, Invited
from server.phone.sdp import repair, update_answer, update_offer
from server.phone.sound import PhoneSound
from tts.voices import Language

logger = logging.getLogger(__name__)

AWAY_S = 120.0
"""On hold or without a packet for so long, the call ends; the interview can be called again."""
GOODBYE_S = 20.0
"""The longest that last words may take."""
RING_S = 45.0
"""So long we let it ring."""
END_S = 15.0
"""So long we wait for the gateway to say that a call we ended is over."""
AT_ONCE_S = 10.0
"""A leg that ends by itself within this has not held the interview."""
REJOIN_S = (1.0, 2.0, 4.0)
"""Pauses before the interview is joined again after such legs, one behind the other; then no more:
what closes it is not going away while the caller listens to nothing."""
_LAST_WORDS: dict[LeaveReason, str] = {"replaced": "replaced", "server_stopped": "stopped"}


class Host(Protocol):
    """What a line needs of `server.host.CallHost`."""

    async def keep_place(self, interview_id: str) -> None: ...

    async def join_line(self, interview_id: str, peer: Peer, on_left: OnLeft) -> Call: ...


class Line:
    """Made for a call whose media are being connected; `run` once, until it is over."""

    def __init__(
        self,
        call: BridgeCall,
        peer: Peer,
        reception: Reception,
        records: CallRecords,
        host: Host,
        equipment: Equipment,
        *,
        language: Language,
        expected: Invited | None = None,
    ) -> None:
        """`expected`: whose number it is, or whom we called."""
        self.joined = False
        """Whether an interview was reached."""
        self._call, self._peer = call, peer
        self._host, self._local_sdp = host, ""
        self._keypad = Keypad()
        sound = PhoneSound()
        peer.through(sound.filter)
        peer.track.on_frame = sound.played
        self._leg: Call | None = None
        self._held = self._quiet = self._media_up = self._accepted = self._rang_out = False
        self._answered = asyncio.Event()
        if call.direction == "in":
            self._answered.set()
        self._left: asyncio.Queue[LeaveReason | None] = asyncio.Queue()
        self._over = asyncio.Event()
        self._here = asyncio.Event()
        """Neither on hold nor silent; also set when the call is over."""
        self._here.set()
        self._ended = HungUp(0, "")
        self._loop = asyncio.get_running_loop()
        self._attendant = Attendant(
            peer,
            reception,
            records,
            equipment,
            number=call.caller.number,
            language=language,
            expected=expected,
            keep_place=host.keep_place,
            over=self._over,
        )

    @property
    def why(self) -> str:
        """How it ended without an interview: the reception's word, or `no_answer`."""
        return "no_answer" if self._rang_out else self._attendant.why

    # --- the call's life --------------------------------------------------------------------------
    async def run(self) -> HungUp:
        """Hold the call to its end; returns how it ended. Never raises."""
        reading = asyncio.create_task(self._read(), name="phone-events")
        try:
            await self._hold_call()
        except Exception:
            # The line's outermost edge: the caller must not be left in silence.
            logger.exception("a telephone call failed")
            await self._goodbye("failed")
        finally:
            await self._close()
            with suppress(GatewayLost):
                await self._call.hang_up()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._over.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return self._ended

    async def stop(self) -> None:
        """The server stops: last words, then the end."""
        if self._leg is None and not self._over.is_set():
            await self._goodbye("stopped")
            self._over.set()

    async def _hold_call(self) -> None:
        self._peer.on_digit(lambda digit, at: self._pressed(digit, at, "rfc4733"))
        self._watch_peer()
        if not await self._taken():
            return
        if await self._attendant.receive():
            await self._hold_interview()

    async def _taken(self) -> bool:
        """Whether somebody, or something, took the call."""
        over = asyncio.create_task(self._over.wait())
        answered = asyncio.create_task(self._answered.wait())
        await asyncio.wait([over, answered], timeout=RING_S, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        answered.cancel()
        self._rang_out = not self._answered.is_set() and not self._over.is_set()
        return self._answered.is_set() and not self._over.is_set()

    async def _read(self) -> None:
        """What the gateway tells."""
        async for event in self._call.events():
            try:
                await self._take(event)
            except Exception:
                # The reader's outermost edge: without it nobody hears of the call's end.
                logger.exception("what happened to a telephone call was not understood")
        self._over.set()
        self._here.set()

    async def _take(self, event: CallEvent) -> None:
        match event:
            case MediaUp():
                self._media_up = True
                self._connected()
            case Progress(sdp):
                await self._accept(sdp)
            case Answered(sdp):
                await self._accept(sdp)
                self._answered.set()
                self._connected()
            case DigitPressed(digit, method):
                self._pressed(digit, self._loop.time(), method)
            case Updating(sdp, held):
                await self._update(sdp, held)
            case HungUp():
                self._ended = event
                self._over.set()

    async def _accept(self, sdp: str | None) -> None:
        """The other side's answer to our offer; it comes once."""
        if sdp is None or self._accepted:
            return
        self._accepted = True
        try:
            await self._peer.accept(repair(sdp))
        except MediaError as error:
            logger.warning("a telephone call cannot be heard: %s", error)
            self._over.set()

    def _connected(self) -> None:
        if self._media_up and self._answered.is_set():
            self._attendant.tell(acts.Connected())

    async def _update(self, sdp: str | None, held: bool) -> None:
        self._held = held
        self._peer.hold(held)
        self._attendant.on_hold(held)
        try:
            ours, codec = self._local_sdp or self._peer.local_sdp, self._peer.codec
            self._local_sdp = (
                update_offer(ours, codec) if sdp is None else update_answer(ours, sdp, codec)
            )
            await self._call.update(self._local_sdp)
        except Exception:  # the gateway's text, or the gateway: the call may still go on
            logger.exception("a change of a telephone call could not be answered")
        self._mind_absence()

    def _pressed(self, digit: str, at: float, method: Literal["rfc4733", "info"]) -> None:
        key = self._keypad.press(digit, at, method)
        if key is None:
            return
        if self._leg is not None and self._leg.live:
            task = asyncio.create_task(self._leg.pressed(key), name="phone-key")
            task.add_done_callback(_log_failure)
        else:
            self._attendant.tell(acts.Pressed(key))

    # --- the interview ----------------------------------------------------------------------------
    async def _hold_interview(self) -> None:
        """Legs, until the interview or the call is over."""
        pauses = [*REJOIN_S]
        while not self._over.is_set():
            await self._present()
            if self._over.is_set():
                return
            refused, began = await self._join(), self._loop.time()
            if refused:
                await self._goodbye(refused)
                return
            reason = await self._leg_over()
            if reason is None:
                return  # the closing words were said in the interview
            if reason in _LAST_WORDS:
                await self._goodbye(_LAST_WORDS[reason])
                return
            if not self._ended_at_once(began):
                pauses = [*REJOIN_S]
            elif pauses:
                await self._rest(pauses.pop(0))
            else:
                await self._goodbye("failed")
                return

    def _ended_at_once(self, began: float) -> bool:
        """With the caller there all the time."""
        return self._here.is_set() and self._loop.time() - began < AT_ONCE_S

    async def _rest(self, seconds: float) -> None:
        """Before the next leg; not longer than the call."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _join(self) -> str:
        """Empty if the interview goes on; else the line that says why not."""
        self._attendant.leave()
        try:
            self._leg = await self._host.join_line(
                self._attendant.interview_id, self._peer, self._left.put_nowait
            )
        except Busy:
            return "full"
        except Over:
            return "over"
        except NotConsented:  # taken back meanwhile, in a browser
            return "consent_refused"
        except TimeoutError:
            return "failed"
        self.joined = True
        self._mind_absence()
        return ""

    async def _leg_over(self) -> LeaveReason | None:
        """Why the leg has ended; when the caller hangs up, it ends for that."""
        left = asyncio.create_task(self._left.get())
        over = asyncio.create_task(self._over.wait())
        await asyncio.wait([left, over], return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not left.done() and self._leg is not None:
            self._leg.leave("hung_up" if self._ended.code else "dropped")
        reason = await left
        self._leg = None
        self._watch_peer()
        return reason

    def _watch_peer(self) -> None:
        """Before and after each leg, which has these callbacks for itself while it lasts."""
        self._peer.on_quiet(lambda: self._note_quiet(True))
        self._peer.on_back(lambda: self._note_quiet(False))
        self._peer.on_closed(self._peer_closed)
        if self._peer.closed:
            self._over.set()
        self._note_quiet(self._peer.quiet)

    def _peer_closed(self) -> None:
        self._over.set()
        self._here.set()

    def _note_quiet(self, quiet: bool) -> None:
        self._quiet = quiet
        self._mind_absence()

    def _mind_absence(self) -> None:
        """On hold, or gone: the interview waits. A line that goes quiet under a leg ends it by
        itself; one that went while the leg was begun was told of here, and not to the leg."""
        away = (self._held or self._quiet) and not self._over.is_set()
        if away:
            self._here.clear()
        else:
            self._here.set()
        if away and self._leg is not None:
            self._leg.leave("dropped")

    async def _present(self) -> None:
        """Until somebody is there to talk to; the call ends if nobody comes back."""
        try:
            async with asyncio.timeout(AWAY_S):
                await self._here.wait()
        except TimeoutError:
            await self._goodbye("silence")
            self._over.set()

    # --- the end ----------------------------------------------------------------------------------
    async def _goodbye(self, name: str) -> None:
        """Last words, where they can be heard."""
        if self._over.is_set() or self._held:
            return
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._attendant.last_words(name)
        except Exception:  # there is nothing left to say it with
            logger.exception("no last words for a caller")

    async def _close(self) -> None:
        self._attendant.leave()
        await self._peer.close()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a key could not be obeyed", exc_info=error)
