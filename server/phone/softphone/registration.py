"""Being known at the registrar: REGISTER, again before it expires, and away at the end."""

from __future__ import annotations

import asyncio
import logging
import secrets

from server.phone.softphone.account import Account
from server.phone.softphone.errors import NoReply, NotRegistered, SoftphoneError
from server.phone.softphone.message import Request, Response, parameters, uri_of

logger = logging.getLogger(__name__)

AGAIN_S = 5.0
"""After a refresh that failed."""


class Registration:
    def __init__(self, account: Account, expires_s: int) -> None:
        self.registered = False
        self._account = account
        self._expires_s = expires_s
        self._call_id = secrets.token_hex(12)
        self._tag = secrets.token_hex(6)
        self._number = 0

    async def begin(self) -> None:
        """Raises `NotRegistered` or `NoReply`."""
        response = await self._ask(self._expires_s)
        if response.code == 423 and response.get("min-expires").isdigit():
            self._expires_s = min(86_400, int(response.get("min-expires")))
            response = await self._ask(self._expires_s)
        self.registered = response.code < 300
        if not self.registered:
            name, domain = self._account.user, self._account.domain
            what = f"{domain} does not register {name}"
            raise NotRegistered(response.code, response.reason, what)
        self._expires_s = self._granted(response)

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._expires_s / 2 if self.registered else AGAIN_S)
            try:
                await self.begin()
            except SoftphoneError as error:
                self.registered = False
                logger.warning("The telephone is not registered: %s", error)

    async def end(self) -> None:
        """Takes our own contact away, and no other's."""
        if self.registered:
            self.registered = False
            try:
                await self._ask(0)
            except NoReply as error:
                logger.info("The registrar was not told goodbye: %s", error)

    async def _ask(self, expires_s: int) -> Response:
        def made() -> Request:
            self._number += 1
            request = Request(method="REGISTER", uri=f"sip:{self._account.domain}")
            request.add("From", f"{self._account.address};tag={self._tag}")
            request.add("To", self._account.address)
            request.add("Call-ID", self._call_id)
            request.add("CSeq", f"{self._number} REGISTER")
            request.add("Contact", self._account.contact)
            request.add("Expires", str(expires_s))
            return request

        return await self._account.ask(made, self._account.registrar)

    def _granted(self, response: Response) -> int:
        """Seconds; at least 2."""
        ours = uri_of(self._account.contact)
        contacts = [one for one in response.listed("contact") if uri_of(one).startswith(ours)]
        given = [parameters(one).get("expires", "") for one in contacts]
        found = [int(one) for one in (*given, response.get("expires")) if one.isdigit()]
        return max(2, min([self._expires_s, *found]))
