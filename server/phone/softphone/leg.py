"""The SIP side of one call: rings, is answered or declined, is changed, ends. Knows no sound but
what the two sides agree on.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from typing import Literal

from server.phone.softphone.account import Account
from server.phone.softphone.dialog import Dialog
from server.phone.softphone.endpoint import Address, Asked
from server.phone.softphone.errors import CallEnded, Malformed, NoCommonCodec, NoReply, Refused
from server.phone.softphone.message import Request, Response, response_to
from server.phone.softphone.options import Options
from server.phone.softphone.talk import Talk

SDP = "application/sdp"
RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"
METHODS = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
_SIGNAL = re.compile(r"(?im)^\s*(?:Signal\s*=)?\s*([0-9*#A-D])\s*$")

State = Literal["dialling", "ringing", "up", "ended"]
By = Literal["", "us", "them"]


class Leg:
    """Times are `time.monotonic()`."""

    def __init__(
        self, account: Account, dialog: Dialog, options: Options, seed: int, asked: Asked | None
    ) -> None:
        self.state: State = "dialling" if asked is None else "ringing"
        self.ended_by: By = ""
        self.code = 0
        """The final answer of a call that never was up."""
        self.caller = asked.request.get("from") if asked else ""
        """The caller's address as it came; of a call that came to us."""
        self.up_at = 0.0
        """When it was answered; 0 before."""
        self.vanished = False
        self.dialog = dialog
        self.options = options
        self._account = account
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._progress = asyncio.Event()
        self._ended = asyncio.Event()
        self._info_digits: list[tuple[float, str]] = []
        self._changing = False
        self._answer_in_ack = False
        self.talk = Talk(account.endpoint.here[0], options, seed, self._on_progress)

    async def answer(self) -> None:
        """Take a call that rings. Raises `CallEnded` if the caller gave up; refuses it with 488 and
        raises `NoCommonCodec` or `Malformed` where the two cannot speak with one another.
        """
        asked = self._ringing()
        try:
            body = self._described(asked.request)
        except (NoCommonCodec, Malformed):
            await self.decline(488, "Not Acceptable Here")
            raise
        self._account.endpoint.reply(asked, self._success(asked, body))
        self._is_up()

    async def decline(self, code: int = 486, reason: str = "Busy Here") -> None:
        """Raises `CallEnded` if it does not ring."""
        self._account.endpoint.respond(self._ringing(), code, reason, tag=self.dialog.tag)
        self.code = code
        self.end("us")

    async def hang_up(self) -> None:
        """BYE, or 486 while it rings; nothing if it has ended."""
        if self.state == "ringing":
            await self.decline()
        elif self.state == "up":
            self.end("us")
            # Nobody there any more is as good as hung up.
            with contextlib.suppress(NoReply):
                await self._ask(lambda: self.dialog.request("BYE"))

    def vanish(self) -> None:
        """As a telephone whose battery is empty: no BYE, no packet, no answer to anything."""
        self.vanished = True
        self.end("us")

    async def ended(self) -> None:
        """Until it has ended, by whomever."""
        await self._ended.wait()

    # What the other side and the transactions bring.

    def established(self, response: Response, early: bool = False) -> str:
        """An answer to our INVITE; returns the description that ACK has to carry, if any. Raises
        `Malformed` and `NoCommonCodec`.
        """
        self.dialog.answered(response)
        body = ""
        if self.options.offerless and not early:
            body = self.talk.answer(response.body)
        elif response.body.strip() and not self.options.offerless:
            self.talk.accept(response.body)
        if not early:
            self._is_up()
        return body

    def requested(self, asked: Asked) -> None:
        """A request inside this call. Raises nothing."""
        if self.vanished:
            return
        if asked.request.method == "ACK":
            self._acknowledged(asked.request)
        elif self.state == "ended" or not self.dialog.expects(asked.request):
            self._account.endpoint.respond(asked, 481, "Call Does Not Exist")
        else:
            self.dialog.their_number = asked.request.cseq[0]
            self._inside(asked)

    def cancelled(self) -> None:
        """The caller gave up while it rang."""
        if self.state == "ringing":
            asked, tag = self._ringing(), self.dialog.tag
            self._account.endpoint.respond(asked, 487, "Request Terminated", tag=tag)
            self.code = 487
            self.end("them")

    def end(self, by: By) -> None:
        if self.state != "ended":
            self.state, self.ended_by = "ended", by
            self.talk.media.close()
            self._progress.set()
            self._ended.set()

    def _inside(self, asked: Asked) -> None:
        endpoint = self._account.endpoint
        match asked.request.method:
            case "BYE":
                endpoint.respond(asked, 200, "OK")
                self.end("them")
            case "INVITE":
                self._changed(asked)
            case "INFO":
                self._informed(asked.request)
                endpoint.respond(asked, 200, "OK")
            case "OPTIONS":
                endpoint.respond(asked, 200, "OK")
            case _:
                endpoint.respond(asked, 405, "Method Not Allowed")

    def _changed(self, asked: Asked) -> None:
        """A re-INVITE: hold, resume, another codec or port."""
        if self._changing:
            self._account.endpoint.respond(asked, 491, "Request Pending")
            return
        try:
            body = self._described(asked.request)
        except (Malformed, NoCommonCodec):
            self._account.endpoint.respond(asked, 488, "Not Acceptable Here")
            return
        self.dialog.moved(asked.request)
        self._account.endpoint.reply(asked, self._success(asked, body))

    def _described(self, invite: Request) -> str:
        """Our answer to its offer, or our offer if it has none: then ACK answers."""
        offered = bool(invite.body.strip())
        body = self.talk.answer(invite.body) if offered else self.talk.offer()
        self._answer_in_ack = not offered
        return body

    def _acknowledged(self, ack: Request) -> None:
        if self._answer_in_ack and self.state == "up":
            self._answer_in_ack = False
            # If they do not fit, the two do not hear one another, and either may hang up.
            with contextlib.suppress(Malformed, NoCommonCodec):
                self.talk.accept(ack.body)

    def _informed(self, request: Request) -> None:
        kind = request.get("content-type").partition(";")[0].strip().lower()
        found = _SIGNAL.search(request.body[:200]) if kind in (RELAY, PLAIN) else None
        if found:
            self._info_digits.append((time.monotonic(), found[1].upper()))

    async def _change(self, offer: str) -> None:
        """A re-INVITE of ours. Raises `CallEnded`, `Refused`, `NoReply`, and `Malformed` or
        `NoCommonCodec` for an answer that does not fit."""
        self._must_be_up()
        sent: list[Request] = []
        self._changing = True
        try:
            response = await self._ask(lambda: self._with_body("INVITE", SDP, offer), sent.append)
            if response.code >= 300:
                raise Refused(response.code, response.reason, "the change of the call was refused")
            self.dialog.moved(response)
            self.acknowledge(sent[-1])
            self.talk.accept(response.body)
        finally:
            self._changing = False

    def acknowledge(self, invite: Request, body: str = "") -> None:
        """ACK to a success."""
        ack = self.dialog.request("ACK", invite.cseq[0])
        self._account.endpoint.prepare(ack)
        if body:
            ack.add("Content-Type", SDP)
            ack.body = body
        self._account.endpoint.acknowledge(ack, self._hop(), invite.branch)

    async def _ask(
        self, made: Callable[[], Request], sent: Callable[[Request], None] = lambda _: None
    ) -> Response:
        return await self._account.ask(made, self._hop(), sent=sent)

    def _with_body(self, method: str, kind: str, body: str) -> Request:
        request = self.dialog.request(method)
        request.add("Content-Type", kind)
        request.body = body
        return request

    def _success(self, asked: Asked, body: str) -> Response:
        response = response_to(asked.request, 200, "OK", tag=self.dialog.tag)
        response.add("Contact", self.dialog.contact)
        response.add("Allow", METHODS)
        response.add("Content-Type", SDP)
        response.body = body
        return response

    def _is_up(self) -> None:
        self.state, self.up_at = "up", time.monotonic()

    def _ringing(self) -> Asked:
        if self.state != "ringing" or self._asked is None:
            raise CallEnded("this call does not ring")
        return self._asked

    def _must_be_up(self) -> None:
        if self.state != "up":
            raise CallEnded("this call is not up")

    def _hop(self) -> Address:
        return self.dialog.next_hop(self._account.registrar)

    async def _until(self, true: Callable[[], bool]) -> None:
        """Until this is true of what is sent, or the call has ended."""
        while self.state != "ended" and not true():
            self._progress.clear()
            await self._progress.wait()

    def _on_progress(self) -> None:
        """In the media's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed, and nobody waits
            self._loop.call_soon_threadsafe(self._progress.set)
