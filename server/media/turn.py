"""TURN relays, for candidates whose network lets nothing else through: which there are, with what
credentials, and whether one answers.

A relay that shares a secret with Viva (coturn's `use-auth-secret`, the "TURN REST API") gets
credentials that end after a day: what a candidate's page has been told is soon worth nothing. A
fixed user name and password are told to every candidate as they are.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aioice.turn import create_turn_endpoint
from aiortc.rtcicetransport import parse_stun_turn_uri

from server.settings import Settings

VALID_S = 86_400
"""Longer than a page stays open before its call, and than any call."""
SERVERS_NAME, CANDIDATES_NAME = "viva", "candidate"
"""What the relay's log calls them. No interview's id: a relay needs to know nothing of it."""


@dataclass(frozen=True)
class TurnServer:
    """A relay at one or more addresses: by UDP, by TCP, by TLS."""

    urls: tuple[str, ...]
    """The first one is the server's own."""
    username: str = ""
    password: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    """In place of the two."""

    def credentials(self, name: str, at: float) -> tuple[str, str]:
        """User name and password for a call that begins now."""
        if self.secret:
            return turn_credentials(self.secret, name, at + VALID_S)
        return self.username, self.password


def turn_credentials(secret: str, name: str, expires_at: float) -> tuple[str, str]:
    """User name and password that a relay with this secret takes until `expires_at` (Unix seconds):
    draft-uberti-behave-turn-rest."""
    username = f"{int(expires_at)}:{name}"
    mac = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return username, base64.b64encode(mac).decode()


def turn_server(settings: Settings) -> TurnServer | None:
    urls = settings.turn_urls
    if not urls:
        return None
    return TurnServer(
        urls,
        settings.turn_user,
        settings.turn_password.get_secret_value(),
        settings.turn_secret.get_secret_value(),
    )


def stun_url(settings: Settings) -> str:
    """With its scheme, without which neither aiortc nor a browser takes it; empty for none."""
    stun = settings.stun
    return f"stun:{stun}" if stun and not stun.startswith(("stun:", "stuns:")) else stun


def browser_ice_servers(settings: Settings, at: float) -> list[dict[str, Any]]:
    """What a candidate's page gives to `RTCPeerConnection` as `iceServers`; nothing by default,
    since no public server is ever named."""
    servers: list[dict[str, Any]] = []
    if stun := stun_url(settings):
        servers.append({"urls": [stun]})
    if turn := turn_server(settings):
        username, credential = turn.credentials(CANDIDATES_NAME, at)
        servers.append({"urls": list(turn.urls), "username": username, "credential": credential})
    return servers


async def allocate(url: str, credentials: Sequence[str], within_s: float) -> tuple[str, int]:
    """The address that the relay lends us, once; it is given back. Raises `OSError`, `TimeoutError`
    or aioice's `stun.TransactionError`."""
    where = parse_stun_turn_uri(url)
    username, password = credentials
    async with asyncio.timeout(within_s):
        transport, lent = await create_turn_endpoint(
            _Lent,
            (where["host"], where["port"]),
            username,
            password,
            ssl=where["scheme"] == "turns" or None,
            transport=where["transport"],
        )
        transport.close()
        await lent.given_back
    host, port = transport.get_extra_info("sockname")
    return str(host), int(port)


class _Lent(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.given_back: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if not self.given_back.done():
            self.given_back.set_result(None)
