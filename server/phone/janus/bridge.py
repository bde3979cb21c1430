"""The `Bridge` over Janus: it is brought up, kept up, and registered again whatever happens to it.

up -> session -> registered, lines -> calls
 ^                                     | Janus dies, spins, floods its log, or says nothing
 +---- back-off 1 s, 2 s … 30 s <------+ every call: HungUp(0, "gateway lost")
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from server.phone.accounts import Account, Registration, utc
from server.phone.bridge import (
    BUSY,
    DECLINED,
    NOT_ACCEPTABLE,
    AccountState,
    BridgeCall,
    DialRefused,
    GatewayLost,
    GatewayStanding,
    GatewayState,
    Party,
    PhoneError,
)
from server.phone.janus import sip
from server.phone.janus.call import JanusCall
from server.phone.janus.doors import SipDoors
from server.phone.janus.gateway import Gateway
from server.phone.janus.lines import Lines
from server.phone.janus.session import JanusSession
from server.phone.resolver import resolve

logger = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 60.0
"""Up for so long, and the next failure counts as the first."""
GOODBYE_S = 2.0


class JanusBridge:
    """See `server.phone.bridge.Bridge`."""

    def __init__(
        self,
        accounts: Sequence[Account],
        gateway: Gateway,
        *,
        lines: int,
        srtp: sip.Srtp = "off",
        doors: SipDoors | None = None,
        lookup: Callable[[str], Awaitable[list[str]]] = resolve,
        clock: Callable[[], datetime] = utc,
        on_change: Callable[[GatewayState], None] = lambda state: None,
    ) -> None:
        """`lines`: calls at once, of all accounts, both ways. `on_change` is told of each new
        state."""
        self._accounts, self._gateway, self._lines = tuple(accounts), gateway, lines
        self._srtp, self._lookup, self._clock = srtp, lookup, clock
        self._doors = doors or SipDoors()
        self._on_change, self._told = on_change, None
        self._registrations = {
            one.name: Registration(clock(), ttl_s=one.ttl_s, jitter=random.random)
            for one in accounts
        }
        self._of: dict[str, Lines] = {}
        self._callback: Callable[[BridgeCall], None] | None = None
        self._standing: GatewayStanding = "stopped"
        self._reason, self._version = "", ""
        self._restarts = self._missed = 0
        self._stopping = False
        self._supervising: asyncio.Task[None] | None = None

    # --- life -------------------------------------------------------------------------------------
    def on_call(self, callback: Callable[[BridgeCall], None]) -> None:
        self._callback = callback

    async def start(self) -> None:
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self._supervising = asyncio.create_task(self._supervise(first), name="janus")
        await asyncio.wait((first, self._supervising), return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            await self._supervising  # raises why
            raise GatewayLost("Janus was stopped while it started.")
        await first

    async def stop(self) -> None:
        self._stopping = True
        await self._say_goodbye()
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        self._become("stopped")

    async def _say_goodbye(self) -> None:
        """A BYE for each call, and the accounts unregistered, if Janus still listens."""
        calls = self._calls()
        with contextlib.suppress(TimeoutError, GatewayLost):
            async with asyncio.timeout(GOODBYE_S):
                await asyncio.gather(*(call.hang_up() for call in calls))
                await asyncio.gather(*(call.ended.wait() for call in calls))
                await asyncio.gather(*(lines.unregister() for lines in self._of.values()))

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        """Until cancelled; a failure of the first start is raised, later ones are waited out."""
        loop, wait_s = asyncio.get_running_loop(), FIRST_WAIT_S
        while True:
            began = loop.time()
            try:
                reason = await self._once(first)
            except PhoneError as error:
                if not first.done():
                    self._become("failed", str(error))
                    first.set_exception(error)
                    return
                reason = str(error).rstrip(".")
            except Exception:  # a fault of ours: the operator reads of it, and calls come in again
                if not first.done():
                    raise
                logger.exception("The bridge failed")
                reason = "a fault in the bridge"
            self._restarts += 1
            if loop.time() - began >= STEADY_S:
                wait_s = FIRST_WAIT_S
            logger.error("Janus is gone: %s. It is started again in %.0f s", reason, wait_s)
            self._become("down", reason)
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    async def _once(self, first: asyncio.Future[None]) -> str:
        """One life of Janus; returns why it is over."""
        self._become("starting")
        try:
            door = await self._gateway.up()
            session = await JanusSession.open(door.path, door.secret)
            try:
                self._version = door.version
                self._become("up")
                if not first.done():
                    first.set_result(None)
                return await self._hold(session)
            finally:
                self._lost()
                await session.close()
        finally:
            await self._gateway.stop()

    async def _hold(self, session: JanusSession) -> str:
        """Every account at work, until the session or the process is gone."""
        self._doors.begin(session.socket.peer_pid)
        self._of = {one.name: self._lines_of(one, session) for one in self._accounts}
        ended = asyncio.create_task(self._gateway.ended())
        working = [asyncio.create_task(self._work(lines)) for lines in self._of.values()]
        try:
            await asyncio.wait((session.lost, ended, *working), return_when=asyncio.FIRST_COMPLETED)
            # A process that died tells more than the connection that it took with it.
            done, _ = await asyncio.wait((ended,), timeout=0.2)
            if done:
                return ended.result()
            if session.lost.done():
                return session.lost.result()
            return next(task.result() for task in working if task.done())
        finally:
            for task in (ended, *working):
                task.cancel()
            await asyncio.gather(ended, *working, return_exceptions=True)

    async def _work(self, lines: Lines) -> str:
        try:
            await lines.run()
        except GatewayLost as error:
            return str(error).rstrip(".")
        except Exception as error:  # one account's fault ends this life of Janus, not the bridge
            logger.exception("The lines of %s failed", lines.account.name)
            return f"{type(error).__name__} in {lines.account.name}"

    def _lines_of(self, account: Account, session: JanusSession) -> Lines:
        registration = self._registrations[account.name]
        registration.lost(self._clock())
        return Lines(
            account,
            session,
            registration,
            self._lines,
            self._srtp,
            self._incoming,
            self._miss,
            self._lookup,
            self._doors,
            self._clock,
            self._changed,
        )

    def _lost(self) -> None:
        for lines in self._of.values():
            lines.lost()
        self._of = {}

    # --- calls ------------------------------------------------------------------------------------
    def _incoming(self, call: JanusCall) -> None:
        code = self._refusal(call)
        try:
            if code is None and self._callback is not None:
                self._callback(call)
                self._changed()
                return
        except Exception:  # a fault of who takes calls must not end the gateway's work
            logger.exception("A call could not be taken")
        call.decline_soon(code or DECLINED)
        self._changed()

    def _refusal(self, call: JanusCall) -> int | None:
        """SIP's code for a call that is not even told of."""
        if self._stopping or self._callback is None:
            return DECLINED
        if call.offer == "":
            return NOT_ACCEPTABLE
        if self._taken() > self._lines:
            self._miss(call.caller)
            return BUSY
        return None

    def _miss(self, caller: Party) -> None:
        self._missed += 1
        if self._missed & (self._missed - 1) == 0:  # the first, second, fourth …: a flood is quiet
            logger.warning("No line was free for a call (%d so far)", self._missed)

    async def dial(self, account: str, number: str, offer_sdp: str) -> BridgeCall:
        lines = self._of.get(account)
        if account not in self._registrations:
            raise DialRefused(f"There is no account {account}.")
        if not sip.NUMBER.fullmatch(number):
            raise DialRefused("What is to be dialled is no number and no extension.")
        if lines is None or self._stopping:
            raise GatewayLost("Janus is not up.")
        if self._taken() >= self._lines:
            raise DialRefused("Every line is in use.")
        try:
            return await lines.dial(number, offer_sdp)
        finally:
            self._changed()

    def _taken(self) -> int:
        """Lines in use, of all accounts."""
        return sum(lines.taken for lines in self._of.values())

    def _calls(self) -> list[JanusCall]:
        return [call for lines in self._of.values() for call in lines.calls]

    # --- how it is --------------------------------------------------------------------------------
    @property
    def accounts(self) -> Mapping[str, AccountState]:
        return MappingProxyType({name: one.state for name, one in self._registrations.items()})

    @property
    def free_lines(self) -> int:
        at = asyncio.get_running_loop().time() if self._of else 0.0
        ready = sum(lines.ready(at) for lines in self._of.values())
        return max(0, min(self._lines - self._taken(), ready))

    @property
    def state(self) -> GatewayState:
        return GatewayState(
            state=self._standing,
            reason=self._reason,
            version=self._version,
            restarts=self._restarts,
            lines=self._lines,
            calls=self._taken(),
            missed=self._missed,
            guarded=self._doors.guarded,
            sip_ports=tuple(sorted(self._doors.ports)),
            accounts=self.accounts,
        )

    def _become(self, standing: GatewayStanding, reason: str = "") -> None:
        self._standing, self._reason = standing, reason
        self._changed()

    def _changed(self) -> None:
        self._on_change(self.state)
