"""A SIP telephone: registers at a PBX, calls, and is called.

    async with Phone("192.0.2.5", "192.0.2.1:5060", "anna", "her word", seed=1) as phone:
        call = await phone.call("viva")
        await call.say(pcm)
        await call.press("1#")
        await call.hang_up()

One event loop owns it; each call's sound has a thread of its own. UDP, G.711, IPv4.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType

from server.phone.softphone import registration
from server.phone.softphone.account import Account
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.dialling import Dialling
from server.phone.softphone.dialog import Dialog, invited
from server.phone.softphone.endpoint import Address, Asked, Endpoint, Timers
from server.phone.softphone.errors import NoReply, SoftphoneError
from server.phone.softphone.leg import METHODS
from server.phone.softphone.message import Response, response_to, tag_of
from server.phone.softphone.options import Options

logger = logging.getLogger(__name__)

MOST_CALLS = 200
"""At once; one more is busy. A flood of INVITEs must not make a thread each without end."""

Answering = Callable[[PhoneCall], Awaitable[None]]
"""What is done with a call that comes; see `answering`."""


class Phone:
    def __init__(
        self,
        local_ip: str,
        registrar: str,
        user: str,
        password: str,
        *,
        seed: int = 1,
        options: Options | None = None,
        answering: Answering | None = None,
        display: str = "",
        expires_s: int = 120,
        register: bool = True,
        port: int = 0,
        timers: Timers | None = None,
        login: str = "",
    ) -> None:
        """`registrar`: host or host:port. `local_ip`: empty finds the one that leads there.
        `answering`: without one, calls wait in `incoming`. `register=False`: calls out only.
        `login`: whose password it is, where not `user`'s.
        """
        self._local_ip, self._port = local_ip, port
        self._registrar = registrar
        self._seed = seed
        self._options = options or Options()
        self._answering = answering
        self._register = register
        self._expires_s = expires_s
        self._endpoint = Endpoint(self._requested, timers or Timers())
        host = registrar.partition(":")[0]
        self._account = Account(user, password, host, ("", 0), self._endpoint, display, login)
        self._calls: dict[str, PhoneCall] = {}
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._registration: registration.Registration | None = None

    @property
    def address(self) -> Address:
        """Where it hears."""
        return self._endpoint.here

    @property
    def registered(self) -> bool:
        return self._registration is not None and self._registration.registered

    @property
    def calls(self) -> list[PhoneCall]:
        """Those that have not ended."""
        return [one for one in self._calls.values() if one.state != "ended"]

    async def __aenter__(self) -> Phone:
        """Raises `NotRegistered`, `NoReply`, and `OSError` for a host or address that is none."""
        self._account.registrar = await _resolved(self._registrar)
        local_ip = self._local_ip or _leading_to(self._account.registrar)
        loop = asyncio.get_running_loop()
        where = (local_ip, self._port)
        await loop.create_datagram_endpoint(lambda: self._endpoint, local_addr=where)
        try:
            if self._register:
                self._registration = registration.Registration(self._account, self._expires_s)
                await self._registration.begin()
                self._own(self._registration.keep())
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hangs up what is up, and takes its registration away; not if it has vanished."""
        try:
            if not self._endpoint.silent:
                await asyncio.gather(*(call.hang_up() for call in self.calls), *self._leaving)
                if self._registration is not None:
                    await self._registration.end()
        finally:
            await self._close()

    async def call(
        self,
        to: str,
        options: Options | None = None,
        *,
        ring_s: float = 60.0,
        heard: Callable[[Response], None] = lambda _: None,
    ) -> PhoneCall:
        """Calls an extension, a number or a `sip:` URI; returns when it is answered. `heard` gets
        each provisional answer (180 rings). Cancelling the task gives the call up. Raises `Refused`
        (486 busy, 603 declined, 488 no common codec, …), and `NoReply` if nobody is there or nobody
        answers in `ring_s`.
        """
        call = self._dialled(self._account.uri(to), options or self._options)
        dialling = Dialling(self._account, call, heard)
        try:
            async with asyncio.timeout(ring_s):
                await asyncio.shield(dialling.answered)
        except TimeoutError:
            await dialling.give_up()
            raise NoReply(f"{to} did not answer within {ring_s:g} s") from None
        except asyncio.CancelledError:
            # CANCEL has to be answered, and whoever cancelled us does not wait.
            self._leaving.add(self._own(dialling.give_up()))
            raise
        return call

    async def incoming(self) -> PhoneCall:
        """The next call that rings here: `answer` it or `decline` it."""
        return await self._incoming.get()

    def vanish(self) -> None:
        """The whole telephone is gone, without a word: nothing is sent any more, nothing heard."""
        self._endpoint.silent = True
        for call in self.calls:
            call.vanish()

    def _dialled(self, uri: str, options: Options) -> PhoneCall:
        account = self._account
        dialog = Dialog(
            call_id=secrets.token_hex(12),
            local=f"{account.address};tag={secrets.token_hex(6)}",
            remote=f"<{uri}>",
            target=uri,
            contact=account.contact,
        )
        return self._keep(PhoneCall(account, dialog, options, self._next_seed(), None))

    def _requested(self, asked: Asked) -> None:
        request = asked.request
        call = self._calls.get(request.call_id)
        if request.method == "CANCEL":
            self._cancelled(asked, call)
        elif call is not None and (tag_of(request.get("to")) or request.method == "ACK"):
            call.requested(asked)
        elif request.method == "INVITE" and not tag_of(request.get("to")):
            self._rung(asked)
        elif request.method == "OPTIONS":
            self._told_methods(asked, 200, "OK")
        elif request.method != "ACK":
            known = request.method in METHODS
            self._told_methods(
                asked, *((481, "Call Does Not Exist") if known else (405, "Method Not Allowed"))
            )

    def _rung(self, asked: Asked) -> None:
        if len(self.calls) >= MOST_CALLS or asked.request.call_id in self._calls:
            self._endpoint.respond(asked, 486, "Busy Here", tag=secrets.token_hex(6))
            return
        tag = secrets.token_hex(6)
        dialog = invited(asked.request, tag, self._account.contact)
        call = PhoneCall(self._account, dialog, self._options, self._next_seed(), asked)
        self._keep(call)
        self._endpoint.respond(asked, 180, "Ringing", tag=tag)
        if self._answering is None:
            self._incoming.put_nowait(call)
        else:
            self._own(self._dealt_with(call, self._answering))

    async def _dealt_with(self, call: PhoneCall, answering: Answering) -> None:
        try:
            await answering(call)
        except SoftphoneError as error:
            logger.info("A call that came was not dealt with to its end: %s", error)

    def _cancelled(self, asked: Asked, call: PhoneCall | None) -> None:
        if call is None:
            self._endpoint.respond(asked, 481, "Call Does Not Exist")
        else:
            self._endpoint.respond(asked, 200, "OK", tag=call.dialog.tag)
            call.cancelled()

    def _told_methods(self, asked: Asked, code: int, reason: str) -> None:
        response = response_to(asked.request, code, reason, tag=secrets.token_hex(6))
        response.add("Allow", METHODS)
        self._endpoint.reply(asked, response)

    def _keep(self, call: PhoneCall) -> PhoneCall:
        for call_id in [one for one, old in self._calls.items() if old.state == "ended"]:
            if len(self._calls) > MOST_CALLS:
                del self._calls[call_id]
        self._calls[call.dialog.call_id] = call
        return call

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed * 10

    def _own(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("The telephone's own work failed", exc_info=error)

    async def _close(self) -> None:
        for call in self.calls:
            call.end("us")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endpoint.close()


async def _resolved(registrar: str) -> Address:
    host, _, port = registrar.partition(":")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port or 5060, family=socket.AF_INET, type=socket.SOCK_DGRAM
    )
    address = found[0][4]
    return str(address[0]), int(address[1])


def _leading_to(address: Address) -> str:
    """Our own address on the way there; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(address)
        return str(asking.getsockname()[0])
