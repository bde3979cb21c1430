"""An extension of a PBX: who we are, where the PBX is, and requests that prove it by password."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from server.phone.softphone import digest
from server.phone.softphone.endpoint import Address, Endpoint
from server.phone.softphone.message import Request, Response

MOST_TRIES = 4
"""A proxy and the other side may each ask for a password, and each may find a nonce too old."""
_CHALLENGES = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}


@dataclass
class Account:
    user: str
    password: str
    domain: str
    """The registrar's host as it stands in addresses: `sip:user@domain`."""
    registrar: Address
    endpoint: Endpoint
    display: str = ""
    """Sent as it is given."""
    login: str = ""
    """Who the password belongs to, where that is another than `user`."""

    @property
    def address(self) -> str:
        """From, without a tag."""
        quoted = f'"{self.display}" ' if self.display else ""
        return f"{quoted}<{self.uri(self.user)}>"

    @property
    def contact(self) -> str:
        host, port = self.endpoint.here
        return f"<sip:{self.user}@{host}:{port}>"

    def uri(self, to: str) -> str:
        """Of an extension or a number; a whole `sip:` URI stays what it is."""
        return to if to.startswith(("sip:", "sips:")) else f"sip:{to}@{self.domain}"

    async def ask(
        self,
        made: Callable[[], Request],
        to: Address,
        heard: Callable[[Response], None] = lambda _: None,
        sent: Callable[[Request], None] = lambda _: None,
    ) -> Response:
        """The final answer to a request, made anew for each try: a challenge is answered with the
        password, once, and once more if only its nonce was too old. Raises `NoReply`.
        """
        proofs: dict[str, digest.Challenge] = {}
        for _ in range(MOST_TRIES):
            request = made()
            self.endpoint.prepare(request)
            for field, challenge in proofs.items():
                request.add(field, self._proof(challenge, request))
            sent(request)
            response = await self.endpoint.ask(request, to, heard)
            asked, field = _CHALLENGES.get(response.code, ("", ""))
            found = digest.chosen(response.every(asked), self.password) if asked else None
            if found is None or (field in proofs and not found.stale):
                break
            proofs[field] = found
        return response

    def _proof(self, challenge: digest.Challenge, request: Request) -> str:
        return digest.answer(
            challenge,
            self.login or self.user,
            self.password,
            request.method,
            request.uri,
            cnonce=secrets.token_hex(8),
        )
