"""PINs: digits that let a candidate in by telephone, as an invite's token does by link.

Digits can be tried out, so: a PIN stands in the database only under a key that is not in it; three
wrong ones end a call; a number that goes on guessing waits, and so, later, does everybody without
a number, and everybody. A PIN lives and ends with the links of its interview.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from server.api.keys import make_secret
from server.invites import ExpiredInvite, Guesses, RevokedInvite, TooManyGuesses, UnknownInvite
from server.settings import Settings, SettingsError
from server.store import Invite, Store

LENGTH = 9
"""Digits: with 200 good ones a guess hits once in five million."""
FILE = "pin_key"
WRONG_BY_NUMBER = 6
"""Wrong PINs of one caller …"""
WRONG_IN_ALL = 60
"""… and of all together …"""
WINDOW_S = 3600.0
"""… in this time: a year of guessing without a pause finds one of 200 with a chance of 10 %."""
EVERYBODY = "*"
NOBODY = "anonymous"


def shown(pin: str) -> str:
    """As it is written in an invitation and read aloud: in threes."""
    return " ".join(pin[i : i + 3] for i in range(0, len(pin), 3))


def pin_key(settings: Settings) -> bytes:
    """What keys the PINs, made at the first use. Raises `SettingsError`."""
    file = settings.data_dir / FILE
    try:
        make_secret(file)
        return _read(file)
    except OSError as error:
        raise SettingsError(
            f"The key of the PINs {file} cannot be read or made: {error.strerror}. Put that right."
        ) from error


def new_pins(settings: Settings, store: Store) -> Callable[[str, float], Awaitable[str]] | None:
    """What makes a PIN for each invite; None where there is no telephone. Raises
    `SettingsError`."""
    return Pins(store, pin_key(settings)).issue if settings.phone else None


def _read(file: Path) -> bytes:
    return file.read_bytes().strip()


class NumberTaken(Exception):
    """The number stands for another interview already."""


class Pins:
    """Makes and finds them. One for the process: it counts the wrong ones."""

    def __init__(self, store: Store, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._by_number = Guesses(WRONG_BY_NUMBER, WINDOW_S)
        self._in_all = Guesses(WRONG_IN_ALL, WINDOW_S)

    async def issue(self, interview_id: str, valid_s: float) -> str:
        """A new PIN; earlier ones stay good. Raises `UnknownInterview`, `Erased`."""
        while True:
            pin = f"{secrets.randbelow(10**LENGTH):0{LENGTH}}"
            if await self._store.invite(self._hash(pin)) is None:
                break
        expires_at = self._clock() + valid_s
        await self._store.add_invite(self._hash(pin), interview_id, expires_at, kind="pin")
        return pin

    async def find(self, pin: str, number: str) -> Invite:
        """Whose it is; `number` is the caller's, empty if it is hidden. Raises an `InviteError`."""
        at, caller = self._clock(), number or NOBODY
        wait = max(self._by_number.wait(caller, at), self._in_all.wait(EVERYBODY, at))
        if wait > 0:
            raise TooManyGuesses(wait)
        invite = await self._store.invite(self._hash(pin))
        if invite is None or invite.kind != "pin":
            self._by_number.wrong(caller, at)
            self._in_all.wrong(EVERYBODY, at)
            raise UnknownInvite
        if invite.revoked_at is not None:
            raise RevokedInvite
        if at >= invite.expires_at:
            raise ExpiredInvite
        return invite

    async def reserve(self, interview_id: str, number: str, valid_s: float) -> None:
        """Calls to or from this number (`server.phone.numbers`) are meant for the interview; the
        PIN still confirms it. Kept again, it is kept for the new time. Raises `NumberTaken` where
        another interview has it that is not over, `UnknownInterview`, `Erased`."""
        hashed, at = self._hash(number, "number"), self._clock()
        kept = Invite(hashed, interview_id, at, at + valid_s, None, "number")
        if not await self._store.keep_number(kept):
            raise NumberTaken(number)

    async def give_back(self, interview_id: str, number: str = "") -> int:
        """The interview's number, or all of its numbers, stand for nothing any more; returns how
        many those were. Raises `UnknownInterview`."""
        hashed = self._hash(number, "number") if number else None
        return await self._store.forget_numbers(interview_id, hashed)

    async def selected(self, number: str) -> str | None:
        """The interview that a dialled or calling number stands for."""
        invite = await self._store.invite(self._hash(number, "number")) if number else None
        if invite is None or invite.revoked_at is not None or self._clock() >= invite.expires_at:
            return None
        return invite.interview_id

    def _hash(self, digits: str, kind: str = "pin") -> str:
        return hmac.new(self._key, f"{kind}:{digits}".encode(), hashlib.sha256).hexdigest()
