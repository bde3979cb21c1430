"""An account's lines at one Janus: the master, which registers, and its helpers.

Each line carries one call. Janus gives a call to the master, or to the first helper that is free;
for about a second after its call a line is not, so there are a few more lines than calls. A call
out gets a helper of its own, which is thrown away: on one that was used before, it was lost without
a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, Protocol

from server.phone.accounts import REFUSED_FOR_GOOD, Account, Registration
from server.phone.bridge import DialRefused, GatewayLost, HungUp, Party
from server.phone.janus import sip
from server.phone.janus.call import JanusCall
from server.phone.janus.session import Handle, JanusSession
from server.phone.janus.socket import JanusRefused, Message
from server.phone.resolver import Unresolved

logger = logging.getLogger(__name__)

SPARE = 3
COOLING_S = 1.5
LOOK_EVERY_S = 1.0
_ALREADY_REGISTERED = 445


class Doors(Protocol):
    """Who sees to it that only a registrar speaks SIP to the gateway."""

    async def before(self) -> None:
        """A SIP port may come into being now."""

    async def after(self, account: str, addresses: Sequence[str]) -> None:
        """It has, if it did; these are the account's registrar."""


@dataclass
class Line:
    handle: Handle
    call: JanusCall | None = None
    free_at: float = 0.0
    """Of the loop's clock."""


