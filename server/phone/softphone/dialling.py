"""A call out until it is answered: INVITE, what comes meanwhile, and giving it up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from server.phone.softphone.account import Account
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.endpoint import cancel_of
from server.phone.softphone.errors import Malformed, NoCommonCodec, NoReply, Refused
from server.phone.softphone.leg import METHODS, SDP
from server.phone.softphone.message import Request, Response, tag_of


class Dialling:
    """`await answered` raises what became of it instead."""

    def __init__(
        self, account: Account, call: PhoneCall, heard: Callable[[Response], None]
    ) -> None:
        self._account = account
        self._call = call
        self._on_provisional = heard
        self._offer = "" if call.options.offerless else call.talk.offer()
        self._sent: Request | None = None
        self._progress = asyncio.Event()
        self._given_up = False
        self.answered = asyncio.create_task(self._invite())
        self.answered.add_done_callback(lambda _: self._progress.set())

    async def give_up(self) -> None:
        """CANCEL, once the other side has let hear of itself (RFC 3261, 9.1); BYE if it answered at
        that very moment.
        """
        self._given_up = True
        await self._progress.wait()
        if not self.answered.done() and self._sent is not None:
            with contextlib.suppress(NoReply):
                await self._account.endpoint.ask(cancel_of(self._sent), self._account.registrar)
        await asyncio.wait([self.answered], timeout=self._account.endpoint.timers.patience)
        if self.answered.done() and not self.answered.cancelled() and self.answered.exception():
            return
        self.answered.cancel()
        await self._call.hang_up()
        self._call.end("us")

    async def _invite(self) -> None:
        account, call = self._account, self._call
        try:
            response = await account.ask(self._made, account.registrar, self._heard, self._has_sent)
            assert self._sent is not None
            if response.code >= 300:
                call.code = response.code
                raise Refused(response.code, response.reason, "the call was not taken")
            await self._connect(self._sent, response)
        except BaseException:
            call.end("us" if self._given_up else "them")
            raise

    async def _connect(self, invite: Request, response: Response) -> None:
        try:
            body = self._call.established(response)
        except (Malformed, NoCommonCodec):
            # A call that is up and cannot be spoken in has to be taken down again.
            self._call.acknowledge(invite)
            self._call.state = "up"
            await self._call.hang_up()
            raise
        self._call.acknowledge(invite, body)

    def _made(self) -> Request:
        request = self._call.dialog.request("INVITE")
        request.add("Allow", METHODS)
        if self._offer:
            request.add("Content-Type", SDP)
            request.body = self._offer
        return request

    def _has_sent(self, request: Request) -> None:
        self._sent = request
        self._progress.clear()

    def _heard(self, response: Response) -> None:
        self._progress.set()
        # Sound before the answer: what a network announces, or a ring of its own making.
        if response.code > 100 and response.body.strip() and tag_of(response.get("to")):
            with contextlib.suppress(Malformed, NoCommonCodec):
                self._call.established(response, early=True)
        self._on_provisional(response)
