"""Invites: links that let one candidate into one interview.

* A token has 256 bits; only its SHA-256 is stored.
* Opening an invite never consumes it: mail scanners open links, and candidates reload.
* An address that keeps guessing is made to wait. Tokens that were good a moment ago still pass, so
  that one guesser behind an office's address locks nobody out of a running interview.
* Whoever holds a real token may learn that it expired or was revoked; nobody learns anything else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server import microphone_url
from server.settings import Settings
from server.store import Invite, Store

GUESSES = 20
"""Wrong tokens that an address may send …"""
WINDOW_S = 60.0
"""… in this time."""
MAX_ADDRESSES = 10_000
MAX_TOKEN = 200


class InviteError(Exception):
    """The invite lets nobody in."""


class UnknownInvite(InviteError):
    """No such token."""


class ExpiredInvite(InviteError):
    """It was good until some time ago."""


class RevokedInvite(InviteError):
    """The operator took it back."""


class TooManyGuesses(InviteError):
    """This address sent too many wrong tokens."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Issued:
    """The only time a token is seen in full."""

    token: str
    interview_id: str
    expires_at: float
    pin: str = ""
    """For the telephone; empty where this server has none."""


class Guesses:
    """Counts wrong tokens, keys or passwords by address; pure, time is passed in."""

    def __init__(self, allowed: int = GUESSES, window_s: float = WINDOW_S) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait(self, address: str, at: float) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        recent = [t for t in self._wrong.get(address, ()) if at - t < self._window_s]
        if len(recent) < self._allowed:
            return 0.0
        return recent[-self._allowed] + self._window_s - at

    def wrong(self, address: str, at: float) -> None:
        recent = [t for t in self._wrong.pop(address, ()) if at - t < self._window_s]
        self._wrong[address] = [*recent, at][-self._allowed :]
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)

    def take_back(self, address: str, at: float) -> None:
        """What was counted at this time was right after all."""
        counted = self._wrong.get(address, [])
        if at in counted:
            counted.remove(at)

    def count(self, address: str, at: float) -> int:
        """Wrong ones of this address within the window."""
        return sum(at - t < self._window_s for t in self._wrong.get(address, ()))


def invite_url(settings: Settings, token: str) -> str:
    """The link that a candidate opens. The token stands in the path, so that the page needs neither
    a cookie nor a script; no access log is written, and no referrer goes to anybody else. Raises
    `NoMicrophone` where no browser could use one at the link; `microphone_url.check` tells before
    an interview is made.
    """
    microphone_url.check(settings)
    return f"{settings.base_url}/call/{token}"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Invites:
    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        guesses: Guesses | None = None,
        new_pin: Callable[[str, float], Awaitable[str]] | None = None,
    ) -> None:
        """`new_pin(interview_id, valid_s)`: with each link goes a PIN for the telephone."""
        self._store = store
        self._clock = clock
        self._guesses = guesses or Guesses()
        self._new_pin = new_pin
        self._good: OrderedDict[str, None] = OrderedDict()

    async def issue(self, interview_id: str, valid_s: float) -> Issued:
        """A new link, and a PIN; older ones stay good. Raises `UnknownInterview`."""
        token = secrets.token_urlsafe(32)
        expires_at = self._clock() + valid_s
        await self._store.add_invite(token_hash(token), interview_id, expires_at)
        pin = await self._new_pin(interview_id, valid_s) if self._new_pin else ""
        return Issued(token, interview_id, expires_at, pin)

    async def open(self, token: str, address: str) -> Invite:
        """Who the bearer is. Raises an `InviteError`."""
        at = self._clock()
        hashed = token_hash(token[:MAX_TOKEN])
        wait = self._guesses.wait(address, at)
        if wait > 0 and hashed not in self._good:
            raise TooManyGuesses(wait)
        invite = await self._store.invite(hashed)
        if invite is None or not hmac.compare_digest(invite.token_hash, hashed):
            self._good.pop(hashed, None)
            self._guesses.wrong(address, at)
            raise UnknownInvite
        if invite.revoked_at is not None:
            raise RevokedInvite
        if at >= invite.expires_at:
            raise ExpiredInvite
        self._remember(hashed)
        return invite

    async def revoke(self, interview_id: str) -> int:
        """Take back every link and PIN of an interview; returns how many links were good. Raises
        `UnknownInterview`."""
        return await self._store.revoke_invites(interview_id)

    def _remember(self, hashed: str) -> None:
        self._good[hashed] = None
        self._good.move_to_end(hashed)
        if len(self._good) > MAX_ADDRESSES:
            self._good.popitem(last=False)