@dataclass
class Lines:
    """`run` for as long as the session lasts."""

    account: Account
    session: JanusSession
    registration: Registration
    count: int
    """Calls that the account may have at once."""
    srtp: sip.Srtp
    on_incoming: Callable[[JanusCall], None]
    on_missed: Callable[[Party], None]
    resolve: Callable[[str], Awaitable[list[str]]]
    doors: Doors
    clock: Callable[[], datetime]
    on_change: Callable[[], None]
    """A registration or a call is not as it was."""
    lines: list[Line] = field(default_factory=list)
    dialled: set[JanusCall] = field(default_factory=set)
    _attaching: int = 0
    """Calls out that have no helper yet, and are none of `calls` before they have."""
    _master_id: int = 0
    _asked: bool = False  # a registration, and nothing came yet
    _address: str = ""
    """Of the registrar's, the one that was asked last …"""
    _dead: bool = False
    """… and whether it gave no answer of its own."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._wake = asyncio.Event()

    # --- life -------------------------------------------------------------------------------------
    async def run(self) -> NoReturn:
        """Raises `GatewayLost` in the end."""
        while True:
            if not self.lines:
                await self._add()
            if self.registration.due(self.clock()):
                await self._register()
            if self._master_id and len(self.lines) < 1 + self.count + SPARE:
                await self._add_helper()
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()

    async def unregister(self) -> None:
        with contextlib.suppress(JanusRefused, GatewayLost):
            if self.lines and self._master_id:
                await self.lines[0].handle.tell(sip.UNREGISTER)

    def lost(self) -> None:
        """The session is gone, and with it every call."""
        for call in self.calls:
            call.lost()
        for task in self._tasks:
            task.cancel()
        self.lines.clear()
        self._forget_master()

    @property
    def calls(self) -> list[JanusCall]:
        return [line.call for line in self.lines if line.call is not None] + list(self.dialled)

    @property
    def taken(self) -> int:
        """Calls of this account, each once, from the moment when it is asked for; a caller who is
        being told that it is busy takes nobody's line."""
        return sum(not call.turned_away for call in self.calls) + self._attaching

    def ready(self, at: float) -> int:
        """Lines on which a call could come in; `at` by the loop's clock."""
        return sum(line.call is None and at >= line.free_at for line in self.lines)

    # --- registration -----------------------------------------------------------------------------
    async def _register(self) -> None:
        if self._asked:
            self._asked, self._dead = False, True
            self.registration.silent(self.clock())
            self.on_change()
            return
        try:
            addresses = await self.resolve(self.account.host)
            self._address = self._next(addresses)
            await self._ask(self._address)
            await self.doors.after(self.account.name, addresses)
            self.on_change()
        except (Unresolved, JanusRefused) as error:
            self._asked = False
            self.registration.refused(self.clock(), 0, str(error))
            logger.warning("%s: %s", self.account.name, self.registration.state.reason)
            self.on_change()

    def _next(self, addresses: Sequence[str]) -> str:
        """The one that answers, as long as the name has it; behind a dead one, the next."""
        if self._address not in addresses:
            return addresses[0]
        at = addresses.index(self._address) + self._dead
        return addresses[at % len(addresses)]

    async def _ask(self, address: str) -> None:
        master = self.lines[0].handle
        await self.doors.before()
        self.registration.asked(self.clock())
        self._asked = True
        try:
            await master.ask(sip.register(self.account, address))
        except JanusRefused as error:
            if error.code != _ALREADY_REGISTERED:
                raise
            await master.ask(sip.register(self.account, address, refresh=True))

    def _registered(self, event: sip.Registered) -> None:
        if self.registration.state.state != "registered":
            logger.info("%s is registered at %s", self.account.name, self.account.host)
        self._asked = self._dead = False
        self._master_id = event.master_id or self._master_id
        self.registration.registered(self.clock())
        self.on_change()
        self._wake.set()

    def _refused(self, event: sip.RegistrationFailed) -> None:
        self._asked = False
        # A refusal of this account is the registrar's word: the next address would say it, too.
        self._dead = event.code not in REFUSED_FOR_GOOD
        self.registration.refused(self.clock(), event.code, event.reason)
        state = self.registration.state
        logger.warning("%s: %s Next try: %s", self.account.name, state.reason, state.next_try)
        self.on_change()

    # --- lines ------------------------------------------------------------------------------------
    async def _add(self) -> Line:
        handle = await self.session.attach(lambda message: None)
        line = Line(handle)
        handle.listener = lambda message: self._heard(line, message)
        self.lines.append(line)
        return line

    async def _add_helper(self) -> None:
        line = await self._add()
        try:
            await line.handle.ask(sip.helper(self.account, self._master_id))
        except JanusRefused as error:
            # The plugin knows the master no more: begin again, with another.
            logger.warning("%s gets no further line: %s", self.account.name, error)
            await self._begin_again()

    async def _begin_again(self) -> None:
        lines = list(self.lines)
        self._gone(lines[0])
        for line in reversed(lines):
            await self.session.detach(line.handle)

    def _forget_master(self) -> None:
        self._master_id, self._asked = 0, False
        self.registration.lost(self.clock())
        self.on_change()

    def _gone(self, line: Line) -> None:
        if line not in self.lines:
            return
        master = line is self.lines[0]
        for one in list(self.lines) if master else [line]:  # helpers go with their master
            self.lines.remove(one)
            if one.call is not None:
                one.call.end(HungUp(0, "the line was taken away"))
        if master:
            self._forget_master()
        self._wake.set()

    def _heard(self, line: Line, message: Message) -> None:
        if line.call is not None:
            line.call.take(message)
        if message.get("janus") == "detached":
            self._gone(line)
        if message.get("janus") != "event" or line not in self.lines:
            return
        is_master = line is self.lines[0]
        match sip.read(message):
            case sip.Incoming() as event:
                self._incoming(line, event)
            case sip.Missed() as event:
                self.on_missed(event.caller)
            case sip.Registered() as event if is_master:
                self._registered(event)
            case sip.RegistrationFailed() as event if is_master:
                self._refused(event)

    # --- calls ------------------------------------------------------------------------------------
    def _incoming(self, line: Line, event: sip.Incoming) -> None:
        if line.call is not None:
            line.call.end(HungUp(0, "another call took its line"))
        line.call = JanusCall(
            line.handle,
            self.account.name,
            "in",
            call_id=event.call_id,
            caller=event.caller,
            callee=event.callee,
            offer=event.offer,
            srtp=self.srtp,
            on_over=lambda call: self._free(line, call),
        )
        self.on_incoming(line.call)

    def _free(self, line: Line, call: JanusCall) -> None:
        if line.call is call:
            line.call = None
            line.free_at = asyncio.get_running_loop().time() + COOLING_S
            self.on_change()

    async def dial(self, number: str, offer: str) -> JanusCall:
        """Raises `DialRefused`, `GatewayLost`."""
        if self.registration.state.state != "registered" or not self._master_id:
            raise DialRefused(f"{self.account.name} is not registered.")
        try:
            call = self._call_out(await self._own_handle(), number)
            await self._invite(call, number, offer)
        except JanusRefused as error:
            raise DialRefused(f"Janus does not dial: {error}.") from error
        return call

    async def _own_handle(self) -> Handle:
        self._attaching += 1
        try:
            return await self.session.attach(lambda message: None)
        finally:
            self._attaching -= 1

    def _call_out(self, handle: Handle, number: str) -> JanusCall:
        call = JanusCall(
            handle,
            self.account.name,
            "out",
            caller=Party(self.account.user, self.account.host),
            callee=Party(number, self.account.host),
            on_over=self._throw_away,
        )
        handle.listener = call.take
        self.dialled.add(call)
        return call

    async def _invite(self, call: JanusCall, number: str, offer: str) -> None:
        try:
            await call.handle.ask(sip.helper(self.account, self._master_id))
            request = sip.call(self.account, number, self.srtp)
            call.id = sip.call_id(await call.handle.ask(request, sip.jsep("offer", offer)))
        except BaseException:
            call.end(HungUp(0, "not begun"))
            raise

    def _throw_away(self, call: JanusCall) -> None:
        self.dialled.discard(call)
        task = asyncio.create_task(self.session.detach(call.handle))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.on_change()
