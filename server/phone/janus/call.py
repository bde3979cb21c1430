"""One call through Janus, from its first event to its last.

Janus loses events: a call that it gives up may end without a word. So whatever ends a call is
waited for with patience, and then taken for done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Literal

from server.phone.bridge import (
    DECLINED,
    GATEWAY_LOST,
    NOT_ACCEPTABLE,
    Answered,
    CallEvent,
    GatewayLost,
    HungUp,
    MediaUp,
    Party,
    Updating,
)
from server.phone.janus import sip
from server.phone.janus.session import Handle
from server.phone.janus.socket import JanusRefused, Message

logger = logging.getLogger(__name__)

GOODBYE_S = 4.0
"""How long the end of a call may take after it was asked for."""
SETTLE_S = 0.5
"""Janus 1.1 tells of a call a moment before it can take an answer to it (`s_nh_i` of its SIP plugin
is set behind the event): one that comes sooner is lost, and the call rings for ever. The moment is
longer where Janus waits for a processor."""
MOST_WAITING = 1000
"""Events that the reader has not yet taken; a flood is cut here, but never the end."""
_CLOSED_BY_PLUGIN = "Close PC"
"""Janus's reason, where its SIP plugin closes the media of a call that is over."""
_TOO_STRICT = 452  # the plugin's: encryption is demanded, and the caller has none
Direction = Literal["in", "out"]


class JanusCall:
    """A `BridgeCall`. `on_over` is called once, when it is over."""

    def __init__(
        self,
        handle: Handle,
        account: str,
        direction: Direction,
        *,
        call_id: str = "",
        caller: Party,
        callee: Party,
        offer: str | None = None,
        srtp: sip.Srtp = "off",
        on_over: Callable[[JanusCall], None],
    ) -> None:
        self.handle, self.account, self.direction = handle, account, direction
        self.id, self.caller, self.callee, self.offer = call_id, caller, callee, offer
        self._srtp, self._on_over = srtp, on_over
        self._events: asyncio.Queue[CallEvent] = asyncio.Queue()
        self._answered = self._ours = self._up = False
        self._goodbye: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.over = False
        self.turned_away = False
        """It gets no line; until the caller knows, it is not over."""
        self.ended = asyncio.Event()

    # --- what the phone asks ----------------------------------------------------------------------
    async def ring(self) -> None:
        """Nothing: Janus has sent 180 with the INVITE."""

    async def answer(self, sdp: str) -> None:
        """Where that fails (encryption is demanded and not offered; the caller is gone), the call
        ends with its `HungUp`."""
        await self._settled()
        if self.over:
            return
        self._answered = True
        kind: Literal["offer", "answer"] = "offer" if self.offer is None else "answer"
        try:
            await self.handle.ask(sip.accept(self._srtp), sip.jsep(kind, sdp))
        except JanusRefused as error:
            logger.warning("A call could not be answered: %s", error)
            self._answered = False
            await self.decline(NOT_ACCEPTABLE if error.code == _TOO_STRICT else DECLINED)

    async def decline(self, code: int) -> None:
        await self._settled()
        if self.over or self._answered:
            return
        self._expect_end(code, "declined")
        await self._tell(sip.decline(code))

    async def _settled(self) -> None:
        await asyncio.sleep(self._began + SETTLE_S - self._loop.time())

    def decline_soon(self, code: int) -> None:
        """As `decline`, where nobody can wait and nobody was told of the call."""
        self.turned_away = True
        self._declining = asyncio.create_task(self.decline(code))

    async def update(self, sdp: str) -> None:
        if self.over:
            return
        kind: Literal["offer", "answer"] = "offer" if self._update_is_ours else "answer"
        try:
            await self.handle.ask(sip.UPDATE, sip.jsep(kind, sdp, update=True))
        except JanusRefused as error:
            logger.warning("A change of a call could not be answered: %s", error)

    async def hang_up(self) -> None:
        if self.over:
            return
        if self.direction == "in" and not self._answered:
            await self.decline(DECLINED)
            return
        self._ours = True
        self._expect_end(0, "hung up")
        await self._tell(sip.HANGUP)

    async def events(self) -> AsyncIterator[CallEvent]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, HungUp):
                return

    # --- what Janus says --------------------------------------------------------------------------
    _update_is_ours = False

    def take(self, message: Message) -> None:
        """A message of this call's handle."""
        if self.over:
            return
        match message.get("janus"):
            case "webrtcup":
                self._up = True
                self._put(MediaUp())
            case "detached":
                self.end(HungUp(0, "the line was taken away"))
            case "hangup" if self._is_about_our_media(message):
                # The media are gone; the SIP side follows, if it has not already.
                self._expect_end(0, "media lost")
            case "event":
                if (event := sip.read(message)) is not None:
                    self._take_event(event)

    def _take_event(self, event: sip.SipEvent) -> None:
        match event:
            case HungUp():
                self.end(event)
            case Answered(sdp=None) if self.direction == "in":
                pass  # Janus's word for what we ourselves did
            case Updating():
                self._update_is_ours = event.sdp is None
                self._put(event)
            case sip.Registered() | sip.RegistrationFailed() | sip.Incoming() | sip.Missed():
                pass  # the line's, not the call's
            case _:
                self._put(event)

    def _is_about_our_media(self, message: Message) -> bool:
        """Janus takes a call on a line whose last call's media it is still closing. To end the new
        one for that would leave its caller with a ring, or in silence."""
        if self.direction == "in" and not self._answered:
            return False  # there are none yet
        return self._up or message.get("reason") != _CLOSED_BY_PLUGIN

    def lost(self) -> None:
        """The gateway is gone."""
        self.end(HungUp(0, GATEWAY_LOST))

    def end(self, event: HungUp) -> None:
        if self.over:
            return
        self.over = True
        if self._goodbye is not None:
            self._goodbye.cancel()
        self._events.put_nowait(replace(event, ours=self._ours))
        self.ended.set()
        self._on_over(self)

    # ----------------------------------------------------------------------------------------------
    def _put(self, event: CallEvent) -> None:
        if self._events.qsize() < MOST_WAITING:
            self._events.put_nowait(event)

    def _expect_end(self, code: int, reason: str) -> None:
        if self._goodbye is None:
            loop = asyncio.get_running_loop()
            self._goodbye = loop.call_later(GOODBYE_S, self.end, HungUp(code, reason))

    async def _tell(self, body: sip.Body) -> None:
        try:
            await self.handle.tell(body)
        except (JanusRefused, GatewayLost) as error:
            logger.debug("A call ends by itself: %s", error)
